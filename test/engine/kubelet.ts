import { type ChildProcess, spawn } from "node:child_process";
import * as fs from "node:fs";
import * as http from "node:http";
import * as net from "node:net";
import * as os from "node:os";
import * as path from "node:path";

import type { ControlPlane, KubernetesObject } from "./controlPlane";
import { freePorts } from "./ports";
import { linkTriton } from "./ready";

interface Probe {
  readonly httpGet: { readonly path: string; readonly port: string };
}

interface Container {
  readonly name: string;
  readonly image: string;
  readonly args: readonly string[];
  readonly env?: readonly { readonly name: string; readonly value: string }[];
  readonly ports: readonly { readonly name: string; readonly containerPort: number }[];
  readonly startupProbe: Probe;
  readonly readinessProbe: Probe;
  readonly lifecycle?: { readonly preStop: { readonly sleep: { readonly seconds: number } } };
  readonly resources: { readonly limits: Readonly<Record<string, string>> };
  readonly volumeMounts: readonly { readonly name: string; readonly mountPath: string }[];
}

interface PodSpec {
  readonly nodeName?: string;
  readonly terminationGracePeriodSeconds: number;
  readonly containers: readonly [Container];
  readonly volumes: readonly {
    readonly name: string;
    readonly configMap?: { readonly name: string; readonly items: readonly Item[] };
  }[];
}

interface Item {
  readonly key: string;
  readonly path: string;
  readonly mode: number;
}

interface ConfigMap {
  readonly data?: Readonly<Record<string, string>>;
  readonly binaryData?: Readonly<Record<string, string>>;
}

const NODE = "node-1";

/** How often a node looks at its pods, in milliseconds. */
const PERIOD = 100;

const pause = (milliseconds: number): Promise<void> =>
  new Promise((resolve) => setTimeout(resolve, milliseconds));

const placeOf = ({ metadata: { namespace = "", name } }: KubernetesObject): string =>
  `/api/v1/namespaces/${namespace}/pods/${name}`;

/** A pod that runs here. */
class RunningPod {
  public ready = false;
  private readonly child: ChildProcess;
  private said = "";

