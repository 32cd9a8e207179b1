/** Seconds between two lines about a long task. */
const INTERVAL = 15;

/** Logs what is going on, at once and then regularly. */
export class Progress {
  constructor(log, what) {
    this.log = log;
    this.what = what;
    this.begin = Date.now();
    this.said = this.begin;
    log(`${what} …`);
  }

  elapsed() {
    const seconds = Math.round((Date.now() - this.begin) / 1000);
    return seconds < 60 ? `${seconds} s` : `${Math.floor(seconds / 60)} min ${seconds % 60} s`;
  }

  update(how) {
    if (Date.now() - this.said < INTERVAL * 1000) return;
    this.said = Date.now();
    this.log(`${this.what}: ${how}, ${this.elapsed()}`);
  }
}
