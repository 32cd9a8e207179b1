import { MODEL_OF_QUEUE } from "./queueLabels";

/*
 * What Amazon's CloudWatch agent does on a host.
 * https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/CloudWatch-Agent-Configuration-File-Details.html
 * https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/CloudWatch-Agent-PrometheusEC2.html
 */

/** Namespace of all metrics that come from a host. */
export const NAMESPACE = "XSchedTriton";

/** Port of the agent's command `serve-metrics`. */
export const HOST_METRICS_PORT = 9464;

/** Where the agent's command `configure-cloudwatch` puts the second part of the configuration. */
export const PROMETHEUS_PATH = "/opt/aws/amazon-cloudwatch-agent/etc/xsched-triton-prometheus.yaml";

/** Seconds between two samples; a finer resolution costs more and is kept for hours only. */
const INTERVAL_SECONDS = 60;

export interface AgentOptions {
  readonly instanceId: string;
  /** Absolute path of the host's folder. */
  readonly directory: string;
  /** Whether Triton runs in a container. */
  readonly container: boolean;
  /** Whether there is a gateway. */
  readonly gateway: boolean;
  /** Where Triton's metrics are on the host: `address:port`. */
  readonly tritonMetrics: string;
  /** Models that have a floor, and models that have a weight. */
  readonly floors: readonly string[];
  readonly weights: readonly string[];
  /** Log group for the output of programs. */
  readonly logGroup: string;
  /** Log group that the agent sends Prometheus' metrics through. */
  readonly metricsGroup: string;
}

/** Standard input of `configure-cloudwatch`: the agent's two files, as JSON. */
export function agentConfig(options: AgentOptions): string {
  return JSON.stringify({ agent: agent(options), prometheus: prometheus(options) });
}

function agent({
  directory,
  container,
  gateway,
  floors,
  weights,
  logGroup,
  metricsGroup,
}: AgentOptions): object {
  const shares = floors.length + weights.length > 0 ? SHARE_METRICS : [];
  const log = (file: string, stream: string): object => ({
    file_path: file,
    log_group_name: logGroup,
    log_stream_name: `{instance_id}/${stream}`,
    timezone: "UTC",
  });
  return {
    // Docker's files belong to root.
    agent: { metrics_collection_interval: INTERVAL_SECONDS, run_as_user: "root" },
    metrics: {
      namespace: NAMESPACE,
      append_dimensions: { InstanceId: "${aws:InstanceId}" },
      // Alarms know the instance, but neither its file systems nor its GPUs.
      aggregation_dimensions: [["InstanceId"]],
      metrics_collected: {
        disk: {
          measurement: ["used_percent"],
          resources: ["/", `${directory}/models/store`],
          drop_device: true,
        },
        mem: { measurement: ["used_percent"] },
        nvidia_gpu: { measurement: ["utilization_gpu", "memory_used", "memory_total", "temperature_gpu"] },
      },
    },
    logs: {
      logs_collected: {
        files: {
          collect_list: [
            // The agent keeps one link there, to the log of our container. Docker's folder has those of others.
            log(`${directory}/server/logs/${container ? "container-*" : "triton"}.log`, "triton"),
            ...(gateway ? [log(`${directory}/gateway/logs/gateway.log`, "gateway")] : []),
            log("/var/log/syslog", "syslog"),
          ],
        },
      },
      metrics_collected: {
        prometheus: {
          log_group_name: metricsGroup,
          prometheus_config_path: PROMETHEUS_PATH,
          emf_processor: {
            metric_namespace: NAMESPACE,
            metric_declaration_dedup: true,
            metric_unit: {
              nv_inference_queue_duration_us: "Microseconds",
              nv_inference_request_duration_us: "Microseconds",
              xsched_queue_blocked_seconds_total: "Seconds",
            },
            metric_declaration: [
              declaration("triton", ["InstanceId", "model"], TRITON_METRICS),
              declaration("host", ["InstanceId"], ["xsched_triton_ready"]),
              declaration(
                "host",
                ["InstanceId", "model"],
                ["xsched_triton_model_ready", ...QUEUE_METRICS, ...shares],
              ),
            ],
          },
        },
      },
    },
  };
}

/** https://github.com/triton-inference-server/server/blob/r22.06/docs/metrics.md */
const TRITON_METRICS = [
  "nv_inference_request_success",
  "nv_inference_request_failure",
  "nv_inference_count",
  "nv_inference_exec_count",
  "nv_inference_request_duration_us",
  "nv_inference_queue_duration_us",
  "nv_inference_compute_infer_duration_us",
];

/** native/xsched/src/control/metrics.cc */
const QUEUE_METRICS = [
  "xsched_queue_launches_total",
  "xsched_queue_blocked_total",
  "xsched_queue_blocked_seconds_total",
  "xsched_queue_preemptions_total",
];

/** Likewise; sent only where a model has a floor or a weight, as each costs. */
const SHARE_METRICS = ["xsched_queue_floor_ratio", "xsched_queue_floor_used_ratio"];

function declaration(job: string, dimensions: string[], metrics: readonly string[]): object {
  return {
    source_labels: ["job"],
    label_matcher: `^${job}$`,
    dimensions: [dimensions],
    metric_selectors: metrics.map((metric) => `^${metric}$`),
  };
}

function prometheus({ instanceId, tritonMetrics }: AgentOptions): object {
  const job = (name: string, path: string, target: string, relabel: object[]): object => ({
    job_name: name,
    metrics_path: path,
    static_configs: [{ targets: [target], labels: { InstanceId: instanceId } }],
    metric_relabel_configs: relabel,
  });
  const interval = `${INTERVAL_SECONDS}s`;
  return {
    global: { scrape_interval: interval, scrape_timeout: "10s" },
    scrape_configs: [
      job("triton", "/metrics", tritonMetrics, []),
      job("host", "/metrics.txt", `127.0.0.1:${HOST_METRICS_PORT}`, [
        { source_labels: [MODEL_OF_QUEUE.label], regex: MODEL_OF_QUEUE.pattern, target_label: "model" },
        // It changes with each restart.
        { regex: "pid", action: "labeldrop" },
      ]),
    ],
  };
}
