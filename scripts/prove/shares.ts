import { setTimeout as pause } from "node:timers/promises";

import { now } from "../bench/load/clock";
import { type LoadThread } from "../bench/load/loadThread";
import { type ClosedLoad } from "../bench/load/messages";
import { percentile, sorted } from "../bench/statistics/percentile";
import { loadThreads } from "./loads";
import { HIGH, LOW } from "./models";
import { type TritonProcess } from "./tritonProcess";

/** What both models get of a GPU that both would fill, in each setting of the scheduler. */
export interface ShareResults {
  /** Requests a second of each model without the other. */
  readonly alone: Readonly<Record<typeof HIGH | typeof LOW, number>>;
  /** The high model's P50 without the other, in ms. */
  readonly aloneP50Ms: number;
  readonly phases: readonly SharePhase[];
  /** Reasons for failed requests, each once. */
  readonly problems: readonly string[];
}

export interface SharePhase {
  readonly name: string;
  /** Each model's rate as a share of its rate alone, over the phase. */
  readonly high: number;
  readonly low: number;
  /** The low model's share in each whole window of 2 s. */
  readonly windows: readonly number[];
  /** The high model's P50 in ms. */
  readonly highP50Ms: number;
}

/** The share of the GPU that the low model is given, in percent. */
const FLOOR = 20;
/** The weights of the two models while their priorities are equal. */
const WEIGHTS = { [HIGH]: 3, [LOW]: 1 } as const;
/** Requests in flight to each model: one waits for the GPU while another is on it. */
const IN_FLIGHT = 2;
const WARM_UP_MS = 2000;
const WINDOW_MS = 2000;

/** What the scheduler is told before each phase with both models. */
const SETTINGS: Readonly<Record<string, readonly (readonly string[])[]>> = {
  priorities: [],
  [`floor of ${FLOOR} %`]: [["floor", LOW, String(FLOOR)]],
  "no floor again": [["floor", LOW, "0"]],
  [`equal priorities, weights ${WEIGHTS[HIGH]} : ${WEIGHTS[LOW]}`]: [
    ["priority", HIGH, "0"],
    ["priority", LOW, "0"],
    ["weight", HIGH, String(WEIGHTS[HIGH])],
    ["weight", LOW, String(WEIGHTS[LOW])],
  ],
};

/**
 * Keeps both models busy and changes what the low one is entitled to. Afterwards the server's models have other
 * priorities and weights than their configurations say.
 *
 * @param seconds of each phase, of which there are six
 * @param interrupted ends it, and rejects
 */
export async function measureShares(
  server: TritonProcess,
  seconds: number,
  interrupted: AbortSignal,
): Promise<ShareResults> {
  const { threads, close } = await loadThreads(server.url, [HIGH, LOW]);
  const [high, low] = threads;
  if (high === undefined || low === undefined) throw new Error("a model has no load");
  const problems = new Set<string>();
  const busy = async (loaded: readonly LoadThread[]): Promise<Busy[]> => {
    const found = await keepBusy(loaded, seconds, interrupted);
    for (const each of found.flatMap((load) => load.problems)) problems.add(each);
    return found;
  };
  try {
    const [highAlone = IDLE] = await busy([high]);
    const [lowAlone = IDLE] = await busy([low]);
    const alone = { [HIGH]: highAlone.perSecond, [LOW]: lowAlone.perSecond };
    const phases: SharePhase[] = [];
    for (const [name, commands] of Object.entries(SETTINGS)) {
      for (const words of commands) server.control(words);
      const [ofHigh = IDLE, ofLow = IDLE] = await busy([high, low]);
      phases.push({
        name,
        high: ofHigh.perSecond / alone[HIGH],
        low: ofLow.perSecond / alone[LOW],
        windows: ofLow.windows.map((perSecond) => perSecond / alone[LOW]),
        highP50Ms: ofHigh.p50Ms,
      });
    }
    return { alone, aloneP50Ms: highAlone.p50Ms, phases, problems: [...problems] };
  } finally {
    await close();
  }
}

/** What a model gave while it was kept busy. */
interface Busy {
  /** Answers a second. */
  readonly perSecond: number;
  /** The same in each whole window of 2 s. */
  readonly windows: readonly number[];
  readonly p50Ms: number;
  /** Reasons for failed requests, each once. */
  readonly problems: readonly string[];
}
const IDLE: Busy = { perSecond: NaN, windows: [], p50Ms: NaN, problems: [] };

/** Sends requests back to back, and counts the answers between the warm-up and the end. */
async function keepBusy(
  threads: readonly LoadThread[],
  seconds: number,
  signal: AbortSignal,
): Promise<Busy[]> {
  const running = threads.map((thread) => thread.closed(IN_FLIGHT));
  await pause(WARM_UP_MS, undefined, { signal });
  const begin = now();
  await pause(seconds * 1000, undefined, { signal });
  // Exactly as long, or the last window could be missing.
  const end = begin + seconds * 1000;
  const loads = await Promise.all(running.map(async (load) => load.stop()));
  return loads.map((load) => summarize(load, begin, end));
}

/**
 * Of a load, what lies between two times. What its warm-up gave is left out.
 *
 * @param begin by `now()`, as `end`
 */
export function summarize(load: ClosedLoad, begin: number, end: number): Busy {
  const within = (from: number, to: number): number[] =>
    [...load.ends.keys()].filter((index) => (load.ends[index] ?? 0) >= from && (load.ends[index] ?? 0) < to);
  const perSecond = (from: number, to: number): number => (1000 * within(from, to).length) / (to - from);
  const count = Math.floor((end - begin) / WINDOW_MS);
  const latencies = within(begin, end).map((index) => load.latency[index] ?? NaN);
  return {
    perSecond: perSecond(begin, end),
    windows: Array.from({ length: count }, (_, number) =>
      perSecond(begin + number * WINDOW_MS, begin + (number + 1) * WINDOW_MS),
    ),
    p50Ms: percentile(sorted(Float64Array.from(latencies)), 0.5),
    problems: load.problems,
  };
}
