import * as assert from "node:assert/strict";
import type { ChildProcess } from "node:child_process";
import * as fs from "node:fs";
import * as path from "node:path";
import { isDeepStrictEqual } from "node:util";

import type { Document } from "yaml";

import { queueQuery } from "../../components/fleet/scaling";
import { until } from "../until";
import { AUTOSCALER_SECONDS, ControlPlane, type KubernetesObject } from "./controlPlane";
import { askPrometheus, Keda } from "./keda";
import type { Kubelet } from "./kubelet";
import { FLEET, FleetOnCluster, image, NAMESPACE, PODS } from "./fleetOnCluster";
import { skipWithout } from "./needs";
import { Prometheus } from "./prometheus";
import { type Growth, SteadyCounters } from "./steadyCounters";
import type { TritonClient } from "./triton";
import { execute, type Finished, requireSuccess } from "./processes";

const HTTP_ROUTE = `/apis/gateway.networking.k8s.io/v1/namespaces/${NAMESPACE}/httproutes/${FLEET}`;
const SCALED_OBJECT = `/apis/keda.sh/v1alpha1/namespaces/${NAMESPACE}/scaledobjects/${FLEET}`;

const POD_MONITOR = `/apis/monitoring.coreos.com/v1/namespaces/${NAMESPACE}/podmonitors/${FLEET}`;

const AUTOSCALERS = `/apis/autoscaling/v2/namespaces/${NAMESPACE}/horizontalpodautoscalers`;

/** Over how long queues are looked at here, in seconds, and how often Prometheus reads them. */
const WINDOW = 15;
const SCRAPE = 1;

/** The least that a queue is longer than. */
const TARGET = 50;

/** How often a cluster's autoscaler looks by default, in seconds, and the part of the target that it acts on. */
const REAL_AUTOSCALER_SECONDS = 15;
const TOLERATED = 1.1;

/** Namespace of counters of which it is known how long requests wait. */
const STEADY = "steady";

/**
 * A model that is busy for 0.6 of a second, and one for 0.2, whose four requests a batch are worked on for 20 ms, after
 * they have been held back for 5 ms and have waited for 12.5.
 */
const STEADY_MODELS: Readonly<Record<string, Growth>> = {
  one: { request_success: 20, exec_count: 20, request_duration_us: 1_000_000, queue_duration_us: 400_000 },
  four: { request_success: 40, exec_count: 10, request_duration_us: 1_500_000, queue_duration_us: 700_000 },
};

/** How long before a spot instance is taken AWS says so, in seconds. */
const SPOT_NOTICE_SECONDS = 120;