  public constructor(
    public readonly ip: string,
    private readonly spec: PodSpec,
    private readonly folder: string,
    runtime: string,
    /** Triton's gRPC keeps its port from pods at other addresses; nobody here asks over gRPC. */
    grpcPort: number,
  ) {
    const [container] = spec.containers;
    const triton = path.join(runtime, "tritonserver");
    // What a network of its own, a root of its own and the image would do.
    const [program = "", ...words] = container.args.map((word) =>
      word
        .replace(/^--(http|grpc)-address=0\.0\.0\.0$/, `--$1-address=${loopbackOf(ip)}`)
        .replace(/^--grpc-port=\d+$/, `--grpc-port=${grpcPort}`)
        .replace(/^--model-repository=\//, `--model-repository=${folder}/root/`),
    );
    if (program !== "tritonserver") throw new Error(`the image's entrypoint is to run ${program}`);
    const own = [
      `--metrics-address=${loopbackOf(ip)}`,
      `--backend-directory=${triton}/backends`,
      `--backend-config=python,shm-region-prefix-name=${this.sharedMemory}`,
    ];
    this.child = spawn(path.join(triton, "bin/tritonserver"), [...words, ...own], {
      stdio: ["ignore", "pipe", "pipe"],
      env: {
        PATH: `${runtime}/python/bin:/usr/bin:/bin`,
        HOME: folder,
        LANG: "C.UTF-8",
        PYTHONNOUSERSITE: "1",
        PYTHONDONTWRITEBYTECODE: "1",
        ...Object.fromEntries((container.env ?? []).map(({ name, value }) => [name, value])),
      },
    });
    for (const stream of [this.child.stdout, this.child.stderr]) {
      stream?.setEncoding("utf8").on("data", (text: string) => {
        this.said = (this.said + text).slice(-5000);
        if (process.env.MOCHA_VERBOSE) process.stderr.write(text);
      });
    }
  }

  /** What the names of its shared memory begin with. */
  private get sharedMemory(): string {
    return `${path.basename(path.dirname(this.folder))}-${path.basename(this.folder)}-`;
  }

  /** The end of what Triton printed, if it has ended. */
  public get failure(): string | undefined {
    return this.child.exitCode === null && this.child.signalCode === null ? undefined : this.said;
  }

  public get container(): Container {
    return this.spec.containers[0];
  }

  /** Asks what the pod says that a kubelet should ask. */
  public async probe(): Promise<boolean> {
    const { startupProbe, readinessProbe, ports } = this.container;
    const { httpGet } = this.ready ? readinessProbe : startupProbe;
    const port = ports.find(({ name }) => name === httpGet.port)?.containerPort;
    return new Promise((resolve) => {
      const request = http.get({ host: loopbackOf(this.ip), port, path: httpGet.path, timeout: 10_000 });
      request.on("response", (response) => {
        response.resume();
        resolve(response.statusCode === 200);
      });
      request.on("timeout", () => request.destroy());
      request.on("error", () => {
        resolve(false);
      });
    });
  }

  /** Ends the pod as it says that it is to be ended. */
  public async end(): Promise<void> {
    const { terminationGracePeriodSeconds } = this.spec;
    const drain = this.container.lifecycle?.preStop.sleep.seconds ?? 0;
    const killed = setTimeout(() => this.child.kill("SIGKILL"), terminationGracePeriodSeconds * 1000);
    await pause(drain * 1000);
    await this.kill("SIGTERM");
    clearTimeout(killed);
  }

  public async kill(signal: NodeJS.Signals): Promise<void> {
    if (this.failure === undefined) {
      const ended = new Promise((resolve) => this.child.once("exit", resolve));
      this.child.kill(signal);
      await ended;
    }
    for (const name of fs.readdirSync("/dev/shm")) {
      if (name.startsWith(this.sharedMemory)) fs.rmSync(path.join("/dev/shm", name), { force: true });
    }
    fs.rmSync(this.folder, { recursive: true, force: true });
  }
}

/** Addresses of pods may not be loopback ones, but nobody here leaves the loopback interface. */
function loopbackOf(ip: string): string {
  return ip.replace(/^10\./, "127.");
}

/**
 * A node of a cluster, with a scheduler that knows no other one: it runs what is in a pod's container as a process, a
 * real Triton on the CPU, on a loopback address of its own. It asks for health and ends pods as their manifests say.
 * It knows what a fleet's pods have, and no images, networks, limits, security or GPUs, which it only counts.
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

  private constructor(
    private readonly plane: ControlPlane,
    private readonly runtime: string,
    /** How many GPUs the node has. */
    public gpus: number,
  ) {
    this.loop = this.run().catch((error: unknown) => {
      this.failure ??= error;
    });
  }

  public static async start(plane: ControlPlane, gpus: number): Promise<Kubelet> {
    await plane.call("POST", "/api/v1/nodes", { metadata: { name: NODE } });
    const host = fs.mkdtempSync(path.join(os.tmpdir(), "xsched-triton-runtime-"));
    await linkTriton(host);
    const runtimes = fs.readdirSync(path.join(host, "runtime"));
    return new Kubelet(plane, path.join(host, "runtime", runtimes[0] ?? ""), gpus);
  }

  public async stop(): Promise<void> {
    this.stopped = true;
    await this.loop;
    await Promise.all([...this.pods.values()].map((pod) => pod.kill("SIGKILL")));
    await Promise.allSettled(this.working);
    fs.rmSync(this.folder, { recursive: true, force: true });
    fs.rmSync(path.resolve(this.runtime, "../.."), { recursive: true, force: true });
    if (this.failure !== undefined) throw this.failure as Error;
  }

  private async run(): Promise<void> {
    while (!this.stopped) {
      for (const pod of await this.plane.list("/api/v1/pods")) this.look(pod);
      await pause(PERIOD);
    }
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
        if (!this.stopped) this.failure ??= error;
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
    const [container] = spec.containers;
    if (container.resources.limits["nvidia.com/gpu"] !== "1") throw new Error("a pod without a whole GPU");
    for (const { name, configMap } of spec.volumes) {
      if (configMap === undefined) continue;
      const volume = path.join(folder, "volumes", name);
      await this.fill(volume, pod.metadata.namespace ?? "", configMap);
      const mount = container.volumeMounts.find((each) => each.name === name);
      const place = path.join(folder, "root", mount?.mountPath ?? "");
      fs.mkdirSync(path.dirname(place), { recursive: true });
      fs.symlinkSync(volume, place);
    }
    const [grpcPort = 0] = await freePorts(1);
    const running = new RunningPod(`10.77.0.${number}`, spec, folder, this.runtime, grpcPort);
    this.pods.set(pod.metadata.uid, running);
    await this.say(pod, running);
    this.busy.delete(pod.metadata.uid);
  }

  /** Lays a ConfigMap out as Kubernetes does: behind a link, so that another state could take its place at once. */
  private async fill(
    volume: string,
    namespace: string,
    { name, items }: { readonly name: string; readonly items: readonly Item[] },
  ): Promise<void> {
    const place = `/api/v1/namespaces/${namespace}/configmaps/${name}`;
    const { data = {}, binaryData = {} } = (await this.plane.call("GET", place)) as ConfigMap;
    const state = path.join(volume, "..state");
    for (const { key, path: file, mode } of items) {
      const target = path.join(state, file);
      fs.mkdirSync(path.dirname(target), { recursive: true });
      const content = data[key] ?? Buffer.from(binaryData[key] ?? "", "base64");
      fs.writeFileSync(target, content, { mode });
    }
    fs.symlinkSync("..state", path.join(volume, "..data"));
    for (const entry of fs.readdirSync(state)) fs.symlinkSync(`..data/${entry}`, path.join(volume, entry));
  }

  /** Asks whether a pod is ready, and tells the API server when that changes. */
  private async watch(pod: KubernetesObject, running: RunningPod): Promise<void> {
    if (running.failure !== undefined) throw new Error(`a pod's Triton has ended: ${running.failure}`);
    const ready = await running.probe();
    if (ready === running.ready) return;
    running.ready = ready;
    await this.say(pod, running);
  }

  private async say(pod: KubernetesObject, { ip, ready, container }: RunningPod): Promise<void> {
    const status = ready ? "True" : "False";
    const now = new Date().toISOString().replace(/\.\d+Z$/, "Z");
    const condition = (type: string, value: string): object => ({
      type,
      status: value,
      lastTransitionTime: now,
    });
    const { name, image } = container;
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
          containerStatuses: [
            {
              ...{ name, image, imageID: image, ready, started: ready, restartCount: 0 },
              state: { running: { startedAt: now } },
            },
          ],
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
