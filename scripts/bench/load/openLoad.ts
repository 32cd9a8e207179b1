import { type Connection } from "../protocol/connection";
import { now } from "./clock";
import { type OpenLoad } from "./messages";
import { pace } from "./pace";

/**
 * Sends requests at fixed times, whether or not earlier ones have been answered, and waits for the last answer. Latency
 * counts from the time at which a request was due, so a delay caused by the load or by this process is not hidden.
 *
 * @param start when the schedule begins, by `now()`
 * @param times milliseconds from the start, ascending
 * @param answered called after each answer, with the reason if the request failed
 * @param abort stops sending
 */
export async function openLoad(
  connection: Connection,
  start: number,
  times: Float64Array,
  answered: (problem?: string) => void,
  abort: AbortSignal,
): Promise<OpenLoad> {
  const lag = new Float64Array(times.length);
  const latency = new Float64Array(times.length).fill(NaN);
  const problems = new Set<string>();
  let sent = 0;
  let pending = 0;
  let drained: (() => void) | undefined;
  const send = (index: number): void => {
    const intended = start + (times[index] ?? 0);
    lag[index] = now() - intended;
    sent = index + 1;
    pending++;
    connection.send((problem) => {
      if (problem === undefined) latency[index] = now() - intended;
      else problems.add(problem);
      answered(problem);
      if (--pending === 0) drained?.();
    });
  };
  await pace(start, times, send, abort);
  if (pending > 0) await new Promise<void>((resolve) => (drained = resolve));
  return {
    intended: times.slice(0, sent),
    lag: lag.slice(0, sent),
    latency: latency.slice(0, sent),
    problems: [...problems],
  };
}
