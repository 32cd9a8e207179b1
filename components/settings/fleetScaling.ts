import type { ModelSettings } from "./modelSettings";
import { INVALID, type Place, type Read } from "./place";
import {
  defaulted,
  integer,
  itemsOf,
  keyOf,
  map,
  object,
  optional,
  type ReadBy,
  required,
  text,
} from "./rules";

const address = text({
  allowed: "the URL of a Prometheus, as pods of the cluster reach it",
  example: "http://prometheus.monitoring.svc:9090",
  refuse: (value) => {
    if (/\/api\/v1(\/|$)/.test(value)) return "leave /api/v1 out: KEDA adds it";
    return /^https?:\/\/[A-Za-z0-9.-]+(:\d{1,5})?(\/[A-Za-z0-9._~/-]*[A-Za-z0-9._~-])?$/.test(value)
      ? undefined
      : "give it as http://prometheus.monitoring.svc:9090, without a slash at its end, a query and a password";
  },
});

const metricLabels = map({
  allowed: "an object of labels and their values",
  example: "{ namespace: xsched-triton }",
  type: "string",
  read: (key, value, at) =>
    /^[A-Za-z_][A-Za-z0-9_]*$/.test(key) && typeof value === "string" && value !== ""
      ? value
      : at.fault(
          value,
          "a label of Prometheus (letters, digits and underscores) with a text",
          "copy both as Prometheus shows them at nv_inference_request_success",
        ),
});

const wakeQuery = text({
  allowed: "a query of Prometheus",
  example: 'sum(rate(envoy_cluster_upstream_rq_total{cluster="triton"}[1m]))',
  refuse: (value) => (value.trim() === "" ? "give a query, or remove wakeQuery" : undefined),
});

/** How many pods a fleet has, if that is not a fixed number. */
export const scalingRule = object({
  name: "FleetScaling",
  description: "How many pods a fleet has, by the queues of its urgent models.",
  allowed: "an object that names a Prometheus and the largest number of pods",
  fields: {
    prometheus: required(address, "URL of the Prometheus that reads Triton's metrics. KEDA asks it."),
    maxReplicas: required(integer(1, 5000, 10), "Most pods.", {
      cost: "a GPU each while urgent models have a queue",
    }),
    minReplicas: defaulted(
      integer(0, 5000, 1),
      1,
      "Fewest pods, and how many a new fleet begins with. `0`, with `wakeQuery`: none while nobody asks urgent models, and then batch work waits, too.",
      { cost: "a GPU each, day and night" },
    ),
    waitPercent: defaulted(
      integer(1, 90, 50),
      50,
      "How much of its time in Triton an urgent request may wait, on average, in percent: in its queue, or for other urgent models. There are as many pods as that takes. At 50, it waits as long as it is worked on.",
      { cost: "a lower one takes more pods" },
    ),
    windowSeconds: defaulted(
      integer(15, 3600, 60),
      60,
      "Over which time waits are looked at. At least twice the time between two reads of a pod's metrics, better four times.",
      { unit: "seconds" },
    ),
    scaleDownSeconds: defaulted(
      integer(0, 3600, 300),
      300,
      "For how long fewer pods must have been enough before some go: then a tenth of them a minute, or one.",
      { unit: "seconds", cost: "the GPUs stay that long" },
    ),
    labels: optional(
      metricLabels,
      "Labels that this fleet's metrics have in Prometheus, and no other's.",
      "`namespace`, with the fleet's namespace",
    ),
    wakeQuery: optional(
      wakeQuery,
      "With no pods there are no metrics of Triton. This query is above 0 while anybody asks for an urgent model, such as requests a second at the Gateway.",
      "a fleet has one pod at least",
    ),
  },
  check({ minReplicas, maxReplicas, wakeQuery: query }, at) {
    if (minReplicas === INVALID) return;
    if (maxReplicas !== INVALID && minReplicas > maxReplicas) {
      at.at("minReplicas").fault(
        minReplicas,
        `an integer from 0 to maxReplicas, ${maxReplicas}`,
        "lower minReplicas, or raise maxReplicas",
      );
    }
    if (minReplicas === 0 && query === undefined) {
      at.at("wakeQuery").fault(
        undefined,
        "a query of Prometheus, since minReplicas is 0: without pods there are no metrics that could ask for one",
        `add wakeQuery, such as ${wakeQuery.example}, or set minReplicas to 1`,
      );
    }
    if (minReplicas > 0 && typeof query === "string") {
      at.at("wakeQuery").fault(
        query,
        `nothing, since minReplicas is ${minReplicas} and there is always a pod`,
        "remove wakeQuery, or set minReplicas to 0",
      );
    }
  },
});

export type FleetScaling = ReadBy<typeof scalingRule>;

/** Models whose requests count: those that run before batch work. */
export function isUrgent({ priority }: Pick<ModelSettings, "priority">): boolean {
  return priority > 0;
}

/** Records what of a fleet contradicts its scaling; `raw` are its arguments as they were given. */
export function refuseWrongScaling(models: Read<readonly ModelSettings[]>, raw: unknown, at: Place): void {
  if (keyOf(raw, "scaling") === undefined) return;
  const replicas = keyOf(raw, "replicas");
  if (replicas !== undefined) {
    at.at("replicas").fault(
      replicas,
      "nothing, since scaling decides how many pods there are",
      "remove replicas; scaling.minReplicas and scaling.maxReplicas are their limits",
    );
  }
  if (models !== INVALID && models.length > 0 && !models.some(isUrgent)) {
    at.at("scaling").faultShown(
      "(given)",
      "nothing, since no model has a priority above 0, and batch work asks for no pods",
      "give the models that people wait for a priority above 0, or remove scaling and set replicas",
    );
  }
  if (itemsOf(keyOf(raw, "metricsNamespaces")).length === 0) {
    at.at("metricsNamespaces").fault(
      keyOf(raw, "metricsNamespaces"),
      "at least the namespace of the Prometheus that scaling asks: nobody else may read Triton's metrics",
      "add metricsNamespaces: [monitoring]",
    );
  }
}
