import * as fs from "node:fs";
import * as https from "node:https";
import * as net from "node:net";
import * as os from "node:os";
import * as path from "node:path";

import { CERTIFICATE, CERTIFICATE_KEY } from "../unit/settings/context";
import type { ControlPlane, KubernetesObject } from "./controlPlane";
import { freePorts } from "./ports";
import { makePodImage, type PodImage } from "./podImage";
import type { ConfigMap } from "./podVolumes";
import { loopbackOf, type PodSpec, RunningPod } from "./runningPod";

const NODE = "node-1";

/** How often a node looks at its pods, in milliseconds. */
const PERIOD = 100;

/** How often it looks at ConfigMaps. A real one takes up to about two minutes. */
const REFRESH_PERIOD = 1000;

const pause = (milliseconds: number): Promise<void> =>
  new Promise((resolve) => setTimeout(resolve, milliseconds));

const placeOf = ({ metadata: { namespace = "", name } }: KubernetesObject): string =>
  `/api/v1/namespaces/${namespace}/pods/${name}`;

/**
 * A node of a cluster, with a scheduler that knows no other one: it runs what is in a pod's containers as processes, on a
 * loopback address of its own: the image's entrypoint, a real Triton on the CPU and the scheduler on a simulated driver. It
 * asks for health, brings changed ConfigMaps into volumes and ends pods as their manifests say. It knows what a fleet's
 * pods have, and no images, networks, limits, security or GPUs, which it only counts.
 */
export class Kubelet {
  /** Pods by their uids. */
  public readonly pods = new Map<string, RunningPod>();
  /** Those that hold a GPU. */
  private readonly holding = new Set<string>();
  /** Those that something is done about. */
  private readonly busy = new Set<string>();
  private readonly ending = new Set<string>();
  private readonly folder = fs.mkdtempSync(path.join(os.tmpdir(), "xsched-triton-kubelet-"));
  private readonly working = new Set<Promise<void>>();
  private started = 0;
  private stopped = false;
  private readonly loop: Promise<void>;
  private failure: unknown;

  /** Where the API server asks for logs. */
  private readonly server = https.createServer(
    { cert: CERTIFICATE, key: CERTIFICATE_KEY },
    (request, response) => {
      // /containerLogs/NAMESPACE/POD/CONTAINER
      const [, , , pod, container] = new URL(request.url ?? "", "https://kubelet").pathname.split("/");
      const found = [...this.pods.values()].find(({ name }) => name === pod);
      response.statusCode = found === undefined ? 404 : 200;
      response.end(found?.container(container ?? "").log);
    },
  );

  private constructor(
    private readonly plane: ControlPlane,
    private readonly image: PodImage,
    /** How many GPUs the node has. */
    public gpus: number,
  ) {
    this.loop = this.run().catch((error: unknown) => {
      this.failure ??= error;
    });
  }

  public static async start(plane: ControlPlane, gpus: number): Promise<Kubelet> {
    await plane.call("POST", "/api/v1/nodes", { metadata: { name: NODE } });
    const kubelet = new Kubelet(plane, await makePodImage(), gpus);
    await new Promise<void>((resolve) => kubelet.server.listen(0, "127.0.0.1", resolve));
    const { port: Port } = kubelet.server.address() as net.AddressInfo;
    const status = {
      addresses: [{ type: "InternalIP", address: "127.0.0.1" }],
      daemonEndpoints: { kubeletEndpoint: { Port } },
    };
    const type = "application/merge-patch+json";
    await plane.call("PATCH", `/api/v1/nodes/${NODE}/status`, { status }, type);
    return kubelet;
  }

  public async stop(): Promise<void> {
    this.stopped = true;
    await this.loop;
    await Promise.all([...this.pods.values()].map((pod) => pod.kill()));
    await Promise.allSettled(this.working);
    this.server.closeAllConnections();
    await new Promise((resolve) => this.server.close(resolve));
    fs.rmSync(this.folder, { recursive: true, force: true });
    this.image.remove();
    if (this.failure !== undefined) throw this.failure as Error;
  }

  private async run(): Promise<void> {
    let refreshed = Date.now();
    while (!this.stopped) {
      await pause(PERIOD);
      for (const pod of await this.plane.list("/api/v1/pods")) this.look(pod);
      if (this.pods.size === 0 || Date.now() - refreshed < REFRESH_PERIOD) continue;
      refreshed = Date.now();
      const all = await this.configMaps();
      for (const running of this.pods.values()) running.refresh(all);
    }
  }

