import * as echarts from "echarts";

import { type Arm, MEANING, type Phase, PHASES } from "../arms/arms";
import { contendersOf, latencies } from "../measure";
import { type Estimate } from "../statistics/bootstrap";
import { sorted } from "../statistics/percentile";
import { type Results } from "./results";
import { linearTicks, logTicks } from "./ticks";

const WIDTH = 900;
const HEIGHT = 540;
export const FONT = "Helvetica, Arial, sans-serif";
export const INK = "#222222";
export const GRID = "#dddddd";

/** The most points of a line; this width cannot show more. */
const POINTS = 600;

/** Above this ratio of the longest to the shortest latency, the axis is logarithmic. */
const LOG_FROM = 8;

interface Line {
  readonly color: string;
  readonly width: number;
  readonly type: "solid" | number[];
}

/**
 * Lines that can be told apart without colour, by dashes, width and darkness. The lowest line comes first, so that the
 * thin line of the model alone stays visible on top of the thick one of "xsched".
 */
const CONTENDED: readonly (readonly [Phase, Line])[] = [
  ["xsched", { color: "#56a5d8", width: 5, type: "solid" }],
  ["triton", { color: "#b2182b", width: 2.5, type: [2, 4] }],
  ["triton+priority", { color: "#7f3b08", width: 2.5, type: [12, 4, 3, 4] }],
];
const ALONE: Line = { color: "#000000", width: 1.6, type: "solid" };
const LINES: Readonly<Record<"high" | "middle", ReadonlyMap<Phase, Line>>> = {
  high: new Map([...CONTENDED, ["standalone", ALONE]]),
  middle: new Map([
    ...CONTENDED,
    ["middle behind high", { color: "#1b5e20", width: 2.5, type: [7, 5] }],
    ["middle alone", ALONE],
  ]),
};

/** The share of the high model's requests answered within a time, one line per arm, as SVG. */
export function latencyChart(results: Results): string {
  const { model } = results.plan.high;
  return drawLatency(results, "high", model, results.run.rate, results.run.arrivals);
}

/** The same of the middle model; undefined without one. */
export function middleLatencyChart(results: Results): string | undefined {
  const model = results.plan.middle?.model;
  if (model === undefined || results.summary.middle.length === 0) return undefined;
  return drawLatency(results, "middle", model, results.run.middleRate, "poisson");
}

function drawLatency(
  results: Results,
  role: "high" | "middle",
  model: string,
  rate: number,
  arrivals: string,
): string {
  const { plan, measurements } = results;
  const found = [...LINES[role]].flatMap(([phase, line]) => {
    const samples = latencies(measurements, phase, role);
    return samples.length > 0 ? [{ phase, line, samples: merged(samples) }] : [];
  });
  const all = merged(found.map(({ samples }) => samples));
  const least = all[0] ?? 1;
  const most = all.at(-1) ?? 1;
  const logarithmic = most / least > LOG_FROM;
  const ticks = logarithmic ? logTicks(least, most) : linearTicks(least, most);
  const perArm = Math.max(...found.map(({ samples }) => samples.length));
  const others = contendersOf(plan).map((contender) => contender.model);
  return render({
    title: titled(
      `Latency of ${model} next to ${listed(others.filter((other) => other !== model))}`,
      `${model}: ${count(rate)} requests/s, ${arrivals} arrivals, ${count(perArm)} per arm, from the due time.`,
      `${listed(plan.lows.map((low) => low.model))}: back to back.`,
      remark(results),
    ),
    legend: {
      bottom: 8,
      itemWidth: 56,
      itemGap: 28,
      lineStyle: { width: "inherit" },
      itemStyle: { opacity: 0 },
      textStyle: { color: INK, fontSize: 14, fontFamily: FONT },
      data: PHASES.filter((phase) => found.some((of) => of.phase === phase)),
    },
    grid: { left: 78, right: 34, top: 116, bottom: 100 },
    xAxis: {
      type: logarithmic ? "log" : "value",
      name: `Latency in milliseconds${logarithmic ? " (logarithmic)" : ""}`,
      ...axis(34),
      min: ticks.low,
      max: ticks.high,
      axisTick: { show: true, customValues: [...ticks.values] },
      axisLabel: { ...LABEL, customValues: [...ticks.values] },
      splitLine: { show: true, lineStyle: { color: GRID } },
    },
    yAxis: {
      type: "value",
      name: "Requests answered in this time (%)",
      ...axis(50),
      min: 0,
      max: 100,
      interval: 20,
      axisLabel: LABEL,
      splitLine: { lineStyle: { color: GRID } },
    },
    series: found.map(({ phase, line, samples }) => ({
      type: "line" as const,
      name: phase,
      step: "end" as const,
      symbol: "none",
      lineStyle: line,
      itemStyle: { color: line.color },
      data: distribution(samples),
    })),
  });
}

