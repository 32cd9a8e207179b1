import { NAMESPACE } from "./agentConfig";

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
  const hidden = (metric: string, model: string, id: string): Line =>
    ofModel(metric, model, { id, visible: false });
  const ofHost = (metric: string, label: string, id?: string): Line => [
    ...[NAMESPACE, metric, ...dimensions],
    { stat: "Maximum", label, ...(id !== undefined && { id, visible: false }) },
  ];
  const each = (lines: (model: string, index: number) => Line[]): Line[] => models.flatMap(lines);
  const expression = (text: string, label: string): Line => [{ expression: text, label }];

  // All queues of a model report what the model has.
  const used = (model: string, index: number): Line[] => [
    expression(`100 * u${index}`, model),
    ofModel("xsched_queue_floor_used_ratio", model, { stat: "Average", id: `u${index}`, visible: false }),
  ];
  const shareGraphs: readonly Graph[] = [
    [
      "Share of the GPU's time that models with a floor had, and the floor",
      "%",
      floors.flatMap((model, index) => [
        ...used(model, index),
        expression(`100 * f${index}`, `${model}: floor`),
        ofModel("xsched_queue_floor_ratio", model, { stat: "Maximum", id: `f${index}`, visible: false }),
      ]),
    ],
    ["Share of the GPU's time that models with a weight had", "%", weights.flatMap(used)],
  ];
  const graphs: readonly Graph[] = [
    [
      "Requests",
      "1/s",
      each((model, index) => [
        expression(`s${index} / ${PERIOD_SECONDS}`, model),
        hidden("nv_inference_request_success", model, `s${index}`),
      ]),
    ],
    [
      "Failed requests",
      "1/min",
      each((model) => [ofModel("nv_inference_request_failure", model, { label: model })]),
    ],
    [
      "Mean time in the queue",
      "ms",
      each((model, index) => [
        expression(`q${index} / n${index} / 1000`, model),
        hidden("nv_inference_queue_duration_us", model, `q${index}`),
        hidden("nv_inference_request_success", model, `n${index}`),
      ]),
    ],
    [
      "Time that launches waited for more urgent models",
      "% of the time",
      each((model, index) => [
        expression(`100 * b${index} / ${PERIOD_SECONDS}`, model),
        hidden("xsched_queue_blocked_seconds_total", model, `b${index}`),
      ]),
    ],
    [
      "How often a model made others wait",
      "1/min",
      each((model) => [ofModel("xsched_queue_preemptions_total", model, { label: model })]),
    ],
    ...shareGraphs.filter(([, , lines]) => lines.length > 0),
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
