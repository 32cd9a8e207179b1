import * as fs from "node:fs";
import * as https from "node:https";
import * as net from "node:net";
import * as os from "node:os";
import * as path from "node:path";

import { CERTIFICATE, CERTIFICATE_KEY } from "../unit/settings/context";
import type { ControlPlane, KubernetesObject } from "./controlPlane";
import { freePorts } from "./ports";
import { NodeImages } from "./nodeImages";
import { makePodImage, type PodImage } from "./podImage";
import { type ConfigMap, type GivenFiles, hasToken } from "./podVolumes";
import { loopbackOf, type PodSpec, RunningPod } from "./runningPod";

/** How often nodes look at their pods, and a Service at its endpoints, in milliseconds. */
const PERIOD = 250;

/** How often they look at ConfigMaps. A real one takes up to about two minutes. */
const REFRESH_PERIOD = 1000;

const pause = (milliseconds: number): Promise<void> =>
  new Promise((resolve) => setTimeout(resolve, milliseconds));

const placeOf = ({ metadata: { namespace = "", name } }: KubernetesObject): string =>
  `/api/v1/namespaces/${namespace}/pods/${name}`;

const MERGE = "application/merge-patch+json";

const now = (): string => new Date().toISOString().replace(/\.\d+Z$/, "Z");

interface Node {
  readonly name: string;
  readonly gpus: number;
  /** Whether its pods are gone and nobody hears from it. */
  lost: boolean;
  /** Whether it takes no more pods. */
  cordoned: boolean;
}

/**
 * The nodes of a cluster, with a scheduler that knows no others: they run what is in a pod's containers as processes, on a
 * loopback address of its own: the image's entrypoint, a real Triton on the CPU and the scheduler on a simulated driver. They
 * ask for health, bring changed ConfigMaps into volumes, start containers again that have ended, and end pods as their
 * manifests say. They know what a fleet's pods have, and no images, networks, limits, security or GPUs, which they only
 * count. They tell a container's liveness from its end alone.
 */
export class Kubelet {
  /** Pods by their uids. */
  public readonly pods = new Map<string, RunningPod>();
  /** Images that can't be pulled. */
  public readonly missingImages = new Set<string>();
  /** Whether containers may end by themselves. Otherwise whoever waits for the pods is told. */
  public mayCrash = false;
  private readonly nodes: Node[] = [];
  /** Nodes and versions of the pods that hold a GPU. */
  private readonly holding = new Map<string, { readonly node: Node; readonly version: string | undefined }>();
  /** Those that something is done about. */
  private readonly busy = new Set<string>();
  /** Those that end, or were on a node that is lost. */
  private readonly ending = new Set<string>();
  /** What was said last of each. */
  private readonly told = new Map<string, string>();
  private readonly folder = fs.mkdtempSync(path.join(os.tmpdir(), "xsched-triton-kubelet-"));
  /** Those that are volumes. All nodes have them in common. */
  public readonly images = new NodeImages(path.join(this.folder, "images"));
  private readonly working = new Set<Promise<void>>();
  /** Those of nodes that are lost. */
  private readonly frozen: RunningPod[] = [];
  private started = 0;
  private stopped = false;
  private readonly loop: Promise<void>;
  private failure: unknown;

  /** Where the API server asks for logs. */
  private readonly server = https.createServer(
    { cert: CERTIFICATE, key: CERTIFICATE_KEY },
    (request, response) => {
      // /containerLogs/NAMESPACE/POD/CONTAINER
      const { pathname, searchParams } = new URL(request.url ?? "", "https://kubelet");
      const [, , , pod, container] = pathname.split("/");
      const found = [...this.pods.values()].find(({ name }) => name === pod)?.container(container ?? "");
      const log = searchParams.get("previous") === "true" ? found?.formerLog : found?.log;
      response.statusCode = log === undefined ? 404 : 200;
      response.end(log);
    },
  );

  private constructor(
    private readonly plane: ControlPlane,
    private readonly image: PodImage,
  ) {
    this.loop = this.run().catch((error: unknown) => {
      this.failure ??= error;
    });
  }

