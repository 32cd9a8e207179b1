import * as fs from "node:fs";
import * as path from "node:path";
import { isDeepStrictEqual } from "node:util";

import { UserError } from "../../triton/userError";
import { type Plan } from "../measure";
import { type RunDescription } from "./results";
import { type Percentile, PERCENTILES, type Summary } from "./summary";

/** The version of results.json's format; it grows when readers have to change. */
export const FORM = 2;

/** The part of a plan that decides what the figures mean. */
type Load = Pick<Plan, "lows"> & Readonly<Record<"high" | "middle", LoadOf | undefined>>;
interface LoadOf {
  readonly model: string;
  readonly periodMs: number;
}

/**
 * A run of another server process, to compare this one with. No reload of a model can take the core or the hooks out of a
 * process, so their cost shows only against a server without them.
 */
export interface FormerRun {
  /** The name of its folder. */
  readonly name: string;
  readonly run: RunDescription;
  readonly plan: Load;
  readonly summary: Summary;
}

/** This run's model alone, divided by the same of a former run. */
export interface OverFormer {
  readonly name: string;
  /** The high model's latency. */
  readonly latency: Readonly<Record<Percentile, number>>;
  /** Its compute time, as Triton counts it. */
  readonly compute: number;
}

/** @throws UserError if the folder holds no results that this release can read */
export function readFormerRun(folder: string): FormerRun {
  const file = path.join(folder, "results.json");
  let text: string;
  try {
    text = fs.readFileSync(file, "utf8");
  } catch (error) {
    throw new UserError(
      `the results to compare with can't be read: ${error instanceof Error ? error.message : String(error)}`,
      "give the folder that an earlier npm run bench named in its last lines",
    );
  }
  const unknown = new UserError(
    `${file} was not written by this release's benchmark`,
    "measure that server again with this release",
  );
  let found: Omit<FormerRun, "name"> & { form: unknown };
  try {
    // Unknown values are null in JSON.
    found = JSON.parse(text, (_key, value: unknown) => (value === null ? NaN : value)) as typeof found;
  } catch {
    throw unknown;
  }
  if (found.form !== FORM) throw unknown;
  const { run, plan, summary } = found;
  // A name goes into CSV cells.
  return { name: path.basename(path.resolve(folder)).replace(/[\s",]/g, "_"), run, plan, summary };
}

/** @throws UserError that names every difference that would make the figures mean something else */
export function requireSameLoad(former: FormerRun, plan: Plan, run: Omit<RunDescription, "scheduler">): void {
  const faults: string[] = [];
  const same = (what: string, before: unknown, now: unknown): void => {
    if (!isDeepStrictEqual(before, now)) {
      const shown = (value: unknown): string => (value === undefined ? "none" : JSON.stringify(value));
      faults.push(`${what}: ${shown(before)} then, ${shown(now)} now`);
    }
  };
  for (const role of ["high", "middle"] as const) {
    same(`${role} model`, former.plan[role]?.model, plan[role]?.model);
    same(`milliseconds between its requests`, former.plan[role]?.periodMs, plan[role]?.periodMs);
  }
  same("low models", former.plan.lows, plan.lows);
  for (const what of ["protocol", "arrivals", "batch"] as const) same(what, former.run[what], run[what]);
  if (faults.length > 0) {
    throw new UserError(
      `the run in ${former.name} had another load:\n${faults.join("\n")}`,
      "compare runs with the same models and options",
    );
  }
}

/**
 * There are no intervals: the runs were not interleaved, so they would lack how much a process, or a device's clock, differs
 * from one run to the next.
 */
export function overFormer(summary: Summary, former: FormerRun, high: string): OverFormer {
  const alone = (of: Summary) => of.arms.find(({ arm }) => arm === "standalone")?.latencyMs;
  const compute = (of: Summary): number =>
    of.server.find(({ phase, model }) => phase === "standalone" && model === high)?.computeMs.value ?? NaN;
  const ratio = (name: Percentile): number =>
    (alone(summary)?.[name].value ?? NaN) / (alone(former.summary)?.[name].value ?? NaN);
  return {
    name: former.name,
    latency: Object.fromEntries(
      (Object.keys(PERCENTILES) as Percentile[]).map((name) => [name, ratio(name)]),
    ) as Record<Percentile, number>,
    compute: compute(summary) / compute(former.summary),
  };
}