/** Fills of the low models, from the bottom. */
const FILLS = ["#a9c6dc", "#e3d3a4", "#c9b3d6", "#b5d6b2"];

/**
 * The low models' throughput in each arm, with intervals, as SVG: of one, also alone; of several, each as a share of its
 * own alone, because their requests differ. Undefined if no arm loads a low model.
 */
export function throughputChart(results: Results): string | undefined {
  const { plan, summary } = results;
  const arms = summary.arms.filter(({ lows }) => lows.length > 0);
  if (arms.length === 0) return undefined;
  const [first] = plan.lows;
  const single = plan.lows.length === 1 && first !== undefined;
  const names = listed(plan.lows.map(({ model }) => model));
  const bars: Bar[] = single
    ? [
        { name: `${first.model} alone`, ...singleBar(summary.lowAlone[first.model], 1) },
        ...arms.map(({ arm, lows: [low] }) => ({
          name: `${arm}\n${barNote(arm)}`,
          ...singleBar(low?.perSecond, low?.ofAlone.value ?? NaN),
        })),
      ]
    : arms.map(({ arm, lows, lowTotal }) => ({
        name: `${arm}\n${barNote(arm)}`,
        parts: lows.map(({ model, perSecond, ofAlone }) => ({
          value: 100 * ofAlone.value,
          label: `${model}: ${share(perSecond.value, ofAlone.value)}`,
        })),
        whole: scaled(lowTotal?.ofAlone, 100),
      }));
  const top = Math.max(...bars.map(({ whole }) => Math.max(whole.value || 0, whole.high || 0)), 1e-3);
  const ticks = linearTicks(0, top * 1.12, 6);
  const inFlight = plan.lows.map(({ concurrency }) => concurrency).join(" and ");
  const above = listed([plan.high, ...(plan.middle ? [plan.middle] : [])].map(({ model }) => model));
  return render({
    title: titled(
      `Throughput of ${names} next to ${above}`,
      `${names}: back to back, ${inFlight} in flight. ${plan.high.model}: ${count(results.run.rate)} requests/s. ${plan.rounds > 1 ? "Whiskers: 95 % confidence." : "One round, no interval."}`,
      remark(results),
    ),
    grid: { left: 86, right: 34, top: 104, bottom: 84 },
    xAxis: {
      type: "category",
      data: bars.map(({ name }) => name),
      axisLine: { lineStyle: { color: INK } },
      axisTick: { show: false },
      axisLabel: { ...LABEL, fontSize: 14, interval: 0, lineHeight: 18 },
    },
    yAxis: {
      type: "value",
      name: single ? "Requests answered per second" : "Requests answered, of each model's alone (%)",
      ...axis(58),
      min: 0,
      max: ticks.high,
      axisTick: { show: true, customValues: [...ticks.values] },
      axisLabel: { ...LABEL, customValues: [...ticks.values] },
      splitLine: { lineStyle: { color: GRID } },
    },
    series: [
      ...plan.lows.map((_, index) => ({
        type: "bar" as const,
        stack: "low",
        barWidth: "52%",
        data: bars.map(({ name, parts }) => ({
          value: parts[index]?.value ?? NaN,
          itemStyle: {
            color: single && name.startsWith("xsched") ? "#2f6f9f" : (FILLS[index % FILLS.length] ?? ""),
            borderColor: INK,
            borderWidth: 1,
          },
        })),
        label: {
          show: true,
          position: "insideBottom" as const,
          distance: 10,
          color: INK,
          backgroundColor: "#ffffff",
          padding: [4, 6],
          lineHeight: 18,
          align: "center" as const,
          fontSize: 14,
          fontFamily: FONT,
          formatter: ({ dataIndex }: { dataIndex: number }) => bars[dataIndex]?.parts[index]?.label ?? "",
        },
      })),
      {
        type: "custom" as const,
        z: 3,
        data: bars.map(({ whole }, index) => [index, whole.low, whole.high]),
        renderItem: (_params, api) => whisker(api),
      },
    ],
  });
}