  /** @param gpus of each node */
  public static async start(plane: ControlPlane, gpus: readonly number[]): Promise<Kubelet> {
    const kubelet = new Kubelet(plane, await makePodImage());
    await new Promise<void>((resolve) => kubelet.server.listen(0, "127.0.0.1", resolve));
    for (const [index, count] of gpus.entries()) await kubelet.addNode(`node-${index + 1}`, count);
    return kubelet;
  }

  public async addNode(name: string, gpus: number): Promise<void> {
    await this.plane.call("POST", "/api/v1/nodes", { metadata: { name } });
    const { port: Port } = this.server.address() as net.AddressInfo;
    const status = {
      addresses: [{ type: "InternalIP", address: "127.0.0.1" }],
      daemonEndpoints: { kubeletEndpoint: { Port } },
      conditions: readyCondition("True"),
    };
    await this.plane.call("PATCH", `/api/v1/nodes/${name}/status`, { status }, MERGE);
    this.nodes.push({ name, gpus, lost: false, cordoned: false });
  }

  /** Those of a fleet: each has a GPU. */
  public get serving(): readonly RunningPod[] {
    return [...this.pods].filter(([uid]) => this.holding.has(uid)).map(([, pod]) => pod);
  }

  /** What becomes of a node whose power is cut: its processes answer nobody, and nobody says so. */
  public cutPower(name: string): void {
    this.node(name).lost = true;
    for (const [uid, pod] of this.pods) {
      if (pod.node !== name) continue;
      this.ending.add(uid);
      this.pods.delete(uid);
      this.frozen.push(pod);
      pod.freeze();
    }
  }

  /** What the cluster makes of a node that is silent for about 50 s. What follows is done by its controllers. */
  public async reportSilence(name: string): Promise<void> {
    const status = { conditions: readyCondition("Unknown") };
    await this.plane.call("PATCH", `/api/v1/nodes/${name}/status`, { status }, MERGE);
  }

  /** What a cloud's controller does with a node whose machine is gone, and then the one of pods. */
  public async removeNode(name: string): Promise<void> {
    await this.plane.call("DELETE", `/api/v1/nodes/${name}`);
    this.nodes.splice(this.nodes.indexOf(this.node(name)), 1);
    await Promise.all(this.frozen.filter(({ node }) => node === name).map((pod) => pod.kill()));
    for (const pod of await this.plane.list("/api/v1/pods")) {
      if (pod.spec.nodeName === name) await this.remove(pod);
    }
  }

  /** Takes no more pods. */
  public async cordon(name: string): Promise<void> {
    this.node(name).cordoned = true;
    await this.plane.call("PATCH", `/api/v1/nodes/${name}`, { spec: { unschedulable: true } }, MERGE);
  }

  public async stop(): Promise<void> {
    this.stopped = true;
    await this.loop;
    await Promise.all([...this.pods.values(), ...this.frozen].map((pod) => pod.kill()));
    await Promise.allSettled(this.working);
    this.server.closeAllConnections();
    await new Promise((resolve) => this.server.close(resolve));
    fs.rmSync(this.folder, { recursive: true, force: true });
    this.image.remove();
    if (this.failure !== undefined) throw this.failure as Error;
  }

  private node(name: string): Node {
    const found = this.nodes.find((node) => node.name === name);
    if (found === undefined) throw new Error(`there is no node ${name}`);
    return found;
  }

  private async run(): Promise<void> {
    let refreshed = Date.now();
    while (!this.stopped) {
      await pause(PERIOD);
      for (const pod of await this.plane.list("/api/v1/pods")) this.look(pod);
      if (this.pods.size === 0 || Date.now() - refreshed < REFRESH_PERIOD) continue;
      refreshed = Date.now();
      const all = await this.configMaps();
      for (const running of this.pods.values()) running.refresh(all.get(running.namespace) ?? new Map());
    }
  }

  /** All ConfigMaps of each namespace, by their names. */
  private async configMaps(): Promise<ReadonlyMap<string, ReadonlyMap<string, ConfigMap>>> {
    const { items } = (await this.plane.call("GET", "/api/v1/configmaps")) as { items: ConfigMap[] };
    const found = new Map<string, Map<string, ConfigMap>>();
    for (const configMap of items) {
      const { name, namespace } = configMap.metadata;
      found.set(namespace, (found.get(namespace) ?? new Map<string, ConfigMap>()).set(name, configMap));
    }
    return found;
  }

