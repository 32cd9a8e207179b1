import { now } from "./clock";

const word = new Int32Array(new SharedArrayBuffer(4));

/** Reads memory again and again: this allocates nothing, and the compiler cannot optimise it away. */
function read(times: number): void {
  for (let index = 0; index < times; index++) Atomics.load(word, 0);
}

/** Reads per millisecond, measured after the JIT has compiled the loop. */
const perMs = ((): number => {
  const reads = 100_000;
  let fastest = Infinity;
  for (let round = 0; round < 20; round++) {
    const began = now();
    read(reads);
    fastest = Math.min(fastest, now() - began);
  }
  return reads / fastest;
})();

/**
 * Waits for about this many milliseconds, or longer if the thread is preempted. A loop that reads the clock, or turns the
 * event loop without pause, would leave 290 MB/s of garbage and be stopped to collect it.
 */
export function busyWait(ms: number): void {
  read(Math.round(ms * perMs));
}
