import assert from "node:assert/strict";
import * as path from "node:path";

import { type FleetManifests, fleetManifests } from "../../../components/fleet/manifests";
import { isForImage, modelFiles } from "../../../components/fleet/modelFiles";
import { batchingDelay, queueQuery } from "../../../components/fleet/scaling";
import {
  ArgumentsError,
  ComponentInputs,
  fleetInputs,
  type FleetSettings,
} from "../../../components/settings";
import { TextDocument } from "../../../components/textFormat";
import { ensemble, IMAGE } from "../settings/context";

const MODELS = path.resolve(__dirname, "../../../examples/models");

const model = (name: string, priority: number | string, more: object = {}): object => ({
  ...{ name, priority, ...more },
  source: path.join(MODELS, "realtime"),
});

const SCALING = { prometheus: "http://prometheus.monitoring.svc:9090", maxReplicas: 12 };
const ARGS = {
  image: IMAGE,
  models: [model("chat", 200), model("nightly", "min"), model("search.v2", 1), model("report", 0)],
  metricsNamespaces: ["monitoring"],
  scaling: SCALING,
};

function settingsOf(args: object): FleetSettings {
  const { known } = new ComponentInputs("TritonFleet", "edge", fleetInputs, { ...ARGS, ...args });
  return known as unknown as FleetSettings;
}

function manifestsOf(args: object = {}): FleetManifests {
  const settings = settingsOf(args);
  const files = settings.models.map(modelFiles).flatMap((read) => (isForImage(read) ? [] : [read]));
  return JSON.parse(JSON.stringify(fleetManifests("edge", settings, files))) as FleetManifests;
}

interface Trigger {
  readonly name: string;
  readonly metricType: string;
  readonly metadata: Readonly<Record<string, string>>;
}

const specOf = ({ scaledObjects: [scaled] }: FleetManifests): Readonly<Record<string, unknown>> =>
  scaled?.spec ?? assert.fail("no ScaledObject");
const triggersOf = (manifests: FleetManifests): readonly Trigger[] =>
  specOf(manifests).triggers as readonly Trigger[];
const queryOf = (args: object = {}): string => triggersOf(manifestsOf(args))[0]?.metadata.query ?? "";

function faultsOf(args: object): string[] {
  try {
    settingsOf(args);
  } catch (error) {
    assert.ok(error instanceof ArgumentsError);
    return error.message
      .split("\n\n")
      .slice(1)
      .map((fault) => fault.trim().replaceAll(/\n +/g, "; "));
  }
  throw new Error("accepted");
}