  /** Does what a pod needs, unless it is being done. */
  private look(pod: KubernetesObject): void {
    const { uid, deletionTimestamp } = pod.metadata;
    const running = this.pods.get(uid);
    if (this.ending.has(uid)) return;
    if (deletionTimestamp !== undefined) {
      this.ending.add(uid);
      this.work(this.end(pod));
      return;
    }
    if (this.busy.has(uid)) return;
    this.busy.add(uid);
    const done = running === undefined ? this.place(pod) : this.watch(pod, running);
    this.work(
      done.finally(() => {
        this.busy.delete(uid);
      }),
    );
  }

  private work(done: Promise<void>): void {
    const ended = done
      .catch((error: unknown) => {
        if (this.stopped || this.failure !== undefined) return;
        this.failure = error;
        // Whoever waits for the pods waits on.
        console.error(error);
      })
      .finally(() => {
        this.working.delete(ended);
      });
    this.working.add(ended);
  }

  /** The node with the fewest pods of a version, and of those the one with the most GPUs that are free, if the pod fits. */
  private nodeFor(needsGpu: boolean, version: string | undefined): Node | undefined {
    const held = [...this.holding].map(([uid, each]) => ({ ...each, ends: this.ending.has(uid) }));
    const on = (node: Node): typeof held => held.filter((each) => each.node === node);
    const free = (node: Node): number => node.gpus - on(node).length;
    // Kubernetes' scheduler, too, spreads pods without a look at those that end.
    const alike = (node: Node): number =>
      on(node).filter((each) => each.version === version && !each.ends).length;
    const [best] = this.nodes
      .filter((node) => !node.lost && !node.cordoned && (!needsGpu || free(node) > 0))
      .sort((a, b) => alike(a) - alike(b) || free(b) - free(a));
    return best;
  }

  private async place(pod: KubernetesObject): Promise<void> {
    const { uid } = pod.metadata;
    const spec = pod.spec as unknown as PodSpec;
    const gpus = spec.containers.map(({ resources }) => resources.limits["nvidia.com/gpu"] ?? "0");
    if (gpus.slice(1).some((count) => count !== "0") || !["0", "1"].includes(gpus[0] ?? ""))
      throw new Error(`a pod with ${gpus.join(" and ")} GPUs`);
    const needsGpu = gpus[0] === "1";
    const version = pod.metadata.labels?.["pod-template-hash"];
    const node = this.nodeFor(needsGpu, version);
    if (node === undefined) {
      const message = `0/${this.nodes.length} nodes are available: Insufficient nvidia.com/gpu.`;
      const unplaced = { type: "PodScheduled", status: "False", reason: "Unschedulable", message };
      await this.say(pod, { phase: "Pending", conditions: [unplaced] });
      return;
    }
    if (needsGpu) this.holding.set(uid, { node, version });
    const target = { apiVersion: "v1", kind: "Node", name: node.name };
    const { namespace, name } = pod.metadata;
    await this.plane.call("POST", `${placeOf(pod)}/binding`, {
      ...{ apiVersion: "v1", kind: "Binding", metadata: { namespace, name }, target },
    });
    if (await this.pull(pod, spec)) await this.begin(pod, spec, node);
  }

  /** @returns whether the images came before the pod was deleted */
  private async pull(pod: KubernetesObject, { containers }: PodSpec): Promise<boolean> {
    const { uid } = pod.metadata;
    while (containers.some(({ image }) => this.missingImages.has(image))) {
      const containerStatuses = containers.map(({ name, image }) => ({
        ...{ name, image, imageID: "", ready: false, started: false, restartCount: 0 },
        state: { waiting: { reason: "ImagePullBackOff", message: `Back-off pulling image "${image}"` } },
      }));
      await this.say(pod, { phase: "Pending", conditions: conditions(false), containerStatuses });
      await pause(PERIOD);
      if (this.ending.has(uid) || this.stopped) return false;
      const { metadata } = (await this.plane.ask("GET", placeOf(pod))).body as Partial<KubernetesObject>;
      if (metadata?.uid !== uid || metadata.deletionTimestamp !== undefined) return false;
    }
    return true;
  }