interface Bar {
  readonly name: string;
  /** One for each low model, from the bottom. */
  readonly parts: readonly { readonly value: number; readonly label: string }[];
  readonly whole: Estimate;
}

function singleBar(perSecond: Estimate | undefined, ofAlone: number): Omit<Bar, "name"> {
  const whole = scaled(perSecond, 1);
  return { parts: [{ value: whole.value, label: share(whole.value, ofAlone) }], whole };
}

function scaled(estimate: Estimate | undefined, factor: number): Estimate {
  const { value, low, high } = estimate ?? { value: NaN, low: NaN, high: NaN };
  return { value: factor * value, low: factor * low, high: factor * high };
}

export const LABEL = { color: INK, fontSize: 13, fontFamily: FONT };

/** @param gap pixels from the axis to its name */
export function axis(gap: number) {
  return {
    nameLocation: "middle" as const,
    nameGap: gap,
    nameTextStyle: { color: INK, fontSize: 15, fontFamily: FONT },
    axisLine: { show: true, lineStyle: { color: INK } },
  };
}

export function titled(text: string, ...lines: readonly string[]) {
  return {
    text,
    subtext: lines.filter((line) => line !== "").join("\n"),
    left: "center",
    top: 12,
    itemGap: 8,
    textStyle: { color: INK, fontSize: 20, fontFamily: FONT },
    subtextStyle: { color: "#444444", fontSize: 13, lineHeight: 18, fontFamily: FONT },
  };
}

/** A remark for readers who see only the chart. */
function remark({ plan, run }: Results): string {
  const own = contendersOf(plan).map(({ model }) => String(run.priorities[model] ?? 0));
  return run.scheduler.active
    ? `Priorities of xsched: ${listed(own)}.`
    : "XSched was inactive or could not be asked: the arms differ only in their configuration.";
}

/** The note under a bar's name. */
function barNote(arm: Arm): string {
  return MEANING[arm].replace("all models, ", "").replace("all models at ", "");
}

function share(perSecond: number, ofAlone: number): string {
  return `${perSecond < 10 ? perSecond.toFixed(2) : perSecond.toFixed(1)}/s\n${Math.round(100 * ofAlone)} %`;
}

function listed(names: readonly string[]): string {
  return names.length > 1 ? `${names.slice(0, -1).join(", ")} and ${names.at(-1) ?? ""}` : names.join("");
}

function count(value: number): string {
  return value.toLocaleString("en");
}

/** Steps from 0 % before the shortest to 100 % at the longest latency. */
export function distribution(ascending: Float64Array): [number, number][] {
  const last = ascending.length - 1;
  const taken = Math.min(POINTS, ascending.length);
  const points = Array.from({ length: taken }, (_, index): [number, number] => {
    const at = taken === 1 ? last : Math.round((index * last) / (taken - 1));
    return [ascending[at] ?? NaN, (100 * (at + 1)) / ascending.length];
  });
  return [[points[0]?.[0] ?? NaN, 0], ...points];
}

function merged(parts: readonly Float64Array[]): Float64Array {
  return sorted(Float64Array.from(parts.flatMap((part) => [...part])));
}

function whisker(api: echarts.CustomSeriesRenderItemAPI): echarts.CustomSeriesRenderItemReturn {
  const [low, high] = [1, 2].map((column) => api.coord([api.value(0), api.value(column)]));
  if (![low?.[1], high?.[1]].every(Number.isFinite)) return undefined;
  const [x = 0, bottom = 0] = low ?? [];
  const top = high?.[1] ?? 0;
  const line = (x1: number, y1: number, x2: number, y2: number) => ({
    type: "line" as const,
    shape: { x1, y1, x2, y2 },
    style: { stroke: INK, lineWidth: 2 },
  });
  return {
    type: "group",
    children: [line(x, bottom, x, top), line(x - 10, bottom, x + 10, bottom), line(x - 10, top, x + 10, top)],
  };
}

export function render(option: echarts.EChartsOption): string {
  const chart = echarts.init(null, null, { renderer: "svg", ssr: true, width: WIDTH, height: HEIGHT });
  try {
    chart.setOption({ animation: false, backgroundColor: "#ffffff", ...option });
    return chart.renderToSVGString();
  } finally {
    chart.dispose();
  }
}
