import { busyWait } from "./busyWait";
import { now } from "./clock";

/**
 * How long before a due time the event loop stops sleeping and turns without pause, in milliseconds. A timer of
 * libuv has a resolution of one, and the kernel adds some tenths. While it turns, answers are still received.
 */
const SPIN_MS = 2;

/** How long one turn of it takes, in milliseconds: an answer is received at most so much later. */
const TURN_MS = 0.02;

/**
 * Calls `send` with each index of `times` as close to its time as this thread can, and never before. One that comes
 * late delays no other: those that are due meanwhile follow at once.
 *
 * @param start when the schedule begins, by `now()`
 * @param times milliseconds from the start, ascending
 * @returns when the last one was sent, or `abort` was raised
 */
export function pace(
  start: number,
  times: Float64Array,
  send: (index: number) => void,
  abort: AbortSignal,
): Promise<void> {
  return new Promise((resolve, reject) => {
    let index = 0;
    const turn = (): void => {
      try {
        if (abort.aborted) {
          resolve();
          return;
        }
        while (index < times.length && start + (times[index] ?? 0) <= now()) send(index++);
        if (index === times.length) {
          resolve();
          return;
        }
        const rest = start + (times[index] ?? 0) - now();
        // Short sleeps, so that an abort is noticed.
        if (rest > SPIN_MS) setTimeout(turn, Math.min(Math.floor(rest - SPIN_MS), 100));
        else {
          busyWait(Math.min(rest, TURN_MS));
          setImmediate(turn);
        }
      } catch (error) {
        reject(error instanceof Error ? error : new Error(String(error)));
      }
    };
    turn();
  });
}
