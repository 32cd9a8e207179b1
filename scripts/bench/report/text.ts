import { table } from "../../terminal/table";
import { type Phase } from "../arms/arms";
import { type Estimate } from "../statistics/bootstrap";
import { type OpenLoad } from "../load/messages";
import { type Plan } from "../measure";
import { PARTS } from "../serverTimes";
import { percentile, sorted } from "../statistics/percentile";
import { type FormerRun, overFormer } from "./formerRun";
import { type Results } from "./results";
import { type ArmSummary, type LatencySummary, type Percentile, PERCENTILES, type Summary } from "./summary";

/** Above this lag at P99, in milliseconds, the text warns: the load generator then measures itself, too. */
const NOTABLE_LAG_MS = 1;

const NAMES = Object.keys(PERCENTILES) as Percentile[];

/** The result, for a person at a terminal. */
export function resultText({ run, plan, summary, former }: Results): string {
  const high = plan.high.model;
  return [
    table([
      ["arm", ...LATENCY_HEAD, "over standalone", "compute ms"],
      ...armRows(summary, high),
      ...former.flatMap((earlier) => armRows(earlier.summary, high, `${earlier.name}: `)),
    ]),
    ...former.map((earlier) => formerLine(summary, earlier, high)),
    ...middleTable(plan, summary),
    ...lowTable(plan, summary),
    ...serverTable(summary),
    "",
    "Brackets: 95 % confidence.",
    `Scheduler: ${run.scheduler.active ? "" : "inactive or not asked: "}${run.scheduler.says.split("\n", 1)[0] ?? ""}`,
    ...summary.arms.flatMap(schedulerLine),
    ...summary.arms.map(({ arm, lagMs }) => lagLine(arm, lagMs)),
    ...summary.middle.map(({ phase, lagMs }) => lagLine(`${phase}, ${plan.middle?.model ?? ""}`, lagMs)),
  ].join("\n");
}

function armRows(summary: Summary, high: string, prefix = ""): string[][] {
  return summary.arms.map((of) => [
    `${prefix}${of.arm}`,
    ...latencyCells(of),
    ratios(of.ratio),
    compute(summary, of.arm, high),
  ]);
}

/** What the process itself costs, without contention. Each run's arms have been compared with its own standalone. */
function formerLine(summary: Summary, former: FormerRun, high: string): string {
  const { name, latency, compute: ofCompute } = overFormer(summary, former, high);
  const { server, version, began } = former.run;
  return `standalone over that of ${name} (Triton ${version} at ${server}, ${began}): ${NAMES.map((percentile) => times(latency[percentile], 3)).join(" / ")}, compute ${times(ofCompute, 3)}`;
}

const LATENCY_HEAD = ["samples", ...NAMES.map((name) => `${name.toUpperCase()} ms`)];

function latencyCells({ samples, failed, latencyMs }: LatencySummary): string[] {
  return [
    failed > 0 ? `${samples} (${failed} failed)` : String(samples),
    ...NAMES.map((name) => interval(latencyMs[name], milliseconds)),
  ];
}

function ratios(ratio: LatencySummary["ratio"]): string {
  return NAMES.map((name) => times(ratio[name].value)).join(" / ");
}

/** What the models above and below it cost the middle model. */
function middleTable({ middle }: Plan, summary: Summary): string[] {
  if (middle === undefined) return [];
  const head = [`${middle.model}, middle`, ...LATENCY_HEAD, "over alone", "over behind high", "compute ms"];
  const rows = summary.middle.map((of) => [
    of.phase,
    ...latencyCells(of),
    ratios(of.ratio),
    ratios(of.behindHigh),
    compute(summary, of.phase, middle.model),
  ]);
  return ["", table([head, ...rows])];
}

/** The throughput of each low model; of several, also their shares together. */
function lowTable(plan: Plan, summary: Summary): string[] {
  const contended = summary.arms.filter(({ lows }) => lows.length > 0);
  if (contended.length === 0) return [];
  const head = ["low throughput", "requests/s", "of alone", "of bound"];
  const rows = [
    ...plan.lows.map(({ model }) => [
      `low alone, ${model}`,
      interval(summary.lowAlone[model] ?? { value: NaN, low: NaN, high: NaN }, perSecond),
      "",
      "",
    ]),
    ...contended.flatMap(({ arm, lows, lowTotal }) => [
      ...lows.map(({ model, perSecond: rate, ofAlone, ofBound }) => [
        `${arm}, ${model}`,
        interval(rate, perSecond),
        percent(ofAlone.value),
        percent(ofBound.value),
      ]),
      ...(lowTotal && lows.length > 1
        ? [[`${arm}, together`, "", percent(lowTotal.ofAlone.value), percent(lowTotal.ofBound.value)]]
        : []),
    ]),
  ];
  return ["", table([head, ...rows])];
}

/** Triton's compute time of a model in an arm, and its ratio to that of the model alone. */
function compute({ server }: Summary, phase: Phase, model: string): string {
  const found = server.find((of) => of.phase === phase && of.model === model);
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
  return ["", table([head, ...rows])];
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
  const blocked = Object.entries(scheduler.blockedShare).map(
    ([model, share]) => `, ${model} blocked ${percent(share)} of the time`,
  );
  return [`${arm}: ${scheduler.preemptions} preemptions${blocked.join("")}`];
}

function lagLine(what: string, lagMs: LatencySummary["lagMs"]): string {
  const late = lagMs.p99 > NOTABLE_LAG_MS ? "  ← this machine was too busy to send in time" : "";
  return `sent late, ${what}: P50 ${milliseconds(lagMs.p50)}, P99 ${milliseconds(lagMs.p99)}, at most ${milliseconds(lagMs.max)} ms${late}`;
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

function times(value: number, digits = 2): string {
  return Number.isFinite(value) ? `${value.toFixed(digits)}×` : "–";
}

function percent(share: number): string {
  return Number.isFinite(share) ? `${(100 * share).toFixed(0)} %` : "–";
}
