import { now } from "./clock";

const word = new Int32Array(new SharedArrayBuffer(4));

/** Memory that is read again and again: nothing is allocated, and the compiler cannot leave it out. */
function read(times: number): void {
  for (let index = 0; index < times; index++) Atomics.load(word, 0);
}

/** Reads in a millisecond, measured once the code is compiled. */
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
 * Lets about so many milliseconds pass, or more where the thread is stopped meanwhile. A loop that asks the clock, or
 * one that turns the event loop without pause, would leave 290 MB/s of objects behind, and be stopped to collect them.
 */
export function busyWait(ms: number): void {
  read(Math.round(ms * perMs));
}
