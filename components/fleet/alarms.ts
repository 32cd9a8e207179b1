import { type Condition, gpuMemory, notReady } from "../observability/conditions";
import type { FleetMonitoring } from "../settings";
import type { ModelFiles } from "./modelFiles";
import { type PodSettings, progressSeconds } from "./pod";
import { scaledQuery } from "./scaling";

/** An alarm of Prometheus. */
export interface AlertingRule {
  readonly alert: string;
  readonly expr: string;
  readonly for: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly annotations: Readonly<Record<string, string>>;
}

type Watched = Extract<FleetMonitoring, { kind: "operator" }>;

/** The autoscaler leaves differences of less than 10 % alone. */
const TOLERATED = 1.1;

/**
 * What people are told of a fleet. Nodes, their disks and pods that cannot be placed are the cluster's, whose own alarms
 * tell of them.
 */
export function fleetAlarms(
  fleet: string,
  settings: PodSettings,
  models: readonly ModelFiles[],
  thresholds: Watched,
): AlertingRule[] {
  const { scaling, namespace } = settings;
  const deployment = `{namespace="${namespace}",deployment="${fleet}"}`;
  // Several copies of kube-state-metrics say the same.
  const replicas = (what: string): string => `max(kube_deployment_${what}${deployment})`;
  const serving = replicas("status_replicas_available");
  const wanted = replicas("spec_replicas");
  const rule = (
    alert: string,
    severity: "critical" | "warning",
    expr: string,
    { text, seconds }: { readonly text: string; readonly seconds: number },
    fix: string,
  ): AlertingRule => ({
    alert,
    expr,
    for: `${seconds}s`,
    labels: { severity, namespace, fleet },
    annotations: { summary: `Fleet ${fleet} in ${namespace}: ${text}`, description: fix },
  });
  const told = ({ text, minutes }: Condition, more = 0): { text: string; seconds: number } => ({
    text,
    seconds: minutes * 60 + more,
  });
  const ready = notReady(thresholds, "no pod is ready with all its models, or nothing is known of the fleet");
  const memory = gpuMemory(thresholds);
  // From none to one, a fleet has the time that a pod takes to start.
  const waking = scaling?.minReplicas === 0 ? progressSeconds(settings) : 0;
  const start = progressSeconds(settings);
  return [
    rule(
      "TritonFleetNotReady",
      "critical",
      `(${compared(serving, ready)} and ${wanted} > 0) or absent(${serving})`,
      told(ready, waking),
      `kubectl --namespace ${namespace} get pods shows what the pods wait for, and kubectl logs --container triton why a model is not loaded. Without pods there, see whether kube-state-metrics runs.`,
    ),
    rule(
      "TritonFleetPodsMissing",
      "warning",
      `${serving} < ${wanted}`,
      {
        text: `fewer pods serve than there should be, for ${Math.ceil(start / 60)} min, which is longer than one takes to start`,
        seconds: start,
      },
      `kubectl --namespace ${namespace} describe pods shows why: no node with a free GPU, an image that cannot be pulled, or a model that does not load.`,
    ),
    rule(
      "TritonFleetGpuMemory",
      "warning",
      compared(
        `100 * nv_gpu_memory_used_bytes{namespace="${namespace}"} / nv_gpu_memory_total_bytes{namespace="${namespace}"}`,
        memory,
      ),
      told(memory),
      "In the pod {{ $labels.pod }}. Serve fewer models from a pod, or choose nodes with larger GPUs.",
    ),
    ...(scaling === undefined
      ? []
      : [
          rule(
            "TritonFleetOverloaded",
            "warning",
            `(${scaledQuery(settings, scaling, models)}) > ${Number((TOLERATED * scaling.waitPercent).toFixed(1))}`,
            {
              text: `urgent requests have waited for more than ${scaling.waitPercent} % of their time for ${Math.ceil(settings.placementSeconds / 60)} min, and not enough pods have come`,
              seconds: settings.placementSeconds,
            },
            `Raise scaling.maxReplicas (${scaling.maxReplicas}) if it is reached; otherwise the cluster has no more GPUs. kubectl --namespace ${namespace} get scaledobject,hpa,pods shows which.`,
          ),
        ]),
  ];
}

/** A metric where it is at fault. */
function compared(metric: string, { counts, threshold }: Condition): string {
  return `${metric} ${counts === "below" ? "<" : ">="} ${threshold}`;
}