describe("a fleet that is scaled", () => {
  it("is none without the setting", () => {
    const { scaledObjects, deployment, service } = manifestsOf({ scaling: undefined, replicas: 3 });
    assert.deepEqual(scaledObjects, []);
    assert.equal((deployment.spec as { replicas: number }).replicas, 3);
    for (const { metadata } of [deployment, service]) assert.ok(!("annotations" in (metadata as object)));
  });

  it("begins with the fewest pods, and is marked as one whose number is not its own", () => {
    for (const [minReplicas, first] of [
      [undefined, 1],
      [4, 4],
      [0, 1],
    ] as const) {
      const wakeQuery = minReplicas === 0 ? "sum(asked)" : undefined;
      const { deployment } = manifestsOf({ scaling: { ...SCALING, minReplicas, wakeQuery } });
      assert.equal((deployment.spec as { replicas: number }).replicas, first);
      assert.deepEqual((deployment.metadata as { annotations: object }).annotations, {
        "xsched-triton/replicas": "scaled",
      });
    }
  });

  it("asks for pods by the models above priority 0 alone", () => {
    const models = new Set([...queryOf().matchAll(/\{[^}]*\}/g)].map(([selector]) => selector));
    assert.deepEqual([...models], ['{namespace="xsched-triton",model=~"chat|search\\\\.v2"}']);
  });

  it("asks by how much of their time requests wait, in queues or at the scheduler", () => {
    const query = queryOf({ models: [model("chat", 200)] });
    const selector = '{namespace="xsched-triton",model=~"chat"}';
    const rate = (counter: string): string =>
      `sum by (model) (rate(nv_inference_${counter}${selector}[60s]))`;
    const worked = `(${rate("request_duration_us")} - ${rate("queue_duration_us")})`;
    const pods = `count(count by (instance) (nv_inference_request_success${selector}))`;
    const executed = `${rate("exec_count")} / (${rate("request_success")} > 0)`;
    const busy = `clamp_max(${worked} * ${executed} / 1e6 / on () group_left () ${pods}, 0.99)`;
    assert.equal(
      query,
      `clamp_min(100 * (1 - (1 - exp(sum(ln(1 - ${busy})))) / (sum(${busy}) > 0)` +
        ` * sum(${worked}) / (sum(${rate("request_duration_us")}) > 0)), 0)` +
        ` or 0 * max(${rate("request_success")}) * ${pods}`,
    );
  });

  it("does not count what an ensemble does besides its steps", () => {
    const query = queryOf({
      models: [model("chat", 3), { ...model("chain", 200), config: ensemble("chat") }],
    });
    assert.match(query, /model=~"chat"/);
    assert.doesNotMatch(query, /chain/);
  });

  it("asks by others when a priority crosses 0, and no others when it doesn't", () => {
    const others = (priority: number): object => ({
      models: [model("chat", 200), model("nightly", priority)],
    });
    assert.equal(queryOf(others(-255)), queryOf(others(0)));
    assert.match(queryOf(others(1)), /model=~"chat\|nightly"/);
    assert.equal(queryOf(others(1)), queryOf(others(255)));
  });

  it("does not count what a batcher holds back on purpose", () => {
    const batching = { dynamicBatching: { maxQueueDelayMicroseconds: 700 } };
    const query = queryOf({ models: [model("chat", 200), model("search", 9, batching)] });
    const of = (counter: string, models: string): string =>
      `sum by (model) (rate(nv_inference_${counter}{namespace="xsched-triton",model=~"${models}"}[60s]))`;
    const present = `sum(${of("request_duration_us", "chat|search")}) - sum(700 * ${of("request_success", "search")})`;
    assert.ok(query.includes(` / (${present} > 0)`), query);
  });

  it("finds a batcher's delay wherever Triton takes one", () => {
    for (const [config, delay] of [
      ["dynamic_batching { }", 0],
      ["dynamic_batching { max_queue_delay_microseconds: 5 }", 5],
      ["sequence_batching { direct { max_queue_delay_microseconds: 6 } }", 6],
      ["sequence_batching { oldest { max_candidate_sequences: 4, max_queue_delay_microseconds: 7 } }", 7],
    ] as const) {
      assert.equal(batchingDelay(new TextDocument(config)), delay, config);
    }
  });

  it("is looked for by other labels, as texts of Prometheus", () => {
    const labels = { kubernetes_namespace: 'a"b\\c', cluster: "west" };
    const query = queueQuery([{ name: "chat", delayMicroseconds: 0 }], { labels, windowSeconds: 30 }, "edge");
    assert.ok(query.includes('{kubernetes_namespace="a\\"b\\\\c",cluster="west",model=~"chat"}[30s]'), query);
  });

  it("keeps its number of pods while nothing is known, and goes down slowly", () => {
    const spec = specOf(manifestsOf({ scaling: { ...SCALING, scaleDownSeconds: 600, waitPercent: 30 } }));
    const [queue, ...others] = spec.triggers as readonly Trigger[];
    assert.deepEqual(others, []);
    assert.equal(queue?.metricType, "Value");
    assert.equal(queue.metadata.ignoreNullValues, "false");
    assert.equal(queue.metadata.threshold, "30");
    assert.equal(queue.metadata.serverAddress, SCALING.prometheus);
    const { behavior } = (spec.advanced as { horizontalPodAutoscalerConfig: { behavior: unknown } })
      .horizontalPodAutoscalerConfig;
    assert.deepEqual((behavior as { scaleDown: unknown }).scaleDown, {
      stabilizationWindowSeconds: 600,
      selectPolicy: "Max",
      policies: [
        { type: "Pods", value: 1, periodSeconds: 60 },
        { type: "Percent", value: 10, periodSeconds: 60 },
      ],
    });
  });

  it("goes to none only where that was asked for, and comes back by another query", () => {
    assert.equal(specOf(manifestsOf()).minReplicaCount, 1);
    const manifests = manifestsOf({ scaling: { ...SCALING, minReplicas: 0, wakeQuery: "sum(asked)" } });
    assert.equal(specOf(manifests).minReplicaCount, 0);
    const [, wake] = triggersOf(manifests);
    assert.equal(wake?.metadata.query, "sum(asked)");
    assert.equal(wake.metricType, "AverageValue");
    // The provider would wait for pods that need not be there.
    assert.deepEqual((manifests.service.metadata as { annotations: object }).annotations, {
      "pulumi.com/skipAwait": "true",
    });
  });

  const refused: readonly (readonly [string, object, readonly string[]])[] = [
    [
      "a fixed number of pods beside it",
      { replicas: 2 },
      [
        "replicas: 2; allowed: nothing, since scaling decides how many pods there are; fix: remove replicas; scaling.minReplicas and scaling.maxReplicas are their limits",
      ],
    ],
    [
      "no urgent model",
      { models: [model("nightly", "min"), model("report", 0)] },
      [
        "scaling: (given); allowed: nothing, since no model has a priority above 0, and batch work asks for no pods; fix: give the models that people wait for a priority above 0, or remove scaling and set replicas",
      ],
    ],
    [
      "metrics that nobody may read",
      { metricsNamespaces: [] },
      [
        "metricsNamespaces: a list of 0; allowed: at least the namespace of the Prometheus that scaling asks: nobody else may read Triton's metrics; fix: add metricsNamespaces: [monitoring]",
      ],
    ],
    [
      "fewer pods at most than at least",
      { scaling: { ...SCALING, minReplicas: 13 } },
      [
        "scaling.minReplicas: 13; allowed: an integer from 0 to maxReplicas, 12; fix: lower minReplicas, or raise maxReplicas",
      ],
    ],
    [
      "no pods that nothing would bring back",
      { scaling: { ...SCALING, minReplicas: 0 } },
      [
        'scaling.wakeQuery: (not set); allowed: a query of Prometheus, since minReplicas is 0: without pods there are no metrics that could ask for one; fix: add wakeQuery, such as sum(rate(envoy_cluster_upstream_rq_total{cluster="triton"}[1m])), or set minReplicas to 1',
      ],
    ],
    [
      "a query for a first pod that is always there",
      { scaling: { ...SCALING, wakeQuery: "sum(asked)" } },
      [
        'scaling.wakeQuery: "sum(asked)"; allowed: nothing, since minReplicas is 1 and there is always a pod; fix: remove wakeQuery, or set minReplicas to 0',
      ],
    ],
    [
      "an address that KEDA would make a wrong one of, and a target that no queue reaches",
      { scaling: { prometheus: "http://prometheus:9090/api/v1/query", maxReplicas: 1, waitPercent: 100 } },
      [
        'scaling.prometheus: "http://prometheus:9090/api/v1/query"; allowed: the URL of a Prometheus, as pods of the cluster reach it; fix: leave /api/v1 out: KEDA adds it',
        "scaling.waitPercent: 100; allowed: an integer from 1 to 90; fix: give an integer from 1 to 90, for example 50",
      ],
    ],
    [
      "an address that is none",
      { scaling: { ...SCALING, prometheus: "prometheus:9090" } },
      [
        'scaling.prometheus: "prometheus:9090"; allowed: the URL of a Prometheus, as pods of the cluster reach it; fix: give it as http://prometheus.monitoring.svc:9090, without a slash at its end, a query and a password',
      ],
    ],
    [
      "a label that Prometheus does not have",
      { scaling: { ...SCALING, labels: { "kubernetes-namespace": "a" } } },
      [
        'scaling.labels.kubernetes-namespace: "a"; allowed: a label of Prometheus (letters, digits and underscores) with a text; fix: copy both as Prometheus shows them at nv_inference_request_success',
      ],
    ],
  ];
  for (const [what, args, faults] of refused) {
    it(`refuses ${what}`, () => {
      assert.deepEqual(faultsOf(args), faults);
    });
  }
});
