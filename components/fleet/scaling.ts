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

interface UrgentModel {
  readonly name: string;
  /** How long a request waits at most for others to fill its batch: that is no sign of too few pods. */
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
            query: scaledQuery(settings, scaling, models),
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

/** The query by which the pods of a fleet are counted. */
export function scaledQuery(
  settings: Pick<PodSettings, "models" | "namespace">,
  scaling: FleetScaling,
  models: readonly ModelFiles[],
): string {
  const urgent = settings.models
    .filter(isUrgent)
    .map(({ name }) => ({ name, config: new TextDocument(configOf(models, name)) }));
  // What an ensemble does is done by the models of its steps, and would be counted twice.
  const counted = urgent.filter(({ config }) => config.named("ensemble_scheduling").length === 0);
  const asking = (counted.length > 0 ? counted : urgent).map(({ name, config }) => ({
    name,
    delayMicroseconds: batchingDelay(config),
  }));
  return queueQuery(asking, scaling, settings.namespace);
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

/**
 * Up at once, but at most as far as twice as many until the new ones can have come: a queue stays long until they have
 * worked it off. Down slowly, and never below what was needed lately.
 */
function behavior({ scaleDownSeconds }: FleetScaling): object {
  const policies = (periodSeconds: number, pods: number, percent: number): object[] => [
    { type: "Pods", value: pods, periodSeconds },
    { type: "Percent", value: percent, periodSeconds },
  ];
  return {
    scaleUp: { stabilizationWindowSeconds: 0, selectPolicy: "Max", policies: policies(300, 4, 100) },
    scaleDown: {
      stabilizationWindowSeconds: scaleDownSeconds,
      selectPolicy: "Max",
      policies: policies(60, 1, 10),
    },
  };
}

/** Instances of a model that are always busy; no number is taken for none that are ever free, whose logarithm is wanted. */
const MOST_BUSY = 0.99;

/**
 * How much of their time in Triton urgent requests wait, in percent: in the queues of their models, or at the scheduler
 * while others of them run. 0 if nobody asks, and nothing if nothing is known. Why pods are counted by it:
 * docs/explanation/scaling.md, whose letters these are.
 */
export function queueQuery(
  urgent: readonly UrgentModel[],
  { labels, windowSeconds }: Pick<FleetScaling, "labels" | "windowSeconds">,
  namespace: string,
): string {
  const selected = (models: readonly UrgentModel[]): string =>
    selector(
      labels ?? { namespace },
      models.map(({ name }) => name),
    );
  const rate = (counter: string, models = urgent): string =>
    `sum by (model) (rate(nv_inference_${counter}${selected(models)}[${windowSeconds}s]))`;
  const requests = rate("request_success");
  // What a batcher holds back on purpose is time in Triton that no pod would shorten.
  const delays = [...new Set(urgent.map(({ delayMicroseconds }) => delayMicroseconds))].filter(Boolean);
  const delayed = delays.map((delay) => {
    const models = urgent.filter(({ delayMicroseconds }) => delayMicroseconds === delay);
    return `sum(${delay} * ${rate("request_success", models)})`;
  });
  const present = [`sum(${rate("request_duration_us")})`, ...delayed].join(" - ");
  const worked = `(${rate("request_duration_us")} - ${rate("queue_duration_us")})`;
  // None at all must leave no answer: the scalar of nothing is NaN, which KEDA before 2.20 takes for a number.
  const pods = `count(count by (instance) (nv_inference_request_success${selected(urgent)}))`;
  const executed = `${rate("exec_count")} / (${requests} > 0)`;
  const busy = `clamp_max(${worked} * ${executed} / 1e6 / on () group_left () ${pods}, ${MOST_BUSY})`;
  const any = `(1 - exp(sum(ln(1 - ${busy}))))`;
  // Nothing is executed where a cache has all answers.
  const share = `1 - ${any} / (sum(${busy}) > 0) * sum(${worked}) / (${present} > 0)`;
  // That nobody asks is known from two samples in the window, and while there are pods.
  return `clamp_min(100 * (${share}), 0) or 0 * max(${requests}) * ${pods}`;
}

/** What of Prometheus' metrics is meant. Its texts are written as in Go, and so is JSON's. */
function selector(labels: Readonly<Record<string, string>>, models: readonly string[]): string {
  const given = Object.entries(labels).map(([label, value]) => `${label}=${JSON.stringify(value)}`);
  return `{${[...given, `model=~${regexOf(models)}`].join(",")}}`;
}

/** Any of some models, as Prometheus compares labels. */
export function regexOf(models: readonly string[]): string {
  return JSON.stringify(models.map((name) => name.replaceAll(".", "\\.")).join("|"));
}

function configOf(models: readonly ModelFiles[], name: string): string {
  return models.find(({ model }) => model === name)?.config ?? "";
}

/** How long a model's batcher may hold a request back, in microseconds. */
export function batchingDelay(config: TextDocument): number {
  const inside = ["dynamic_batching", "sequence_batching"].flatMap((name) => messagesOf(config.named(name)));
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