  private async begin(pod: KubernetesObject, spec: PodSpec, { name: node }: Node): Promise<void> {
    const { namespace = "" } = pod.metadata;
    const number = ++this.started;
    const folder = path.join(this.folder, `pod-${number}`);
    const ports = spec.containers.flatMap((container) => container.ports ?? []);
    // Free on 127.0.0.1 are those of the pods as well, which are at other addresses.
    const [grpcPort = 0] = (await freePorts(ports.length + 1)).filter((port) =>
      ports.every(({ containerPort }) => containerPort !== port),
    );
    const surroundings = { image: this.image, grpcPort, cluster: this.plane.environment };
    const running = new RunningPod(
      pod.metadata.name,
      namespace,
      `10.77.${number >> 8}.${number & 255}`,
      node,
      spec,
      folder,
      surroundings,
      (await this.configMaps()).get(namespace) ?? new Map(),
      new Map([
        ...(await this.credentials(pod, spec)),
        ...(await this.filesOfImages(spec)),
        ...(await this.secrets(namespace, spec)),
      ]),
    );
    this.pods.set(pod.metadata.uid, running);
    await this.sayRunning(pod, running);
  }

  private async filesOfImages({ volumes }: PodSpec): Promise<GivenFiles> {
    const given = volumes.flatMap(({ name, image }) =>
      image === undefined
        ? []
        : [this.images.folderOf(image.reference).then((folder) => [name, folder] as const)],
    );
    return new Map(await Promise.all(given));
  }

  private async secrets(namespace: string, { volumes }: PodSpec): Promise<GivenFiles> {
    const given = volumes.flatMap(({ name, secret }) => (secret === undefined ? [] : [{ name, secret }]));
    const read = given.map(async ({ name, secret: { secretName } }) => {
      const place = `/api/v1/namespaces/${namespace}/secrets/${secretName}`;
      const { data } = (await this.plane.call("GET", place)) as { data: Readonly<Record<string, string>> };
      const texts = Object.entries(data).map(([key, text]) => [key, Buffer.from(text, "base64").toString()]);
      return [name, Object.fromEntries(texts) as Readonly<Record<string, string>>] as const;
    });
    return new Map(await Promise.all(read));
  }

  /** What a pod proves itself with to the API server, if it may. */
  private async credentials(
    { metadata: { namespace = "" } }: KubernetesObject,
    { volumes, serviceAccountName }: PodSpec,
  ): Promise<GivenFiles> {
    const { name } = volumes.find(hasToken) ?? {};
    if (name === undefined) return new Map();
    const account = `/api/v1/namespaces/${namespace}/serviceaccounts/${serviceAccountName}`;
    const { status } = (await this.plane.call("POST", `${account}/token`, { spec: {} })) as {
      status: { token: string };
    };
    const files = { token: status.token, "ca.crt": fs.readFileSync(this.plane.certificate.cert, "utf8") };
    return new Map([[name, files]]);
  }

  /** Asks whether a pod is ready, and tells the API server what has changed. */
  private async watch(pod: KubernetesObject, running: RunningPod): Promise<void> {
    if (running.failure !== undefined && !this.mayCrash)
      throw new Error(`a pod's container has ended: ${running.failure}`);
    if (running.ended !== undefined) {
      // It has no more use for its GPU.
      this.holding.delete(pod.metadata.uid);
      const { ended: phase, containers } = running;
      const containerStatuses = containers.map(({ status }) => status);
      await this.say(pod, { phase, conditions: conditions(false), containerStatuses });
      return;
    }
    await running.look();
    if (this.pods.get(pod.metadata.uid) === running) await this.sayRunning(pod, running);
  }

  private sayRunning(pod: KubernetesObject, { ip, ready, containers }: RunningPod): Promise<void> {
    return this.say(pod, {
      ...{ phase: "Running", podIP: ip, podIPs: [{ ip }], conditions: conditions(ready) },
      containerStatuses: containers.map(({ status }) => status),
    });
  }

  /** Tells the API server of a pod, unless it has been told the same. */
  private async say(pod: KubernetesObject, status: object): Promise<void> {
    const text = JSON.stringify(status);
    if (this.told.get(pod.metadata.uid) === text) return;
    this.told.set(pod.metadata.uid, text);
    const answer = await this.plane.ask("PATCH", `${placeOf(pod)}/status`, { status: timed(status) }, MERGE);
    // It may be gone.
    if (answer.status >= 300 && answer.status !== 404) throw new Error(JSON.stringify(answer.body));
  }

