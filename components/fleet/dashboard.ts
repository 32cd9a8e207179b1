import { modelGraphs, type Value } from "../observability/graphs";
import type { ModelFiles } from "./modelFiles";
import { digestOf } from "./names";
import type { PodSettings } from "./pod";
import { regexOf, scaledQuery } from "./scaling";

/** What a line of a graph shows, and what it is called. */
export interface Line {
  readonly expr: string;
  readonly legend: string;
}

export interface Graph {
  readonly title: string;
  readonly unit: string;
  readonly lines: readonly Line[];
}

/** What Grafana takes for an interval that has at least four samples. */
const INTERVAL = "$__rate_interval";

/** Two graphs a row: first those of models, as a host's dashboard has them, then those of the pods. */
export function fleetGraphs(fleet: string, settings: PodSettings, models: readonly ModelFiles[]): Graph[] {
  const { namespace, scaling, models: wanted } = settings;
  const chosen = (names: readonly string[] | undefined): string =>
    `{namespace="${namespace}"${names === undefined ? "" : `,model=~${regexOf(names)}`}}`;
  const having = (share: "floor" | "weight"): string[] =>
    wanted.filter((model) => model[share] > 0).map(({ name }) => name);
  const ofFleet = `{namespace="${namespace}"}`;
  const replicas = (what: string): string =>
    `max(kube_deployment_${what}{namespace="${namespace}",deployment="${fleet}"})`;
  const memory = `100 * nv_gpu_memory_used_bytes${ofFleet} / nv_gpu_memory_total_bytes${ofFleet}`;
  return [
    ...modelGraphs(having("floor"), having("weight")).map(({ title, unit, models: some, lines }) => ({
      title,
      unit,
      lines: lines.map(([suffix, value]) => ({
        expr: drawn(value, chosen(some)),
        legend: `{{model}}${suffix}`,
      })),
    })),
    {
      title: "GPU use",
      unit: "%",
      lines: [
        { expr: `100 * avg(nv_gpu_utilization${ofFleet})`, legend: "mean of the pods" },
        { expr: `100 * max(nv_gpu_utilization${ofFleet})`, legend: "busiest pod" },
      ],
    },
    { title: "GPU memory", unit: "% taken", lines: [{ expr: `max(${memory})`, legend: "fullest pod" }] },
    {
      title: "Pods",
      unit: "pods",
      lines: [
        { expr: replicas("status_replicas_available"), legend: "ready" },
        { expr: replicas("spec_replicas"), legend: "wanted" },
      ],
    },
    ...(scaling === undefined
      ? []
      : [
          {
            title: "Share of their time that urgent requests wait, by which pods are counted",
            unit: "%",
            lines: [
              { expr: scaledQuery(settings, scaling, models), legend: "waiting" },
              { expr: `vector(${scaling.waitPercent})`, legend: "waitPercent" },
            ],
          },
        ]),
    {
      title: "Alarms",
      unit: "1 has gone off",
      lines: [
        {
          expr: `count by (alertname) (ALERTS{alertstate="firing",namespace="${namespace}",fleet="${fleet}"})`,
          legend: "{{alertname}}",
        },
      ],
    },
  ];
}

function drawn(value: Value, selected: string): string {
  const times = (text: string, factor: number): string => {
    if (factor === 1) return text;
    return factor < 1 ? `${text} / ${1 / factor}` : `${factor} * ${text}`;
  };
  if (value.kind === "level") {
    const { gauge, statistic } = value;
    return times(`${statistic === "mean" ? "avg" : "max"} by (model) (${gauge}${selected})`, value.times);
  }
  const growth = (counter: string): string => `sum by (model) (rate(${counter}${selected}[${INTERVAL}]))`;
  const { counter, over } = value;
  return times(over === undefined ? growth(counter) : `${growth(counter)} / ${growth(over)}`, value.times);
}

/** https://grafana.com/docs/grafana/latest/dashboards/build-dashboards/view-dashboard-json-model/ */
export function dashboardJson(fleet: string, namespace: string, graphs: readonly Graph[]): string {
  const datasource = { type: "prometheus", uid: "${datasource}" };
  const dashboard = {
    // Its address in Grafana, which stays as it is.
    uid: `triton-${digestOf([namespace, fleet])}`,
    title: `Triton fleet ${fleet} (${namespace})`,
    tags: ["triton"],
    schemaVersion: 39,
    editable: false,
    time: { from: "now-3h", to: "now" },
    refresh: "1m",
    templating: { list: [{ name: "datasource", type: "datasource", query: "prometheus" }] },
    panels: graphs.map(({ title, unit, lines }, index) => ({
      id: index + 1,
      type: "timeseries",
      title,
      datasource,
      gridPos: { x: (index % 2) * 12, y: Math.floor(index / 2) * 8, w: 12, h: 8 },
      fieldConfig: { defaults: { min: 0, custom: { axisLabel: unit } }, overrides: [] },
      options: { legend: { displayMode: "list", placement: "bottom" }, tooltip: { mode: "multi" } },
      targets: lines.map(({ expr, legend }, at) => ({
        refId: String.fromCharCode(65 + at),
        datasource,
        expr,
        legendFormat: legend,
      })),
    })),
  };
  return `${JSON.stringify(dashboard, undefined, 2)}\n`;
}
