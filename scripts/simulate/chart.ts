import { axis, FONT, GRID, INK, LABEL, render, titled } from "../bench/report/charts";
import type { Outcome } from "./cluster";

/** As in other charts: to be told apart without colour. */
const LINES = [
  { color: "#7f3b08", width: 2.5, type: [12, 4, 3, 4] },
  { color: "#b2182b", width: 2.5, type: [2, 4] },
  { color: "#1b5e20", width: 2.5, type: [7, 5] },
  { color: "#56a5d8", width: 5, type: "solid" as const },
];

/** GPUs that are had over the day, a line for each way, as SVG. */
export function gpuChart(outcomes: readonly Outcome[]): string {
  const busy = "busy with urgent requests";
  const [first] = outcomes;
  return render({
    title: titled(
      "GPUs over a day, simulated",
      "20 urgent models in 5 fleets of at most 1,000 GPUs together, and the same batch work for all.",
    ),
    legend: {
      bottom: 8,
      itemWidth: 44,
      itemGap: 40,
      lineStyle: { width: "inherit" },
      itemStyle: { opacity: 0 },
      textStyle: { color: INK, fontSize: 13, fontFamily: FONT },
      data: [...outcomes.map(({ system }) => system.name), busy],
    },
    grid: { left: 78, right: 34, top: 84, bottom: 124 },
    xAxis: {
      type: "value",
      name: "Hour of the day",
      ...axis(34),
      min: 0,
      max: 24,
      interval: 3,
      axisLabel: LABEL,
      splitLine: { show: true, lineStyle: { color: GRID } },
    },
    yAxis: {
      type: "value",
      name: "GPUs",
      ...axis(54),
      min: 0,
      max: 1000,
      interval: 200,
      axisLabel: LABEL,
      splitLine: { lineStyle: { color: GRID } },
    },
    series: [
      ...outcomes.map(({ system, course }, index) => ({
        type: "line" as const,
        name: system.name,
        symbol: "none",
        lineStyle: LINES[index % LINES.length] ?? {},
        itemStyle: { color: LINES[index % LINES.length]?.color ?? INK },
        data: course.map(({ hour, gpus }) => [hour, gpus]),
      })),
      {
        type: "line" as const,
        name: busy,
        symbol: "none",
        lineStyle: { color: "#888888", width: 1.2 },
        itemStyle: { color: "#888888" },
        areaStyle: { color: "#dddddd", opacity: 0.6 },
        data: (first?.course ?? []).map(({ hour, busy: gpus }) => [hour, Number(gpus.toFixed(1))]),
      },
    ],
  });
}
