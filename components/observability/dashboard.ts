import { NAMESPACE } from "./agentConfig";
import { modelGraphs, type Value } from "./graphs";

/*
 * https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/CloudWatch-Dashboard-Body-Structure.html
 */

export interface DashboardOptions {
  readonly region: string;
  readonly instanceId: string;
  /** Names of the models, in the order of the stack config. */
  readonly models: readonly string[];
  /** Those of them that have a floor, and those that have a weight. */
  readonly floors: readonly string[];
  readonly weights: readonly string[];
  /** ARNs of the alarms. */
  readonly alarms: readonly string[];
}

/** Something drawn: a metric, or an expression over metrics that are not drawn themselves. */
type Line = readonly (string | object)[];

type Graph = readonly [title: string, unit: string, lines: Line[]];

const PERIOD_SECONDS = 60;

/** What the ids of metrics begin with that are not drawn; `s` for others. */
const ID: Readonly<Record<string, string>> = {
  nv_inference_queue_duration_us: "q",
  xsched_queue_blocked_seconds_total: "b",
  xsched_queue_floor_used_ratio: "u",
  xsched_queue_floor_ratio: "f",
};

/** Two charts a row: first those of the models, then those of the host, and its alarms at the end. */
export function dashboardBody({
  region,
  instanceId,
  models,
  floors,
  weights,
  alarms,
}: DashboardOptions): string {
  const dimensions = ["InstanceId", instanceId];
  const ofModel = (metric: string, model: string, options: object): Line => [
    ...[NAMESPACE, metric, ...dimensions, "model", model],
    { stat: "Sum", ...options },
  ];
  const ofHost = (metric: string, label: string, id?: string): Line => [
    ...[NAMESPACE, metric, ...dimensions],
    { stat: "Maximum", label, ...(id !== undefined && { id, visible: false }) },
  ];
  const expression = (text: string, label: string): Line => [{ expression: text, label }];
  /** A line of a model, with the metrics behind it, which are not drawn. */
  const drawn = (value: Value, model: string, index: number, label: string): Line[] => {
    if (value.kind === "level") {
      const id = `${ID[value.gauge] ?? "s"}${index}`;
      const stat = value.statistic === "mean" ? "Average" : "Maximum";
      return [
        expression(`${value.times} * ${id}`, label),
        ofModel(value.gauge, model, { stat, id, visible: false }),
      ];
    }
    const { counter, over, times } = value;
    if (over === undefined && times === PERIOD_SECONDS) return [ofModel(counter, model, { label })];
    const [id, divisor] = [`${ID[counter] ?? "s"}${index}`, `n${index}`];
    const scaled = times < 1 ? `/ ${1 / times}` : "";
    const grown = over === undefined ? `${id} / ${PERIOD_SECONDS}` : `${id} / ${divisor}`;
    return [
      expression([times > 1 ? `${times} *` : "", grown, scaled].filter(Boolean).join(" "), label),
      ofModel(counter, model, { id, visible: false }),
      ...(over === undefined ? [] : [ofModel(over, model, { id: divisor, visible: false })]),
    ];
  };
  const ofModels = modelGraphs(floors, weights).map(
    ({ title, unit, models: some = models, lines }): Graph => [
      title,
      unit,
      some.flatMap((model, index) =>
        lines.flatMap(([suffix, value]) => drawn(value, model, index, `${model}${suffix}`)),
      ),
    ],
  );
  const graphs: readonly Graph[] = [
    ...ofModels,
    ["GPU use", "%", [ofHost("nvidia_smi_utilization_gpu", "busiest GPU")]],
    [
      "Memory and disk",
      "% taken",
      [
        expression("100 * used / total", "GPU memory"),
        ofHost("nvidia_smi_memory_used", "", "used"),
        ofHost("nvidia_smi_memory_total", "", "total"),
        ofHost("disk_used_percent", "fullest disk"),
        ofHost("mem_used_percent", "main memory"),
      ],
    ],
    ["Ready", "1 is yes", [ofHost("xsched_triton_ready", "Triton and all models")]],
  ];
  const widgets = graphs.map(([title, unit, metrics], index) => ({
    type: "metric",
    x: (index % 2) * 12,
    y: Math.floor(index / 2) * 6,
    width: 12,
    height: 6,
    properties: {
      title,
      region,
      view: "timeSeries",
      stacked: false,
      period: PERIOD_SECONDS,
      metrics,
      yAxis: { left: { label: unit, showUnits: false, min: 0 } },
    },
  }));
  const states = {
    type: "alarm",
    x: 0,
    y: Math.ceil(graphs.length / 2) * 6,
    width: 24,
    height: 3,
    properties: { title: "Alarms", alarms },
  };
  return JSON.stringify({ widgets: [...widgets, states] });
}
