import { busyWait } from "./busyWait";
import { now } from "./clock";

/**
 * How long before a due time the event loop stops sleeping and spins, in milliseconds. libuv's timers have a resolution
 * of one millisecond, and the kernel adds a few tenths. While it spins, answers are still received.
 */
const SPIN_MS = 2;

/** The length of one spin, in milliseconds: it delays receiving an answer by at most this. */
const TURN_MS = 0.02;

/**
 * Calls `send` with each index of `times` as close to its time as this thread can, and never earlier. A late call delays
 * no other: calls that became due meanwhile follow at once. Resolves after the last call, or when `abort` fires.
 *
 * @param start when the schedule begins, by `now()`
 * @param times milliseconds from the start, ascending
 */
export function pace(
  start: number,
  times: Float64Array,
  send: (index: number) => void,
  abort: AbortSignal,
): Promise<void> {
  return new Promise((resolve, reject) => {
    let index = 0;
    // A call may itself fire the abort, and the calls that became due meanwhile must not follow it.
    const due = (): boolean => !abort.aborted && index < times.length && start + (times[index] ?? 0) <= now();
    const turn = (): void => {
      try {
        if (abort.aborted) {
          resolve();
          return;
        }
        while (due()) send(index++);
        if (index === times.length) {
          resolve();
          return;
        }
        const rest = start + (times[index] ?? 0) - now();
        // Short sleeps, to notice an abort.
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