  /** All ConfigMaps by their names, which no two namespaces here have in common. */
  private async configMaps(): Promise<ReadonlyMap<string, ConfigMap>> {
    const { items } = (await this.plane.call("GET", "/api/v1/configmaps")) as { items: ConfigMap[] };
    return new Map(items.map((configMap) => [configMap.metadata.name, configMap]));
  }

  /** Does what a pod needs, unless it is being done. */
  private look(pod: KubernetesObject): void {
    const { uid, deletionTimestamp } = pod.metadata;
    const running = this.pods.get(uid);
    if (deletionTimestamp !== undefined) {
      if (this.ending.has(uid)) return;
      this.ending.add(uid);
      this.work(this.end(pod));
    } else if (running === undefined) {
      if (this.holding.size >= this.gpus || this.busy.has(uid)) return;
      this.holding.add(uid);
      this.busy.add(uid);
      this.work(this.begin(pod));
    } else if (!this.busy.has(uid)) {
      this.busy.add(uid);
      this.work(
        this.watch(pod, running).finally(() => {
          this.busy.delete(uid);
        }),
      );
    }
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

  private async begin(pod: KubernetesObject): Promise<void> {
    const target = { apiVersion: "v1", kind: "Node", name: NODE };
    await this.plane.call("POST", `${placeOf(pod)}/binding`, {
      apiVersion: "v1",
      kind: "Binding",
      metadata: { name: pod.metadata.name },
      target,
    });
    const number = ++this.started;
    const folder = path.join(this.folder, `pod-${number}`);
    const spec = pod.spec as unknown as PodSpec;
    const gpus = spec.containers.map(({ resources }) => resources.limits["nvidia.com/gpu"] ?? "0");
    if (gpus.join() !== ["1", ...gpus.slice(1).map(() => "0")].join())
      throw new Error(`a pod with ${gpus.join(" and ")} GPUs`);
    const ports = spec.containers.flatMap((container) => container.ports ?? []);
    // Free on 127.0.0.1 are those of the pods as well, which are at other addresses.
    const [grpcPort = 0] = (await freePorts(ports.length + 1)).filter((port) =>
      ports.every(({ containerPort }) => containerPort !== port),
    );
    const running = new RunningPod(
      pod.metadata.name,
      `10.77.0.${number}`,
      spec,
      folder,
      this.image,
      grpcPort,
      await this.configMaps(),
    );
    this.pods.set(pod.metadata.uid, running);
    await this.say(pod, running);
    this.busy.delete(pod.metadata.uid);
  }

  /** Asks whether a pod is ready, and tells the API server when that changes. */
  private async watch(pod: KubernetesObject, running: RunningPod): Promise<void> {
    if (running.failure !== undefined) throw new Error(`a pod's container has ended: ${running.failure}`);
    const ready = await running.probe();
    if (ready === running.ready) return;
    running.ready = ready;
    await this.say(pod, running);
  }

  private async say(pod: KubernetesObject, { ip, ready, containers }: RunningPod): Promise<void> {
    const status = ready ? "True" : "False";
    const now = new Date().toISOString().replace(/\.\d+Z$/, "Z");
    const condition = (type: string, value: string): object => ({
      type,
      status: value,
      lastTransitionTime: now,
    });
    const answer = await this.plane.ask(
      "PATCH",
      `${placeOf(pod)}/status`,
      {
        status: {
          phase: "Running",
          podIP: ip,
          podIPs: [{ ip }],
          startTime: now,
          conditions: [
            ...["PodScheduled", "Initialized"].map((type) => condition(type, "True")),
            ...["ContainersReady", "Ready"].map((type) => condition(type, status)),
          ],
          containerStatuses: containers.map(({ spec: { name, image }, ready: fit }) => ({
            ...{ name, image, imageID: image, ready: fit, started: fit, restartCount: 0 },
            state: { running: { startedAt: now } },
          })),
        },
      },
      "application/merge-patch+json",
    );
    // It may be gone.
    if (answer.status >= 300 && answer.status !== 404) throw new Error(JSON.stringify(answer.body));
  }

  private async end(pod: KubernetesObject): Promise<void> {
    await this.pods.get(pod.metadata.uid)?.end();
    await this.plane.ask("DELETE", `${placeOf(pod)}?gracePeriodSeconds=0`);
    for (const known of [this.pods, this.holding, this.ending]) known.delete(pod.metadata.uid);
  }
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
