import { performance } from "node:perf_hooks";

// performance.now() counts from the start of its own thread; hrtime is the machine's monotonic clock in every thread.
const offset = Number(process.hrtime.bigint()) / 1e6 - performance.now();

/** Milliseconds on a monotonic clock that all threads share. */
export function now(): number {
  return performance.now() + offset;
}
