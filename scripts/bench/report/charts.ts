import * as echarts from "echarts";

import { type Arm, MEANING } from "../arms/arms";
import { latencies } from "../measure";
import { sorted } from "../statistics/percentile";
import { type Results } from "./results";
import { linearTicks, logTicks } from "./ticks";

const WIDTH = 900;
const HEIGHT = 540;
const FONT = "Helvetica, Arial, sans-serif";
const INK = "#222222";
const GRID = "#dddddd";

/** The most points of a line; this width cannot show more. */
const POINTS = 600;

/** Above this ratio of the longest to the shortest latency, the axis is logarithmic. */
const LOG_FROM = 8;

/**
 * Lines that can be told apart without colour, by dashes, width and darkness. The lowest line comes first, so that the
 * thin line of "standalone" stays visible on top of the thick one of "xsched".
 */
const LINES: Readonly<Record<Arm, { color: string; width: number; type: "solid" | number[] }>> = {
  xsched: { color: "#56a5d8", width: 5, type: "solid" },
  triton: { color: "#b2182b", width: 2.5, type: [2, 4] },
  "triton+priority": { color: "#7f3b08", width: 2.5, type: [12, 4, 3, 4] },
  standalone: { color: "#000000", width: 1.6, type: "solid" },
};

/** The share of the high model's requests answered within a time, one line per arm, as SVG. */
export function latencyChart(results: Results): string {
  const { plan, run, measurements } = results;
  const samples = Object.fromEntries(
    plan.arms.map((arm) => [arm, merged(latencies(measurements, arm))]),
  ) as Record<Arm, Float64Array>;
  const all = sorted(merged(Object.values(samples)));
  const least = all[0] ?? 1;
  const most = all.at(-1) ?? 1;
  const logarithmic = most / least > LOG_FROM;
  const ticks = logarithmic ? logTicks(least, most) : linearTicks(least, most);
  const perArm = Math.max(...plan.arms.map((arm) => samples[arm].length));
  return render({
    title: titled(
      `Latency of ${plan.high} next to ${plan.low}`,
      `${plan.high}: ${count(run.rate)} requests/s, ${run.arrivals} arrivals, ${count(perArm)} per arm, from the due time.`,
      `${plan.low}: back to back.`,
      remark(results),
    ),
    legend: {
      bottom: 8,
      itemWidth: 56,
      itemGap: 28,
      lineStyle: { width: "inherit" },
      itemStyle: { opacity: 0 },
      textStyle: { color: INK, fontSize: 14, fontFamily: FONT },
      data: [...plan.arms],
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
    series: (Object.keys(LINES) as Arm[])
      .filter((arm) => plan.arms.includes(arm))
      .map((arm) => ({
        type: "line" as const,
        name: arm,
        step: "end" as const,
        symbol: "none",
        lineStyle: LINES[arm],
        itemStyle: { color: LINES[arm].color },
        data: distribution(samples[arm]),
      })),
  });
}

/**
 * The low model's throughput alone and in each arm, with intervals, as SVG; undefined if no arm loads the low model.
 */
export function throughputChart(results: Results): string | undefined {
  const { plan, summary } = results;
  if (!summary.arms.some(({ low }) => low)) return undefined;
  const bars = [
    { name: "low alone", estimate: summary.lowAlone },
    ...summary.arms.flatMap(({ arm, low }) => (low ? [{ name: arm, estimate: low.perSecond }] : [])),
  ];
  const top = Math.max(...bars.map(({ estimate }) => Math.max(estimate.value, estimate.high || 0)), 1e-3);
  const ticks = linearTicks(0, top * 1.12, 6);
  return render({
    title: titled(
      `Throughput of ${plan.low} next to ${plan.high}`,
      `${plan.low}: back to back, ${plan.lowConcurrency} in flight. ${plan.high}: ${count(results.run.rate)} requests/s. ${plan.rounds > 1 ? "Whiskers: 95 % confidence." : "One round, no interval."}`,
      remark(results),
    ),
    grid: { left: 86, right: 34, top: 104, bottom: 84 },
    xAxis: {
      type: "category",
      data: bars.map(({ name }) => name),
      axisLine: { lineStyle: { color: INK } },
      axisTick: { show: false },
      axisLabel: {
        ...LABEL,
        fontSize: 14,
        interval: 0,
        lineHeight: 18,
        formatter: (name: string) =>
          name === "low alone" ? `${plan.low} alone` : `${name}\n${barNote(name)}`,
      },
    },
    yAxis: {
      type: "value",
      name: "Requests answered per second",
      ...axis(58),
      min: 0,
      max: ticks.high,
      axisTick: { show: true, customValues: [...ticks.values] },
      axisLabel: { ...LABEL, customValues: [...ticks.values] },
      splitLine: { lineStyle: { color: GRID } },
    },
    series: [
      {
        type: "bar" as const,
        barWidth: "52%",
        data: bars.map(({ name, estimate }) => ({
          value: estimate.value,
          itemStyle: { color: name === "xsched" ? "#2f6f9f" : "#a9c6dc", borderColor: INK, borderWidth: 1 },
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
          formatter: ({ dataIndex }: { dataIndex: number }) =>
            share(bars[dataIndex]?.estimate.value ?? NaN, summary.lowAlone.value),
        },
      },
      {
        type: "custom" as const,
        z: 3,
        data: bars.map(({ estimate }, index) => [index, estimate.low, estimate.high]),
        renderItem: (_params, api) => whisker(api),
      },
    ],
  });
}

const LABEL = { color: INK, fontSize: 13, fontFamily: FONT };

/** @param gap pixels from the axis to its name */
function axis(gap: number) {
  return {
    nameLocation: "middle" as const,
    nameGap: gap,
    nameTextStyle: { color: INK, fontSize: 15, fontFamily: FONT },
    axisLine: { show: true, lineStyle: { color: INK } },
  };
}

function titled(text: string, ...lines: readonly string[]) {
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
function remark({ run }: Results): string {
  return run.scheduler.active
    ? `Priorities of xsched: ${run.priorities.high} and ${run.priorities.low}.`
    : "XSched was inactive or could not be asked: the arms differ only in their configuration.";
}

/** The note under a bar's name. */
function barNote(name: string): string {
  return MEANING[name as Arm].replace("both models, ", "").replace("both models at ", "");
}

function share(value: number, whole: number): string {
  return `${value < 10 ? value.toFixed(2) : value.toFixed(1)}/s\n${Math.round((100 * value) / whole)} %`;
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

function render(option: echarts.EChartsOption): string {
  const chart = echarts.init(null, null, { renderer: "svg", ssr: true, width: WIDTH, height: HEIGHT });
  try {
    chart.setOption({ animation: false, backgroundColor: "#ffffff", ...option });
    return chart.renderToSVGString();
  } finally {
    chart.dispose();
  }
}
