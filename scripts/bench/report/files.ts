import * as fs from "node:fs";
import * as path from "node:path";

import { MEANING } from "../arms/arms";
import { type OpenLoad } from "../load/messages";
import { contendersOf } from "../measure";
import { PARTS } from "../serverTimes";
import { INTERVAL_METHOD, type Estimate } from "../statistics/bootstrap";
import { latencyChart, middleLatencyChart, throughputChart } from "./charts";
import { type Results } from "./results";
import { FORM, overFormer } from "./formerRun";
import { type LatencySummary, type Percentile, PERCENTILES } from "./summary";

/** Draws the results as SVG; undefined if they contain nothing to draw. */
export type Chart = (results: Results) => string | undefined;

/** The charts of a report, by file. */
export const CHARTS: Readonly<Record<string, Chart>> = {
  "latency.svg": latencyChart,
  "latency-middle.svg": middleLatencyChart,
  "throughput.svg": throughputChart,
};

export interface Report {
  /** The paths of the files written. */
  readonly files: readonly string[];
  /** Why charts are missing. */
  readonly undrawn: readonly string[];
}

/**
 * Writes the files of a report. A run takes long and a chart can be drawn again, so all figures are on disk before
 * anything is drawn, and no chart costs another file.
 */
export function writeReport(folder: string, results: Results, charts = CHARTS): Report {
  fs.mkdirSync(folder, { recursive: true });
  const files: string[] = [];
  const undrawn: string[] = [];
  const write = (name: string, text: string): void => {
    const file = path.join(folder, name);
    fs.writeFileSync(file, text);
    files.push(file);
  };
  write("results.json", resultsJson(results));
  write("samples.csv", csv(sampleRows(results)));
  write("summary.csv", csv(summaryRows(results)));
  for (const [name, draw] of Object.entries(charts)) {
    // An earlier run's chart would not belong to these figures.
    fs.rmSync(path.join(folder, name), { force: true });
    try {
      const text = draw(results);
      if (text !== undefined) write(name, text);
    } catch (error) {
      undrawn.push(`${name} could not be drawn: ${error instanceof Error ? error.message : String(error)}`);
    }
  }
  return { files, undrawn };
}

/** Everything, with every sample. Unknown values are null. */
export function resultsJson({ run, plan, measurements, summary, former }: Results): string {
  const document = {
    form: FORM,
    run,
    plan: {
      high: { model: plan.high.model, periodMs: plan.high.periodMs },
      ...(plan.middle && { middle: { model: plan.middle.model, periodMs: plan.middle.periodMs } }),
      lows: plan.lows,
      arms: plan.arms,
      rounds: plan.rounds,
      samples: plan.high.schedules.reduce((sum, schedule) => sum + schedule.length, 0),
      warmUpMs: plan.warmUpMs,
    },
    method: { percentiles: "nearest rank", intervals: INTERVAL_METHOD },
    meaning: MEANING,
    summary,
    compared: former.map((earlier) => ({
      run: earlier.run,
      standalone: overFormer(summary, earlier, plan.high.model),
    })),
    measurements: measurements.map(({ high, middle, ...rest }) => ({
      ...rest,
      ...(high && { high: openLoad(high) }),
      ...(middle && { middle: openLoad(middle) }),
    })),
  };
  return `${JSON.stringify(document, undefined, 1)}\n`;
}

