import { table } from "../../terminal/table";
import { type Arm } from "../arms/arms";
import { type Estimate } from "../statistics/bootstrap";
import { type OpenLoad } from "../load/messages";
import { PARTS } from "../serverTimes";
import { percentile, sorted } from "../statistics/percentile";
import { type Results } from "./results";
import { type ArmSummary, type Percentile, PERCENTILES, type Summary } from "./summary";

/** Above this lag at P99, in milliseconds, the text warns: the load generator then measures itself, too. */
const NOTABLE_LAG_MS = 1;

/** The result, for a person at a terminal. */
export function resultText({ run, plan, summary }: Results): string {
  const names = Object.keys(PERCENTILES) as Percentile[];
  const head = [
    "arm",
    "samples",
    ...names.map((name) => `${name.toUpperCase()} ms`),
    "over standalone",
    "compute ms",
    `${plan.low}/s`,
    "of alone",
    "of bound",
  ];
  const rows = summary.arms.map(({ arm, samples, failed, latencyMs, ratio, low }) => [
    arm,
    failed > 0 ? `${samples} (${failed} failed)` : String(samples),
    ...names.map((name) => interval(latencyMs[name], milliseconds)),
    names.map((name) => times(ratio[name].value)).join(" / "),
    compute(summary, arm, plan.high),
    low ? interval(low.perSecond, perSecond) : "–",
    low ? percent(low.ofAlone.value) : "–",
    low ? percent(low.ofBound.value) : "–",
  ]);
  return [
    table([head, ...rows]),
    "",
    `${Number.isNaN(summary.lowAlone.value) ? "" : `${plan.low} alone: ${interval(summary.lowAlone, perSecond)} requests/s. `}Brackets: 95 % confidence.`,
    ...serverTable(summary),
    `Scheduler: ${run.scheduler.active ? "" : "inactive or not asked: "}${run.scheduler.says.split("\n", 1)[0] ?? ""}`,
    ...summary.arms.flatMap(schedulerLine),
    ...summary.arms.map(lagLine),
  ].join("\n");
}

/** Triton's compute time of a model in an arm, and its ratio to that of the model alone. */
function compute({ server }: Summary, arm: Arm, model: string): string {
  const found = server.find((of) => of.phase === arm && of.model === model);
  return found ? `${milliseconds(found.computeMs.value)} (${times(found.computeRatio.value)})` : "–";
}

/** What Triton itself says, for every phase and model. */
function serverTable({ server }: Summary): string[] {
  if (server.length === 0) return [];
  const head = [
    "Triton's own means, ms per request",
    "queue",
    "input",
    "infer",
    "output",
    "compute",
    "over alone",
  ];
  const rows = server.map(({ phase, model, partMs, computeMs, computeRatio }) => [
    `${phase}, ${model}`,
    ...PARTS.map((part) => milliseconds(partMs[part].value)),
    interval(computeMs, milliseconds),
    interval(computeRatio, times),
  ]);
  return ["", table([head, ...rows]), ""];
}

/** What the load generator alone did. */
export function loadText({ intended, lag, latency, problems }: OpenLoad): string {
  const answered = sorted(latency);
  const late = sorted(lag);
  const line = (what: string, values: Float64Array): string =>
    `${what}: P50 ${milliseconds(percentile(values, 0.5))}, P99 ${milliseconds(percentile(values, 0.99))}, at most ${milliseconds(values.at(-1) ?? NaN)} ms`;
  return [
    `${intended.length} requests in ${((intended.at(-1) ?? 0) / 1000).toFixed(1)} s, ${answered.length} answered`,
    line("sent late", late),
    line("latency from the due time", answered),
    ...problems.map((problem) => `failed request: ${problem}`),
  ].join("\n");
}

function schedulerLine({ arm, scheduler }: ArmSummary): string[] {
  if (scheduler === undefined) return [];
  return [
    `${arm}: ${scheduler.preemptions} preemptions, low blocked ${percent(scheduler.lowBlockedShare)} of the time`,
  ];
}

function lagLine({ arm, lagMs }: ArmSummary): string {
  const late = lagMs.p99 > NOTABLE_LAG_MS ? "  ← this machine was too busy to send in time" : "";
  return `sent late, ${arm}: P50 ${milliseconds(lagMs.p50)}, P99 ${milliseconds(lagMs.p99)}, at most ${milliseconds(lagMs.max)} ms${late}`;
}

function interval({ value, low, high }: Estimate, show: (value: number) => string): string {
  return Number.isNaN(low) ? show(value) : `${show(value)} [${show(low)}–${show(high)}]`;
}

function milliseconds(value: number): string {
  if (Number.isNaN(value)) return "–";
  return value.toFixed(value < 10 ? 3 : 2);
}

function perSecond(value: number): string {
  return value.toFixed(value < 10 ? 2 : 1);
}

function times(value: number): string {
  return Number.isFinite(value) ? `${value.toFixed(2)}×` : "–";
}

function percent(share: number): string {
  return Number.isFinite(share) ? `${(100 * share).toFixed(0)} %` : "–";
}