describe("a fleet on a real control plane of Kubernetes", function () {
  let started: FleetOnCluster | undefined;
  let prometheus: Prometheus | undefined;
  let keda: Keda | undefined;
  let steady: readonly SteadyCounters[] = [];

  const fleet = (): FleetOnCluster => started ?? assert.fail("no fleet");
  const cluster = (): ControlPlane => fleet().plane;
  const nodes = (): Kubelet => fleet().nodes;
  const triton = (): TritonClient => fleet().client;
  const pulumi = (...words: string[]): Promise<Finished> => fleet().pulumi(...words);
  const command = (...words: [string, ...string[]]): Promise<Finished> => fleet().command(...words);
  const up = (): Promise<Readonly<Record<string, number>>> => fleet().up();
  const edit = (change: (config: Document) => void): void => {
    fleet().edit(change);
  };
  const set = (where: readonly (string | number)[], value: unknown): void => {
    fleet().set(where, value);
  };
  const remaining = (): Promise<readonly KubernetesObject[]> => fleet().remaining();
  const servingPods = (): Promise<string[]> => fleet().servingPods();
  const rolledOut = (): Promise<boolean> => fleet().rolledOut();
  const templateNow = (): Promise<unknown> => fleet().template();
  const scheduled = (model: string): Promise<string[]> => fleet().scheduled(model);
  const replicas = async (): Promise<number> => (await fleet().deployment()).spec.replicas;

  /** Does something while clients in the cluster ask two models; none of their requests may fail. */
  const serving = async <T>(work: () => Promise<T>): Promise<T> => (await fleet().measured(work)).result;

  const httpRoute = async (): Promise<unknown> =>
    ((await cluster().call("GET", HTTP_ROUTE)) as KubernetesObject).spec;

  /** Why the version that was asked for last doesn't serve. */
  const failure = async (): Promise<{ readonly reason: string }> => {
    const text = (await fleet().deployment()).metadata.annotations?.["xsched-triton/failure"];
    return JSON.parse(text ?? assert.fail("nothing has failed")) as { reason: string };
  };

  const configMaps = (): Promise<readonly KubernetesObject[]> =>
    cluster().list(`/api/v1/namespaces/${NAMESPACE}/configmaps`);

  /** Puts a model like `batch` beside the others, which does something else when it is loaded. */
  const addModel = (name: string, code = ""): void => {
    const source = fleet().workspace.file("examples/models", name);
    fs.cpSync(fleet().workspace.file("examples/models/batch"), source, { recursive: true });
    fs.appendFileSync(path.join(source, "1/model.py"), `\n# ${name}\n${code}`);
  };

  /** What Triton would load now: the priority for the scheduler, and Triton's own. */
  const configured = async (model: string): Promise<(string | undefined)[]> => {
    const texts = (await configMaps()).flatMap((each) =>
      Object.entries((each as { data?: Record<string, string> }).data ?? {}),
    );
    const config = texts.find(([key]) => key.endsWith(`-${model}.pbtxt`))?.[1] ?? "";
    return [/xsched_priority"[^"]*"([^"]*)"/.exec(config)?.[1], /priority: (\w+)/.exec(config)?.[1]];
  };

  const ask = (query: string): Promise<number | undefined> => askPrometheus(prometheus?.address ?? "", query);

  /** The part of their time that a model's requests wait, in percent, as if it were urgent. */
  const waited = async (model: string): Promise<number> => {
    const query = queueQuery(
      [{ name: model, delayMicroseconds: 0 }],
      { windowSeconds: WINDOW, labels: undefined },
      NAMESPACE,
    );
    return (await ask(query)) ?? 0;
  };

  /** Does something while a model has more requests than it can answer. */
  const queueing = async <T>(model: string, work: () => Promise<T>): Promise<T> => {
    const request = await triton().exampleRequest(model);
    let ended = false;
    const infer = async (): Promise<void> => {
      while (!ended) assert.equal((await triton().infer(model, request)).status, 200);
    };
    const clients = Array.from({ length: 32 }, infer);
    try {
      return await work();
    } finally {
      ended = true;
      await Promise.all(clients);
    }
  };

  before(async function () {
    skipWithout(this, ControlPlane.missing ?? Prometheus.missing);
    started = await FleetOnCluster.start();
    // A queue of its own in which nothing waits for others.
    set(["models", 1, "dynamicBatching"], { preferredBatchSizes: [1] });
    set(["metricsNamespaces"], ["monitoring"]);
    set(["monitoring"], { kind: "operator" });
    set(["route"], {
      gateway: "public",
      gatewayNamespace: "gateways",
      httpHostname: "t.example.com",
      grpcHostname: "grpc.t.example.com",
    });
  });

  after(async () => {
    await keda?.stop();
    await prometheus?.stop();
    for (const counters of steady) await counters.stop();
    await started?.stop();
  });

  it("previews without making anything", async () => {
    const { code, output } = await pulumi("preview");
    requireSuccess({ code, output });
    assert.match(output, /kubernetes:apps\/v1:Deployment\s+inference\s+create/);
    assert.equal((await cluster().ask("GET", `/api/v1/namespaces/${NAMESPACE}`)).status, 404);
  });

  it("serves the models of a host at the same priorities", async () => {
    const made = await up();
    // Of each model, of the agent, of the guard, what is live, and the dashboard.
    assert.equal(made["ConfigMap created"], 6);
    assert.equal(made["HTTPRoute created"], 1);
    assert.equal(made["GRPCRoute created"], 1);
    assert.deepEqual(await triton().priority("realtime"), { triton: "PRIORITY_MAX", xsched: "255" });
    assert.deepEqual(await triton().priority("batch"), { triton: "PRIORITY_MIN", xsched: "-255" });
    const { status, body } = await triton().infer("realtime", await triton().exampleRequest("realtime"));
    assert.equal(status, 200, body);
    assert.deepEqual(await scheduled("realtime"), ["255 0 0", "255 0 0"]);
    assert.deepEqual(await scheduled("batch"), ["-255 0 0", "-255 0 0"]);
  });

  it("lets nobody load a model, or start a pod that may do more", async () => {
    const load = await triton().request("POST", "/v2/repository/models/realtime/load", "{}");
    assert.ok(load.status >= 400, load.body);
    const free = {
      apiVersion: "v1",
      kind: "Pod",
      metadata: { name: "other" },
      spec: { hostNetwork: true, containers: [{ name: "other", image: image(1) }] },
    };
    const { status, body } = await cluster().ask("POST", `${PODS}?dryRun=All`, free);
    assert.equal(status, 403);
    assert.match((body as { message: string }).message, /violates PodSecurity "restricted:latest"/);
  });

  it("does nothing without a change", async () => {
    const before = await servingPods();
    assert.deepEqual(await up(), {});
    assert.deepEqual(await servingPods(), before);
  });

  it("changes a priority, a floor and a weight in pods that serve, without a failed request", async () => {
    const before = await servingPods();
    for (const [key, value] of Object.entries({ priority: -7, floor: 10, weight: 3 })) {
      set(["models", 1, key], value);
    }
    const made = await serving(async () => {
      const changes = await up();
      await until("both schedulers have them", async () => {
        const found = await scheduled("batch");
        return found.join() === ["-7 10 3", "-7 10 3"].join();
      });
      return changes;
    });
    // The dashboard, too, shows models with a floor, and with a weight.
    assert.deepEqual(made, { "ConfigMapPatch updated": 2 });
    assert.deepEqual(await scheduled("realtime"), ["255 0 0", "255 0 0"]);
    assert.deepEqual(await servingPods(), before);
  });

  it("shows its pods and priorities, and changes one until the next up", async () => {
    const before = await servingPods();
    const changed = await serving(async () => {
      const finished = await command("set-priority", "dev", "batch", "55");
      requireSuccess(finished);
      await until("both schedulers have it", async () => {
        return (await scheduled("batch")).join() === ["55 10 3", "55 10 3"].join();
      });
      return finished;
    });
    assert.match(
      changed.output,
      /^batch now has priority 55 in the fleet: its pods take it within two minutes/m,
    );
    const { code, output } = await command("status", "dev");
    requireSuccess({ code, output });
    assert.match(output, /^realtime +255 +– +–$/m);
    assert.match(output, /^batch +55 +10 % +3$/m);
    assert.equal(output.match(/^inference-\S+ +node-[12] +ready +as above$/gm)?.length, 2, output);
    // Also what a new pod would begin with.
    assert.deepEqual(await configured("batch"), ["55", "PRIORITY_MAX"]);
    assert.deepEqual(await up(), { "ConfigMapPatch updated": 1 });
    await until("both schedulers have what the config says", async () => {
      return (await scheduled("batch")).join() === ["-7 10 3", "-7 10 3"].join();
    });
    assert.deepEqual(await configured("batch"), ["-7", "PRIORITY_MIN"]);
    assert.deepEqual(await servingPods(), before);
    const refused = await command("set-priority", "dev", "other", "1");
    assert.equal(refused.code, 1);
    assert.match(
      refused.output,
      /has no model "other" that is scheduled\nfix: use one of its models: realtime, batch/,
    );
  });

  it("adds a model without a failed request", async () => {
    edit((config) => {
      const model = { name: "interactive", source: "../models/interactive", priority: 40 };
      config.addIn(["config", "fleet:fleet", "models"], config.createNode(model));
    });
    assert.deepEqual(await serving(up), {
      // Of the model, and what is live of all models: the former pods keep theirs as long as they serve.
      "ConfigMap created": 2,
      "ConfigMapPatch created": 1,
      "ConfigMapPatch deleted": 1,
      "ConfigMap deleted": 1,
      "Deployment updated": 1,
      "HTTPRoute updated": 1,
      // A pod takes longer to start.
      "PrometheusRule updated": 1,
    });
    assert.deepEqual(await triton().priority("interactive"), { triton: "PRIORITY_MAX", xsched: "40" });
  });

  it("undoes a version that does not come to serve, though the machine that asked for it is lost", async () => {
    const [template, pods] = [await templateNow(), await servingPods()];
    addModel("broken", "raise RuntimeError('the weights are not there')\n");
    set(["models", 1, "source"], "../models/broken");
    nodes().mayCrash = true;
    await serving(async () => {
      let running: ChildProcess | undefined;
      const ended = execute(
        "pulumi",
        ["up", "--yes", "--skip-preview", "--non-interactive"],
        fleet().folder,
        fleet().environmentOf(),
        (_, child) => (running = child),
      );
      await until("it is asked for", async () => !isDeepStrictEqual(await templateNow(), template));
      running?.kill("SIGKILL");
      assert.notEqual((await ended).code, 0);
      await until("it is undone", async () => isDeepStrictEqual(await templateNow(), template));
    });
    assert.deepEqual((await servingPods()).filter((pod) => pods.includes(pod)).sort(), pods.sort());
    requireSuccess(await pulumi("cancel", "--yes"));
  });

  it("tries it again in each up until it is mended, and says why not, while the former version serves", async () => {
    const [template, routes] = [await templateNow(), await httpRoute()];
    const pods = await servingPods();
    const reason =
      /the new version did not come to serve, and the former version serves in its place\s+pod (inference-\S+): triton has ended (?:[3-9]|[1-9]\d+) times, at last with exit code 1: failed to load 'batch' version 1: [^\n]*the weights are not there/;
    // The verdict on what the lost machine has asked for is still there.
    const tried = new Set([(await failure()).reason.split(" ")[1]]);
    edit((config) => {
      const model = { name: "another", source: "../models/interactive", priority: 1 };
      config.addIn(["config", "fleet:fleet", "models"], config.createNode(model));
    });
    await serving(async () => {
      for (const count of [2, 3]) {
        const { code, output } = await pulumi("up", "--yes", "--skip-preview");
        assert.notEqual(code, 0);
        tried.add(reason.exec(output)?.[1] ?? assert.fail(output));
        // Pods of its own have shown it.
        assert.equal(tried.size, count);
        assert.deepEqual(await templateNow(), template);
      }
      await until("its pods go", async () => (await servingPods()).length === pods.length);
    });
    assert.deepEqual((await servingPods()).sort(), pods.sort());
    // Nobody is led to a model that isn't there.
    assert.deepEqual(await httpRoute(), routes);
    edit((config) => {
      config.deleteIn(["config", "fleet:fleet", "models", 3]);
    });
    const { output } = await command("status", "dev");
    assert.match(
      output,
      /^the version asked for last did not come to serve: pod .*the weights are not there/m,
    );
  });

  it("starts pods of the former version after that, and a mended one", async () => {
    nodes().mayCrash = false;
    const [pod] = await remaining();
    const broken = async (): Promise<number> =>
      (await configMaps()).filter((each) => JSON.stringify(each).includes("the weights are not there"))
        .length;
    assert.equal(await broken(), 1);
    await serving(async () => {
      await cluster().call("DELETE", `${PODS}/${pod?.metadata.name ?? ""}`);
      await until("another pod serves", async () => {
        return !(await servingPods()).includes(pod?.metadata.uid ?? "") && (await rolledOut());
      });
      addModel("mended");
      set(["models", 1, "source"], "../models/mended");
      // With a preview, which must not fail, either.
      requireSuccess(await pulumi("up", "--yes"));
      await until("it is rolled out", rolledOut);
    });
    assert.equal(await broken(), 0);
    assert.deepEqual(await up(), {});
  });

  it("does not touch its pods when an image can't be pulled, and says so", async () => {
    const before = await servingPods();
    nodes().missingImages.add(image(9));
    set(["image"], image(9));
    set(["placementSeconds"], 10);
    const { code, output } = await serving(() => pulumi("up", "--yes", "--skip-preview"));
    assert.notEqual(code, 0);
    set(["image"], image(1));
    edit((config) => {
      config.deleteIn(["config", "fleet:fleet", "placementSeconds"]);
    });
    // The provider names the image only if it has seen the pod by then.
    assert.match(output, /'inference-guard' timed out waiting to be Ready/);
    assert.match(
      (await command("status", "dev")).output,
      /^its guard, .*: pod inference-guard-\S+: ImagePullBackOff: Back-off pulling image "/m,
    );
    assert.deepEqual(await servingPods(), before);
    assert.deepEqual(await up(), { "Deployment updated": 1 });
    assert.deepEqual(await servingPods(), before);
  });

  it("adds a replica without touching the others", async () => {
    const before = await servingPods();
    set(["replicas"], 3);
    assert.deepEqual(await serving(up), { "Deployment updated": 1 });
    const now = await servingPods();
    assert.equal(now.length, 3);
    assert.ok(before.every((pod) => now.includes(pod)));
  });

  it("hands the number of pods over to KEDA, and keeps them all", async () => {
    // Two pods.
    steady = await Promise.all([0, 1].map(() => SteadyCounters.start(STEADY_MODELS)));
    const others = { [STEADY]: steady.map(({ address }) => address) };
    const monitor = (await cluster().call("GET", POD_MONITOR)) as KubernetesObject;
    prometheus = await Prometheus.start(cluster(), monitor, ["10\\.(.+)", "127.$1"], SCRAPE, others);
    keda = await Keda.start(cluster(), NAMESPACE);
    const before = await servingPods();
    edit((config) => {
      config.deleteIn(["config", "fleet:fleet", "replicas"]);
    });
    set(["scaling"], {
      ...{ prometheus: prometheus.address, windowSeconds: WINDOW, waitPercent: TARGET },
      ...{ minReplicas: 3, maxReplicas: 4 },
    });
    assert.deepEqual(await up(), {
      "Deployment updated": 1,
      // That urgent requests wait, on the dashboard and as an alarm.
      "ConfigMapPatch updated": 1,
      "PrometheusRule updated": 1,
      "ScaledObject created": 1,
    });
    assert.deepEqual((await servingPods()).sort(), before.sort());
  });

  it("tells Prometheus what the scheduler of each pod has", async () => {
    const having = `count(count by (pod) (xsched_queue_priority{namespace="${NAMESPACE}",model="batch"} == -7))`;
    await until("it has read all pods", async () => (await ask(having)) === 3);
    const floor = `max(xsched_queue_floor_ratio{namespace="${NAMESPACE}",model="batch"})`;
    assert.equal(await ask(floor), 0.1);
  });

  it("asks for no pod while batch work queues", async () => {
    await queueing("batch", async () => {
      await until("its queue is longer than the target", async () => (await waited("batch")) > TARGET);
      const seen = keda?.answers.length ?? 0;
      await until("the autoscaler has looked three times", () => (keda?.answers.length ?? 0) >= seen + 3);
      assert.deepEqual(
        keda?.answers.filter((answer) => answer !== 0),
        [],
      );
    });
    assert.equal(await replicas(), 3);
  });

  it("asks for a pod when an urgent model has a queue, and gets it", async () => {
    await queueing("realtime", async () => {
      await until("the autoscaler should act", async () => (await waited("realtime")) > TOLERATED * TARGET);
      const began = Date.now();
      await until("a pod is asked for", async () => (await replicas()) === 4);
      const seconds = (Date.now() - began) / 1000 + REAL_AUTOSCALER_SECONDS - AUTOSCALER_SECONDS;
      // That it is less than 30 s is no matter of a busy machine.
      console.log(
        `      asked for after ${seconds.toFixed(0)} s, were the autoscaler to look as seldom as by default`,
      );
      await until("it serves", () => fleet().proxy.endpoints.length === 4);
    });
  });

  it("leaves the number of pods alone in an up without a change", async () => {
    assert.deepEqual(await up(), {});
    assert.equal(await replicas(), 4);
  });

  it("finds how long requests wait, those of batches and those at the scheduler included", async () => {
    const models = Object.keys(STEADY_MODELS).map((name) => ({
      name,
      delayMicroseconds: name === "four" ? 5000 : 0,
    }));
    const query = queueQuery(models, { windowSeconds: WINDOW, labels: undefined }, STEADY);
    const [working, busy, inInstances, present] = [1 - 0.4 * 0.8, 0.6 + 0.2, 0.6 + 0.8, 1 + 1.5 - 0.2];
    const share = 100 * (1 - ((working / busy) * inInstances) / present);
    // Before, what there is of it is taken for all.
    const full = `min(count_over_time(nv_inference_request_success{namespace="${STEADY}"}[${2 * WINDOW}s]))`;
    await until("the window is full", async () => ((await ask(full)) ?? 0) > (1.2 * WINDOW) / SCRAPE);
    let found = NaN;
    // Counters that are read late, on a busy machine, belie the rate until they are out of the window.
    await until(
      () => `${found}, not about ${share}`,
      async () => Math.abs((found = (await ask(query)) ?? NaN) - share) < 1,
    );
  });

  it("changes the image without a failed request", async () => {
    set(["image"], image(2));
    // Of the guard as well, and first.
    assert.deepEqual(await serving(up), { "Deployment updated": 2 });
    for (const { spec } of await remaining()) {
      const { containers } = spec as { containers: readonly { image: string }[] };
      assert.equal(containers[0]?.image, image(2));
    }
    assert.equal(await replicas(), 4);
  });

  it("asks by other models when a priority crosses 0, and gives pods back, without a failed request", async () => {
    const asked = async (): Promise<string> =>
      JSON.stringify(((await cluster().call("GET", SCALED_OBJECT)) as KubernetesObject).spec.triggers);
    assert.match(await asked(), /model=~..realtime.interactive../);
    set(["models", 2, "priority"], -40);
    set(["scaling", "maxReplicas"], 3);
    await serving(async () => {
      assert.deepEqual(await up(), {
        "ConfigMapPatch updated": 2,
        "PrometheusRule updated": 1,
        "ScaledObject updated": 1,
      });
      await until("one pod has to go", async () => (await remaining()).length === 3);
      await until("nobody is sent to it", () => fleet().proxy.endpoints.length === 3);
    });
    assert.match(await asked(), /model=~..realtime../);
  });

  it("replaces a pod that is deleted, without a failed request", async () => {
    const [pod] = await remaining();
    await serving(async () => {
      await cluster().call("DELETE", `${PODS}/${pod?.metadata.name ?? ""}`);
      await until("another pod serves", async () => {
        const gone = !(await servingPods()).includes(pod?.metadata.uid ?? "");
        return gone && nodes().serving.length === 3 && (await rolledOut());
      });
    });
    assert.deepEqual(await triton().priority("batch"), { triton: "PRIORITY_MIN", xsched: "-7" });
    assert.deepEqual(await scheduled("batch"), Array(3).fill("-7 10 3"));
  });

  it("goes back to a fixed number of pods, if told to take it from the autoscaler", async () => {
    // Otherwise it would have the last word: Pulumi deletes when all else is done.
    await cluster().call("DELETE", SCALED_OBJECT);
    await until("the autoscaler has gone", async () => (await cluster().list(AUTOSCALERS)).length === 0);
    edit((config) => {
      config.deleteIn(["config", "fleet:fleet", "scaling"]);
    });
    set(["replicas"], 2);
    const refused = await pulumi("up", "--yes", "--skip-preview");
    assert.notEqual(refused.code, 0);
    assert.match(refused.output, /conflict[^]*\.spec\.replicas/);
    assert.equal((await remaining()).length, 3);
    fleet().environment.PULUMI_K8S_ENABLE_PATCH_FORCE = "true";
    const made = await up();
    assert.equal(made["Deployment updated"], 1);
    assert.equal((await remaining()).length, 2);
  });

  it("keeps answering while a node is drained within the notice of a spot interruption", async () => {
    const nodesOfPods = async (): Promise<unknown[]> => (await remaining()).map(({ spec }) => spec.nodeName);
    if (new Set(await nodesOfPods()).size === 1) {
      // Nobody promises which pod goes when there are to be fewer. One in its place goes to the other node.
      const [pod] = await remaining();
      await cluster().call("DELETE", `${PODS}/${pod?.metadata.name ?? ""}`);
      await until("another pod serves", async () => new Set(await nodesOfPods()).size === 2 && rolledOut());
    }
    const [first, second] = await remaining();
    const node = first?.spec.nodeName as string;
    assert.notEqual(second?.spec.nodeName, node, "two pods are on two nodes");
    const evict = async (pod: KubernetesObject | undefined): Promise<number> => {
      const { name = "", namespace } = pod?.metadata ?? {};
      const eviction = { apiVersion: "policy/v1", kind: "Eviction", metadata: { name, namespace } };
      return (await cluster().ask("POST", `${PODS}/${name}/eviction`, eviction)).status;
    };
    await serving(async () => {
      await nodes().cordon(node);
      const began = Date.now();
      assert.equal(await evict(first), 201);
      // The other one has to stay as long as there is none in its place.
      assert.equal(await evict(second), 429);
      await until("its pod has ended", () => nodes().serving.every((pod) => pod.node !== node));
      assert.ok(Date.now() - began < SPOT_NOTICE_SECONDS * 1000);
      await until("another pod serves", rolledOut);
    });
  });

  it("leaves nothing", async () => {
    requireSuccess(await pulumi("destroy", "--yes", "--skip-preview"));
    for (const place of [
      `/api/v1/namespaces/${NAMESPACE}`,
      `/apis/scheduling.k8s.io/v1/priorityclasses/${NAMESPACE}-${FLEET}`,
    ]) {
      assert.equal((await cluster().ask("GET", place)).status, 404, place);
    }
    await until("all pods have ended", () => nodes().pods.size === 0);
  });
});
