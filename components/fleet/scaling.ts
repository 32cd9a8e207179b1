import { type FleetScaling, isUrgent } from "../settings";
import { messagesOf, named, TextDocument } from "../textFormat";
import type { ModelFiles } from "./modelFiles";
import { labelsOf } from "./names";
import type { PodSettings } from "./pod";

/** An object of KEDA, whose types are not in Kubernetes itself. */
export interface ScaledObject {
  readonly apiVersion: "keda.sh/v1alpha1";
  readonly kind: "ScaledObject";
  readonly metadata: { name: string; namespace: string; labels: Record<string, string> };
  readonly spec: Readonly<Record<string, unknown>>;
}

/** What a model's requests wait at most for others to fill their batch: it is no sign of too few pods. */
interface UrgentModel {
  readonly name: string;
  readonly delayMicroseconds: number;
}

/** How many pods a fleet begins with. */
export function firstReplicas({ replicas, scaling }: PodSettings): number {
  return scaling === undefined ? replicas : Math.max(1, scaling.minReplicas);
}

/**
 * What a Deployment carries whose number of pods is not its own. With it, a fleet that is scaled no more has a change to
 * its Deployment, even where `replicas` is what it was before.
 */
export function scaledMark({ scaling }: PodSettings): { annotations?: Record<string, string> } {
  return scaling === undefined ? {} : { annotations: { "xsched-triton/replicas": "scaled" } };
}

/** The most pods that a fleet can have. */
export function mostReplicas({ replicas, scaling }: PodSettings): number {
  return scaling?.maxReplicas ?? replicas;
}

/** What lets KEDA scale the fleet; none for a fleet whose size is fixed. */
export function scaledObjects(
  fleet: string,
  settings: PodSettings,
  models: readonly ModelFiles[],
): ScaledObject[] {
  const { scaling, namespace } = settings;
  if (scaling === undefined) return [];
  const urgent = settings.models.filter(isUrgent).map(({ name }) => ({
    name,
    delayMicroseconds: batchingDelay(models.find(({ model }) => model === name)?.config ?? ""),
  }));
  return [
    {
      apiVersion: "keda.sh/v1alpha1",
      kind: "ScaledObject",
      metadata: { name: fleet, namespace, labels: labelsOf(fleet) },
      spec: {
        scaleTargetRef: { apiVersion: "apps/v1", kind: "Deployment", name: fleet },
        minReplicaCount: scaling.minReplicas,
        maxReplicaCount: scaling.maxReplicas,
        // Of the step from no pods to one, and back.
        pollingInterval: POLLING_SECONDS,
        cooldownPeriod: scaling.scaleDownSeconds,
        advanced: { horizontalPodAutoscalerConfig: { behavior: behavior(scaling) } },
        triggers: [
          trigger("queue", "Value", scaling, {
            query: queueQuery(urgent, scaling, namespace),
            threshold: String(scaling.waitPercent),
            // With no answer, the number of pods stays as it is.
            ignoreNullValues: "false",
          }),
          ...(scaling.wakeQuery === undefined ? [] : [wakeTrigger(scaling, scaling.wakeQuery)]),
        ],
      },
    },
  ];
}

const POLLING_SECONDS = 10;

/** So large that a single pod is asked for, whatever the query says. */
const ONE_POD = "1000000000";

function wakeTrigger(scaling: FleetScaling, query: string): object {
  // A Gateway that nobody has asked yet may have no metrics.
  return trigger("wake", "AverageValue", scaling, { query, threshold: ONE_POD, ignoreNullValues: "true" });
}

function trigger(
  name: string,
  metricType: string,
  { prometheus }: FleetScaling,
  metadata: Readonly<Record<string, string>>,
): object {
  return {
    ...{ type: "prometheus", name, metricType },
    metadata: { serverAddress: prometheus, activationThreshold: "0", ...metadata },
  };
}

/** Up at once, as far as twice as many; down slowly, and never below what was needed lately. */
function behavior({ scaleDownSeconds }: FleetScaling): object {
  const policies = (pods: number, percent: number): object[] => [
    { type: "Pods", value: pods, periodSeconds: 60 },
    { type: "Percent", value: percent, periodSeconds: 60 },
  ];
  return {
    scaleUp: { stabilizationWindowSeconds: 0, selectPolicy: "Max", policies: policies(2, 100) },
    scaleDown: {
      stabilizationWindowSeconds: scaleDownSeconds,
      selectPolicy: "Max",
      policies: policies(1, 10),
    },
  };
}

/**
 * How much of their time in Triton the requests of the urgent model with the longest queue wait, in percent; 0 if nobody
 * asks, and nothing if nothing is known. Why this is what pods are to be counted by: docs/explanation/scaling.md.
 */
export function queueQuery(
  urgent: readonly UrgentModel[],
  { labels, windowSeconds }: Pick<FleetScaling, "labels" | "windowSeconds">,
  namespace: string,
): string {
  const delays = [...new Set(urgent.map(({ delayMicroseconds }) => delayMicroseconds))].sort((a, b) => a - b);
  const selected = (models: readonly UrgentModel[]): string =>
    selector(
      labels ?? { namespace },
      models.map(({ name }) => name),
    );
  const shares = delays.map((delay) => {
    const matched = selected(urgent.filter(({ delayMicroseconds }) => delayMicroseconds === delay));
    const rate = (counter: string): string =>
      `sum by (model) (rate(nv_inference_${counter}${matched}[${windowSeconds}s]))`;
    const queue = rate("queue_duration_us");
    const waited = delay === 0 ? queue : `(${queue} - ${delay} * ${rate("request_success")})`;
    return `${waited} / (${rate("request_duration_us")} > 0)`;
  });
  return `clamp_min(100 * max(${shares.join(" or ")}), 0) or 0 * max(nv_inference_request_success${selected(urgent)})`;
}

/** What of Prometheus' metrics is meant. Its texts are written as in Go, and so is JSON's. */
function selector(labels: Readonly<Record<string, string>>, models: readonly string[]): string {
  const given = Object.entries(labels).map(([label, value]) => `${label}=${JSON.stringify(value)}`);
  const names = models.map((name) => name.replaceAll(".", "\\.")).join("|");
  return `{${[...given, `model=~${JSON.stringify(names)}`].join(",")}}`;
}

/** How long a model's batcher may hold a request back, in microseconds. */
export function batchingDelay(config: string): number {
  const document = new TextDocument(config);
  const inside = ["dynamic_batching", "sequence_batching"].flatMap((name) =>
    messagesOf(document.named(name)),
  );
  const batchers = inside.flatMap((value) =>
    value.kind === "message"
      ? [value, ...["direct", "oldest"].flatMap((name) => messagesOf(named(value.fields, name)))]
      : [],
  );
  const delays = batchers.flatMap((value) =>
    value.kind === "message" ? messagesOf(named(value.fields, "max_queue_delay_microseconds")) : [],
  );
  return Math.max(0, ...delays.map((value) => (value.kind === "number" ? Number(value.text) : 0)));
}
