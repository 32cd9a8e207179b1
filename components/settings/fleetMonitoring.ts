import { kubernetesLabels } from "./kubernetesLabels";
import { GPU_MEMORY_PERCENT, NOT_READY_MINUTES } from "./monitoringSettings";
import type { Place } from "./place";
import { boolean, defaulted, itemsOf, keyOf, type ReadBy, variants } from "./rules";

/** Where the agent of a pod answers with what the scheduler counts. */
export const SCHEDULER_METRICS_PORT = 9464;

/** Who watches a fleet. */
export const fleetMonitoringRule = variants({
  name: "FleetMonitoring",
  description: "Who watches a fleet.",
  allowed: "an object with the kind of monitoring and what that kind needs",
  variants: {
    annotations: {
      description:
        "any Prometheus that follows the annotations `prometheus.io/scrape`, `port` and `path` of pods",
      fields: {},
    },
    operator: {
      description:
        "the Prometheus operator, as kube-prometheus-stack sets it up: a PodMonitor, alarms as a PrometheusRule, and a dashboard for Grafana",
      fields: {
        labels: defaulted(
          kubernetesLabels(
            "Kubernetes'",
            "{ release: monitoring }",
            "copy them from podMonitorSelector and ruleSelector of the cluster's Prometheus",
          ),
          { release: "kube-prometheus-stack" },
          "Labels by which the cluster's Prometheus chooses its PodMonitors and PrometheusRules. kube-prometheus-stack chooses those with `release` and the name of its Helm release.",
        ),
        dashboard: defaulted(
          boolean,
          true,
          "Whether to create a dashboard: a ConfigMap with the label `grafana_dashboard`, from which the Grafana of kube-prometheus-stack reads dashboards in any namespace.",
        ),
        gpuMemoryPercent: defaulted(
          GPU_MEMORY_PERCENT.rule,
          GPU_MEMORY_PERCENT.usual,
          "Alarm when this much of a pod's GPU memory is in use.",
          { unit: "percent" },
        ),
        notReadyMinutes: defaulted(
          NOT_READY_MINUTES.rule,
          NOT_READY_MINUTES.usual,
          "Alarm when no pod has been ready, or nothing is known of the fleet, for this long.",
          { unit: "minutes" },
        ),
      },
    },
  },
  usual: "annotations",
});

export type FleetMonitoring = ReadBy<typeof fleetMonitoringRule>;

/** Records what of a fleet contradicts its monitoring; `raw` are its arguments as they were given. */
export function refuseWrongMonitoring(raw: unknown, at: Place): void {
  if (keyOf(keyOf(raw, "monitoring"), "kind") !== "operator") return;
  // With scaling, the same is said already.
  if (itemsOf(keyOf(raw, "metricsNamespaces")).length === 0 && keyOf(raw, "scaling") === undefined) {
    at.at("metricsNamespaces").fault(
      keyOf(raw, "metricsNamespaces"),
      "at least the namespace of the cluster's Prometheus: nobody else may read the pods' metrics",
      "add metricsNamespaces: [monitoring]",
    );
  }
  const server = keyOf(raw, "server");
  for (const key of ["httpPort", "grpcPort", "metricsPort"]) {
    if (keyOf(server, key) === SCHEDULER_METRICS_PORT) {
      at.at("server")
        .at(key)
        .fault(
          SCHEDULER_METRICS_PORT,
          `any other port: with monitoring, a pod answers at ${SCHEDULER_METRICS_PORT} with what its scheduler counts`,
          `choose another port, or set monitoring.kind to annotations`,
        );
    }
  }
}
