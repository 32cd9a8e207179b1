import { createHash } from "node:crypto";
import * as fs from "node:fs";
import * as path from "node:path";

import { random } from "../bench/statistics/random";
import { type ClusterOptions, type Outcome, simulate, type System } from "./cluster";
import { DAY, dayOf } from "./load";

/** A row of the table. */
export interface Row {
  readonly system: System;
  /** Hours of a GPU that the batch work of a fleet takes. */
  readonly batchHours: number;
}

/** BERT-large with 16 texts a request, in Triton's PyTorch backend on an H100: docs/results.md. */
const SERVICE_SECONDS = 0.01;

/** Each figure with what it comes from; docs/explanation/scaling.md has them in words. */
const OPTIONS: ClusterOptions = {
  gpus: 1000,
  seconds: DAY,
  // A node that is there, an image that has been pulled, models that load.
  startSeconds: 180,
  service: (next) => SERVICE_SECONDS * (0.9 + 0.2 * next()),
  serviceSeconds: SERVICE_SECONDS,
  // The worst of the tables of hooked models: Triton's compute time next to a batch model, and what of its bound that got.
  slowdown: 1.06,
  batchYield: 0.91,
  // The same without a scheduler: 2.7 times as long.
  batchWeight: 1.7,
  batchBusy: 0.9,
  probes: 1,
  seed: 1,
};

const LOAD = { fleets: 5, peaks: [36, 22, 14, 8] };
const LOAD_SEED = 7;

const BATCH_HOURS = 480;

const OURS: System = {
  name: "shared, priorities, by urgent queues",
  apart: false,
  sharing: "priorities",
  byAll: false,
  target: 0.5,
};

export const ROWS: readonly Row[] = [
  {
    system: { ...OURS, name: "one model a GPU", apart: true, sharing: "none" },
    batchHours: BATCH_HOURS,
  },
  {
    system: { ...OURS, name: "shared, stock Triton, by all queues", sharing: "none", byAll: true },
    batchHours: BATCH_HOURS,
  },
  {
    system: { ...OURS, name: "shared, priorities, by all queues", byAll: true },
    batchHours: BATCH_HOURS,
  },
  { system: OURS, batchHours: BATCH_HOURS },
  { system: { ...OURS, name: `${OURS.name}, at 40 %`, target: 0.4 }, batchHours: BATCH_HOURS },
  { system: { ...OURS, name: `${OURS.name}, twice the batch work` }, batchHours: 2 * BATCH_HOURS },
];

export const OUR_ROW = ROWS.findIndex(({ system }) => system === OURS);

/** A day of 1,000 GPUs in one way. */
export function outcomeOf({ system, batchHours }: Row): Outcome {
  return simulate(system, dayOf({ ...LOAD, batchHours }, random(LOAD_SEED)), OPTIONS);
}

const HEAD = [
  "",
  "GPU hours",
  "GPUs at most",
  "urgent P99, ms",
  "of the worst model",
  "batch done, GPU hours",
  "a job takes, hours",
];

/** The table of what came out, in Markdown. */
export function tableOf(outcomes: readonly Outcome[]): string {
  const line = (cells: readonly string[]): string => `| ${cells.join(" | ")} |`;
  return [line(HEAD), line(HEAD.map(() => "---")), ...outcomes.map((outcome) => line(cellsOf(outcome)))].join(
    "\n",
  );
}

/** A row of the table; the last column is the mean and the longest. */
export function cellsOf(outcome: Outcome): string[] {
  const whole = (value: number): string => Math.round(value).toLocaleString("en");
  const { batchHours, batchSubmitted, jobHours, longestJobHours } = outcome;
  return [
    outcome.system.name,
    whole(outcome.gpuHours),
    whole(outcome.mostGpus),
    whole(1000 * outcome.p99),
    whole(1000 * outcome.worstP99),
    `${whole(batchHours)} of ${whole(batchSubmitted)}`,
    `${jobHours.toFixed(1)}; ${longestJobHours.toFixed(1)}`,
  ];
}

/** Names the state of the simulator's sources, so that a table of another state is noticed. */
export function sourcesDigest(): string {
  const digest = createHash("sha256");
  for (const name of ["autoscaler", "cluster", "gpu", "histogram", "load", "scenario"]) {
    digest.update(fs.readFileSync(path.join(__dirname, `${name}.ts`)));
  }
  return digest.digest("hex").slice(0, 12);
}
