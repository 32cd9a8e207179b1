/*
 * What a dashboard shows of models, whoever draws it: CloudWatch for a host (dashboard.ts), Grafana for a fleet
 * (components/fleet/dashboard.ts).
 */

/** What a counter grows by in a second, or by what it grows while another one grows by 1. */
export interface Growth {
  readonly kind: "growth";
  readonly counter: string;
  readonly over?: string;
  /** The value drawn is that many times as large. */
  readonly times: number;
}

/** What a gauge says. All queues of a model say the same. */
export interface Level {
  readonly kind: "level";
  readonly gauge: string;
  readonly times: number;
  /** Of the values in a while. */
  readonly statistic: "mean" | "largest";
}

export type Value = Growth | Level;

/** A graph with lines for each of some models. */
export interface ModelGraph {
  readonly title: string;
  readonly unit: string;
  /** Those that it is about; all, if it does not say. */
  readonly models?: readonly string[];
  /** Each with what follows the model's name. */
  readonly lines: readonly (readonly [suffix: string, value: Value])[];
}

/** Seconds in a minute. */
const MINUTE = 60;
const PERCENT = 100;

/**
 * The graphs of models, in the order in which they are shown. Metrics are those of Triton and of
 * native/xsched/src/control/metrics.cc.
 *
 * @param floors models that have a floor
 * @param weights models that have a weight
 */
export function modelGraphs(floors: readonly string[], weights: readonly string[]): readonly ModelGraph[] {
  const growth = (counter: string, times: number, over?: string): ModelGraph["lines"] => [
    ["", { kind: "growth", counter, times, ...(over !== undefined && { over }) }],
  ];
  const used: ModelGraph["lines"][number] = [
    "",
    { kind: "level", gauge: "xsched_queue_floor_used_ratio", times: PERCENT, statistic: "mean" },
  ];
  const floor: ModelGraph["lines"][number] = [
    ": floor",
    { kind: "level", gauge: "xsched_queue_floor_ratio", times: PERCENT, statistic: "largest" },
  ];
  const shares: readonly ModelGraph[] = [
    {
      title: "Share of the GPU's time that models with a floor had, and the floor",
      unit: "%",
      models: floors,
      lines: [used, floor],
    },
    {
      title: "Share of the GPU's time that models with a weight had",
      unit: "%",
      models: weights,
      lines: [used],
    },
  ];
  return [
    { title: "Requests", unit: "1/s", lines: growth("nv_inference_request_success", 1) },
    { title: "Failed requests", unit: "1/min", lines: growth("nv_inference_request_failure", MINUTE) },
    {
      title: "Mean time in the queue",
      unit: "ms",
      lines: growth("nv_inference_queue_duration_us", 1 / 1000, "nv_inference_request_success"),
    },
    {
      title: "Time that launches waited for more urgent models",
      unit: "% of the time",
      lines: growth("xsched_queue_blocked_seconds_total", PERCENT),
    },
    {
      title: "How often a model made others wait",
      unit: "1/min",
      lines: growth("xsched_queue_preemptions_total", MINUTE),
    },
    ...shares.filter(({ models }) => models?.length !== 0),
  ];
}