/** One row per arm, model, measure and statistic. Shares of all low models together have no model. */
function summaryRows({ plan, summary, former }: Results): Cell[][] {
  const rows: Cell[][] = [["arm", "model", "measure", "statistic", "unit", "value", "low95", "high95"]];
  const put = (
    arm: string,
    model: string,
    measure: string,
    statistic: string,
    unit: string,
    { value, low, high }: Estimate,
  ): void => {
    rows.push([arm, model, measure, statistic, unit, value, low, high]);
  };
  const plain = (value: number): Estimate => ({ value, low: NaN, high: NaN });
  const names = Object.keys(PERCENTILES) as Percentile[];
  const putLatency = (
    arm: string,
    model: string,
    role: "high" | "middle",
    { samples, failed, latencyMs, ratio, lagMs }: LatencySummary,
  ): void => {
    const alone = role === "high" ? "standalone" : "alone";
    put(arm, model, `${role} requests`, "answered", "", plain(samples));
    put(arm, model, `${role} requests`, "failed", "", plain(failed));
    for (const name of names) {
      put(arm, model, `${role} latency`, name, "ms", latencyMs[name]);
      put(arm, model, `${role} latency over ${alone}`, name, "", ratio[name]);
    }
    for (const name of ["p50", "p99", "max"] as const) {
      put(arm, model, "send lag", name, "ms", plain(lagMs[name]));
    }
  };
  for (const [model, alone] of Object.entries(summary.lowAlone)) {
    put("low alone", model, "low throughput", "mean", "1/s", alone);
  }
  for (const { arm, lows, lowTotal, ...latency } of summary.arms) {
    putLatency(arm, plan.high.model, "high", latency);
    for (const { model, perSecond, ofAlone, ofBound, failed } of lows) {
      put(arm, model, "low throughput", "mean", "1/s", perSecond);
      put(arm, model, "low throughput over alone", "mean", "", ofAlone);
      put(arm, model, "low throughput over bound", "mean", "", ofBound);
      put(arm, model, "low requests", "failed", "", plain(failed));
    }
    if (lowTotal) {
      put(arm, "", "low throughput over alone", "sum", "", lowTotal.ofAlone);
      put(arm, "", "low throughput over bound", "sum", "", lowTotal.ofBound);
    }
  }
  for (const { phase, behindHigh, ...latency } of summary.middle) {
    const model = plan.middle?.model ?? "";
    putLatency(phase, model, "middle", latency);
    for (const name of names) {
      put(phase, model, "middle latency over middle behind high", name, "", behindHigh[name]);
    }
  }
  for (const earlier of former) {
    const { name, latency, compute } = overFormer(summary, earlier, plan.high.model);
    for (const found of earlier.summary.arms) {
      putLatency(`${name}: ${found.arm}`, plan.high.model, "high", found);
    }
    for (const statistic of names) {
      const measure = `high latency over ${name}: standalone`;
      put("standalone", plan.high.model, measure, statistic, "", plain(latency[statistic]));
    }
    const measure = `high server compute over ${name}: standalone`;
    put("standalone", plan.high.model, measure, "mean", "", plain(compute));
  }
  const roles = new Map(contendersOf(plan).map(({ model, role }) => [model, role]));
  for (const { phase, model, requests, executions, partMs, computeMs, computeRatio } of summary.server) {
    const measure = `${roles.get(model) ?? ""} server`;
    put(phase, model, `${measure} requests`, "answered", "", plain(requests));
    put(phase, model, `${measure} executions`, "count", "", plain(executions));
    for (const part of PARTS) put(phase, model, `${measure} ${part}`, "mean", "ms", partMs[part]);
    put(phase, model, `${measure} compute`, "mean", "ms", computeMs);
    put(phase, model, `${measure} compute over alone`, "mean", "", computeRatio);
  }
  return rows;
}

/** One row per request to a model with an open loop. */
function sampleRows({ plan, measurements }: Results): Cell[][] {
  const rows: Cell[][] = [["round", "arm", "model", "index", "intended_ms", "lag_ms", "latency_ms"]];
  for (const { round, phase, high, middle } of measurements) {
    const put = (model: string, load: OpenLoad | undefined): void => {
      load?.intended.forEach((intended, index) => {
        const measured = [load.lag[index] ?? NaN, load.latency[index] ?? NaN];
        rows.push([round + 1, phase, model, index, intended, ...measured]);
      });
    };
    put(plan.high.model, high);
    put(plan.middle?.model ?? "", middle);
  }
  return rows;
}

function openLoad({ intended, lag, latency, problems }: OpenLoad): object {
  return {
    intendedMs: rounded(intended),
    lagMs: rounded(lag),
    latencyMs: rounded(latency),
    problems,
  };
}

type Cell = string | number;

/** No cell contains a comma, a quote or a line break. Unknown values are empty. */
function csv(rows: readonly (readonly Cell[])[]): string {
  const text = (cell: Cell): string =>
    typeof cell === "string" ? cell : Number.isNaN(cell) ? "" : String(Number(cell.toFixed(6)));
  return rows.map((row) => `${row.map(text).join(",")}\n`).join("");
}

/** Rounds to microseconds, the precision of the values. */
function rounded(milliseconds: Float64Array): number[] {
  return Array.from(milliseconds, (value) => Number(value.toFixed(3)));
}
