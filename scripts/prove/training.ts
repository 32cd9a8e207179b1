import { spawn } from "node:child_process";
import * as fs from "node:fs";
import * as path from "node:path";
import { createInterface } from "node:readline";
import { setTimeout as pause } from "node:timers/promises";

import { now } from "../bench/load/clock";
import { type LoadThread } from "../bench/load/loadThread";
import { schedule } from "../bench/load/schedule";
import { PERCENTILES } from "../bench/report/summary";
import { percentile, sorted } from "../bench/statistics/percentile";
import { random } from "../bench/statistics/random";
import { loadThreads } from "./loads";
import { HIGH } from "./models";
import { type Installation, type TritonProcess } from "./tritonProcess";

type Percentiles = Readonly<Record<keyof typeof PERCENTILES, number>>;

/** What a server and a training loop beside it, in one scheduling domain, cost each other. */
export interface TrainingResults {
  /** Requests a second to the high model. */
  readonly rate: number;
  /** The high model's latencies in ms without the training, and beside it. */
  readonly alone: Percentiles;
  readonly beside: Percentiles;
  /** Steps a second: without xsched-run and any request, with xsched-run, and beside the high model. */
  readonly stepsPerSecond: { readonly alone: number; readonly scheduled: number; readonly beside: number };
  /** The steps beside the high model, against those alone × (1 − P50 of the high model alone / period). */
  readonly ofBound: number;
  readonly failed: number;
}

/** Texts in each step of the training. */
const BATCH = 8;
/** Of the training: the lowest that there is. */
const PRIORITY = -255;
const SEED = 1;
/** The first steps choose kernels and fill the allocator. */
const SETTLING_STEPS = 20;
const START_MS = 180_000;

/**
 * Measures the high model and a training loop, each alone and then side by side.
 *
 * @param python the command that runs the training; it needs torch
 * @param rate requests a second to the high model
 * @param seconds of each phase
 * @param folder of the trainings' logs
 * @param interrupted ends it, and rejects
 * @throws Error with the end of its log, if a training ends or makes no steps
 */
export async function besideTraining(
  server: TritonProcess,
  installed: Installation,
  python: string,
  rate: number,
  seconds: number,
  folder: string,
  interrupted: AbortSignal,
): Promise<TrainingResults> {
  const words = [python, path.join(__dirname, "models/training.py"), String(BATCH)];
  const scheduled = [
    path.join(installed.package, "bin/xsched-run"),
    ...["--priority", String(PRIORITY), "--name", "training", "--"],
    ...words,
  ];
  const { threads, close } = await loadThreads(server.url, [HIGH]);
  const [high] = threads;
  if (high === undefined) throw new Error("the high model has no load");
  let failed = 0;
  const request = async (): Promise<Percentiles> => {
    const latency = await answers(high, rate, seconds, interrupted);
    failed += latency.filter(Number.isNaN).length;
    return percentiles(latency.filter((each) => !Number.isNaN(each)));
  };
  try {
    await request(); // Warms up.
    const alone = await request();
    const plain = await withTraining(
      words,
      path.join(folder, "training.log"),
      async (steps) => steps.perSecond(seconds),
      interrupted,
    );
    const both = await withTraining(
      scheduled,
      path.join(folder, "training-scheduled.log"),
      async (steps) => {
        const byItself = await steps.perSecond(seconds);
        const [beside, perSecond] = await Promise.all([request(), steps.perSecond(seconds)]);
        return { scheduled: byItself, beside, perSecond };
      },
      interrupted,
    );
    return {
      rate,
      alone,
      beside: both.beside,
      stepsPerSecond: { alone: plain, scheduled: both.scheduled, beside: both.perSecond },
      ofBound: both.perSecond / (plain * (1 - (alone.p50 * rate) / 1000)),
      failed,
    };
  } finally {
    await close();
  }
}

/** The latency of each request in ms; NaN if it failed. */
async function answers(
  thread: LoadThread,
  rate: number,
  seconds: number,
  interrupted: AbortSignal,
): Promise<Float64Array> {
  const times = schedule("fixed", Math.max(1, Math.round(rate * seconds)), rate, random(SEED));
  const { load } = await thread.open(times, interrupted);
  interrupted.throwIfAborted();
  return load.latency;
}

function percentiles(latency: Float64Array): Percentiles {
  const ascending = sorted(latency);
  return {
    p50: percentile(ascending, PERCENTILES.p50),
    p90: percentile(ascending, PERCENTILES.p90),
    p99: percentile(ascending, PERCENTILES.p99),
  };
}

interface Steps {
  /** Counts from now on. */
  perSecond(seconds: number): Promise<number>;
}

/** Runs a training loop that writes a line a step, until `use` is done. */
async function withTraining<Result>(
  [command = "", ...words]: readonly string[],
  log: string,
  use: (steps: Steps) => Promise<Result>,
  signal: AbortSignal,
): Promise<Result> {
  const errors = fs.openSync(log, "w");
  const child = spawn(command, words, { stdio: ["ignore", "pipe", errors] });
  fs.closeSync(errors);
  const ends: number[] = [];
  let ended: string | undefined;
  child.once("error", ({ message }) => {
    ended = message;
  });
  const closed = new Promise<void>((resolve) => {
    child.once("close", (status, signal) => {
      ended ??= `status ${status ?? signal}`;
      resolve();
    });
  });
  if (child.stdout === null) throw new Error("the training's output is not read");
  createInterface(child.stdout).on("line", () => ends.push(now()));
  const check = (): void => {
    if (ended === undefined) return;
    throw new Error(
      `the training ended (${ended}); its log ends with\n${fs.readFileSync(log, "utf8").slice(-2000)}`,
    );
  };
  try {
    const until = now() + START_MS;
    while (ends.length < SETTLING_STEPS) {
      check();
      if (now() > until) throw new Error(`the training made ${ends.length} steps in ${START_MS / 1000} s`);
      await pause(100, undefined, { signal });
    }
    return await use({
      perSecond: async (seconds) => {
        const begin = now();
        await pause(seconds * 1000, undefined, { signal });
        check();
        return rateOf(ends.filter((end) => end >= begin));
      },
    });
  } finally {
    child.kill("SIGTERM");
    await closed;
  }
}

/** Steps a second of those that ended at these times, which is exact even where few did. */
export function rateOf(ends: readonly number[]): number {
  const [first, last] = [ends[0], ends.at(-1)];
  if (first === undefined || last === undefined || first === last) return 0;
  return (1000 * (ends.length - 1)) / (last - first);
}
