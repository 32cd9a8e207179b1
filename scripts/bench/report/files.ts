import * as fs from "node:fs";
import * as path from "node:path";

import { MEANING } from "../arms/arms";
import { PARTS } from "../serverTimes";
import { INTERVAL_METHOD, type Estimate } from "../statistics/bootstrap";
import { latencyChart, throughputChart } from "./charts";
import { type Results } from "./results";
import { type Percentile, PERCENTILES } from "./summary";

/** The version of results.json's format; it grows when readers have to change. */
const FORM = 1;

/** Draws the results as SVG; undefined if they contain nothing to draw. */
export type Chart = (results: Results) => string | undefined;

/** The charts of a report, by file. */
export const CHARTS: Readonly<Record<string, Chart>> = {
  "latency.svg": latencyChart,
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
export function resultsJson({ run, plan, measurements, summary }: Results): string {
  const document = {
    form: FORM,
    run,
    plan: {
      high: plan.high,
      low: plan.low,
      arms: plan.arms,
      rounds: plan.rounds,
      samples: plan.schedules.reduce((sum, schedule) => sum + schedule.length, 0),
      periodMs: plan.periodMs,
      warmUpMs: plan.warmUpMs,
      lowConcurrency: plan.lowConcurrency,
    },
    method: { percentiles: "nearest rank", intervals: INTERVAL_METHOD },
    meaning: MEANING,
    summary,
    measurements: measurements.map(({ high, ...rest }) => ({
      ...rest,
      ...(high && {
        high: {
          intendedMs: rounded(high.intended),
          lagMs: rounded(high.lag),
          latencyMs: rounded(high.latency),
          problems: high.problems,
        },
      }),
    })),
  };
  return `${JSON.stringify(document, undefined, 1)}\n`;
}

/** One row per arm, measure and statistic. */
function summaryRows({ plan, summary }: Results): Cell[][] {
  const rows: Cell[][] = [["arm", "measure", "statistic", "unit", "value", "low95", "high95"]];
  const put = (
    arm: string,
    measure: string,
    statistic: string,
    unit: string,
    { value, low, high }: Estimate,
  ): void => {
    rows.push([arm, measure, statistic, unit, value, low, high]);
  };
  const plain = (value: number): Estimate => ({ value, low: NaN, high: NaN });
  put("low alone", "low throughput", "mean", "1/s", summary.lowAlone);
  for (const { arm, samples, failed, latencyMs, ratio, lagMs, low } of summary.arms) {
    put(arm, "high requests", "answered", "", plain(samples));
    put(arm, "high requests", "failed", "", plain(failed));
    for (const name of Object.keys(PERCENTILES) as Percentile[]) {
      put(arm, "high latency", name, "ms", latencyMs[name]);
      put(arm, "high latency over standalone", name, "", ratio[name]);
    }
    put(arm, "send lag", "p50", "ms", plain(lagMs.p50));
    put(arm, "send lag", "p99", "ms", plain(lagMs.p99));
    put(arm, "send lag", "max", "ms", plain(lagMs.max));
    if (low) {
      put(arm, "low throughput", "mean", "1/s", low.perSecond);
      put(arm, "low throughput over alone", "mean", "", low.ofAlone);
      put(arm, "low throughput over bound", "mean", "", low.ofBound);
      put(arm, "low requests", "failed", "", plain(low.failed));
    }
  }
  for (const { phase, model, requests, executions, partMs, computeMs, computeRatio } of summary.server) {
    const role = model === plan.high ? "high" : "low";
    put(phase, `${role} server requests`, "answered", "", plain(requests));
    put(phase, `${role} server executions`, "count", "", plain(executions));
    for (const part of PARTS) put(phase, `${role} server ${part}`, "mean", "ms", partMs[part]);
    put(phase, `${role} server compute`, "mean", "ms", computeMs);
    put(phase, `${role} server compute over alone`, "mean", "", computeRatio);
  }
  return rows;
}

/** One row per request to the high model. */
function sampleRows({ measurements }: Results): Cell[][] {
  const rows: Cell[][] = [["round", "arm", "index", "intended_ms", "lag_ms", "latency_ms"]];
  for (const { round, phase, high } of measurements) {
    high?.intended.forEach((intended, index) => {
      rows.push([round + 1, phase, index, intended, high.lag[index] ?? NaN, high.latency[index] ?? NaN]);
    });
  }
  return rows;
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
