import { type Connection } from "../protocol/connection";
import { now } from "./clock";
import { type ClosedLoad } from "./messages";

/** A sender's pause after a failure, in milliseconds, so as not to flood a server that refuses everything. */
const REST_AFTER_FAILURE_MS = 100;

/**
 * Sends requests back to back until `abort` fires, then waits for the outstanding answers.
 *
 * @param concurrency how many requests are in flight at any time
 * @param answered called after each answer, with the reason if the request failed
 */
export async function closedLoad(
  connection: Connection,
  concurrency: number,
  answered: (problem?: string) => void,
  abort: AbortSignal,
): Promise<ClosedLoad> {
  const ends: number[] = [];
  const latency: number[] = [];
  const problems = new Set<string>();
  let failed = 0;
  const request = (): Promise<string | undefined> =>
    new Promise((resolve) => {
      connection.send(resolve);
    });
  const sender = async (): Promise<void> => {
    while (!abort.aborted) {
      const began = now();
      const problem = await request();
      const end = now();
      if (problem === undefined) {
        ends.push(end);
        latency.push(end - began);
        answered();
      } else {
        failed++;
        problems.add(problem);
        answered(problem);
        await new Promise((resolve) => setTimeout(resolve, REST_AFTER_FAILURE_MS));
      }
    }
  };
  await Promise.all(Array.from({ length: concurrency }, sender));
  return {
    ends: Float64Array.from(ends),
    latency: Float64Array.from(latency),
    failed,
    problems: [...problems],
  };
}