  private async end(pod: KubernetesObject): Promise<void> {
    const { uid } = pod.metadata;
    // It may just begin.
    while (this.busy.has(uid) && !this.pods.has(uid)) await pause(PERIOD);
    await this.pods.get(uid)?.end();
    await this.remove(pod);
  }

  private async remove(pod: KubernetesObject): Promise<void> {
    await this.plane.ask("DELETE", `${placeOf(pod)}?gracePeriodSeconds=0`);
    for (const known of [this.pods, this.holding, this.ending, this.told]) known.delete(pod.metadata.uid);
  }
}

const readyCondition = (status: string): object[] => [
  { type: "Ready", status, reason: "Test", message: "", lastHeartbeatTime: now(), lastTransitionTime: now() },
];

/** Those of a pod that has a node. */
const conditions = (ready: boolean): object[] => [
  ...["PodScheduled", "Initialized"].map((type) => ({ type, status: "True" })),
  ...["ContainersReady", "Ready"].map((type) => ({ type, status: ready ? "True" : "False" })),
];

/** With the times that the API server wants and nobody here looks at. */
function timed(status: object): object {
  const { conditions: said = [], containerStatuses = [] } = status as {
    readonly conditions?: readonly object[];
    readonly containerStatuses?: readonly { readonly state: { readonly running?: object } }[];
  };
  return {
    ...{ startTime: now() },
    ...status,
    conditions: said.map((condition) => ({ ...condition, lastTransitionTime: now() })),
    containerStatuses: containerStatuses.map((container) => ({
      ...container,
      state: container.state.running === undefined ? container.state : { running: { startedAt: now() } },
    })),
  };
}

/** What leads from a Service to its pods: for each connection, to one of those that are ready now. */
export class ServiceProxy {
  private ready: readonly string[] = [];
  private next = 0;
  private stopped = false;
  private failure: unknown;
  private readonly loop: Promise<void>;

  private constructor(
    private readonly plane: ControlPlane,
    private readonly slices: string,
    /** Of the Service and of its pods. */
    private readonly podPort: number,
    private readonly server: net.Server,
  ) {
    server.on("connection", (client) => {
      const host = this.ready[this.next++ % Math.max(1, this.ready.length)];
      if (host === undefined) {
        client.destroy();
        return;
      }
      const upstream = net.connect(this.podPort, loopbackOf(host));
      client.on("error", () => upstream.destroy()).pipe(upstream);
      upstream.on("error", () => client.destroy()).pipe(client);
    });
    this.loop = this.run().catch((error: unknown) => {
      this.failure = error;
    });
  }

  public static async start(
    plane: ControlPlane,
    namespace: string,
    podPort: number,
  ): Promise<{ proxy: ServiceProxy; port: number }> {
    const server = net.createServer({ noDelay: true });
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    const slices = `/apis/discovery.k8s.io/v1/namespaces/${namespace}/endpointslices`;
    const { port } = server.address() as net.AddressInfo;
    return { proxy: new ServiceProxy(plane, slices, podPort, server), port };
  }

  /** Addresses of the pods that requests are sent to. */
  public get endpoints(): readonly string[] {
    if (this.failure !== undefined) throw this.failure as Error;
    return this.ready;
  }

  public async stop(): Promise<void> {
    this.stopped = true;
    await this.loop;
    await new Promise((resolve) => this.server.close(resolve));
    if (this.failure !== undefined) throw this.failure as Error;
  }

  private async run(): Promise<void> {
    while (!this.stopped) {
      const slices = (await this.plane.list(this.slices)) as unknown as readonly {
        /** Null without any. */
        readonly endpoints?:
          | readonly {
              readonly addresses: readonly string[];
              readonly conditions: { readonly ready?: boolean };
            }[]
          | null;
      }[];
      this.ready = slices
        .flatMap(({ endpoints }) => endpoints ?? [])
        .filter(({ conditions }) => conditions.ready === true)
        .flatMap(({ addresses }) => addresses);
      await pause(PERIOD);
    }
  }
}
