import * as assert from "node:assert/strict";
import * as fs from "node:fs";
import * as path from "node:path";
import { isDeepStrictEqual } from "node:util";

import { type Document, parseDocument } from "yaml";

import { until } from "../until";
import { BuildKit } from "./buildKit";
import { ControlPlane, type KubernetesObject } from "./controlPlane";
import { Kubelet, ServiceProxy } from "./kubelet";
import { freePorts } from "./ports";
import { Registry } from "./registry";
import { IMAGE_PROVIDER, TOOLS_HOME } from "./toolchain";
import { TritonClient, underLoad } from "./triton";
import { changesIn, execute, type Finished, requireSuccess, Workspace } from "./workspace";

export const NAMESPACE = "xsched-triton";
export const FLEET = "inference";
export const PODS = `/api/v1/namespaces/${NAMESPACE}/pods`;
const DEPLOYMENT = `/apis/apps/v1/namespaces/${NAMESPACE}/deployments/${FLEET}`;

const PROGRAM = "examples/fleet";

/** Requests a second to each of two models, of clients in the cluster. */
const RATE = 50;

export const image = (digit: number): string =>
  `registry.example.com/triton@sha256:${String(digit).padStart(64, "0")}`;

/** A queue, as `xsched-ctl stats --json` tells of it. */
interface Queue {
  readonly name: string;
  readonly priority: number;
  readonly floor_percent: number;
  readonly weight: number;
}

export interface Deployment extends KubernetesObject {
  readonly metadata: KubernetesObject["metadata"] & {
    readonly generation: number;
    readonly annotations?: Readonly<Record<string, string>>;
  };
  readonly spec: { readonly replicas: number; readonly template: unknown };
  readonly status: Readonly<Record<string, number>>;
}

/** What a model's process does with a GPU: it has a stream, so the scheduler has a queue of the model. */
const WORK_ON_GPU = `
import ctypes

driver = ctypes.CDLL("libcuda.so.1")
assert driver.cuInit(0) == 0
assert driver.cuCtxCreate_v2(ctypes.byref(ctypes.c_void_p()), 0, 0) == 0
assert driver.cuStreamCreate(ctypes.byref(ctypes.c_void_p()), 1) == 0
`;

/** The example of a fleet, by default with two nodes of four GPUs each, on a control plane of its own. */
export class FleetOnCluster {
  private constructor(
    public readonly plane: ControlPlane,
    public readonly workspace: Workspace,
    public readonly nodes: Kubelet,
    public readonly proxy: ServiceProxy,
    /** Sends requests to the Service, as kube-proxy does, by connection: one for each request. */
    public readonly client: TritonClient,
    /** Of each pod. */
    public readonly ports: Readonly<Record<"httpPort" | "grpcPort" | "metricsPort", number>>,
    /** More of the environment of Pulumi. */
    public readonly environment: NodeJS.ProcessEnv,
  ) {}

  /** What the machine lacks for a fleet whose models come from images, in words. */
  public static get missingForImages(): string | undefined {
    if (!fs.existsSync(IMAGE_PROVIDER)) return "Docker's build provider is missing (`npm test` looks for it)";
    return ControlPlane.missing ?? BuildKit.missing ?? Registry.missing;
  }

  /**
   * @param gpus of each node
   * @param environment more of the environment of Pulumi
   */
  public static async start(
    gpus: readonly number[] = [4, 4],
    environment: NodeJS.ProcessEnv = {},
  ): Promise<FleetOnCluster> {
    const plane = await ControlPlane.start();
    const workspace = await Workspace.create();
    const [httpPort = 0, grpcPort = 0, metricsPort = 0] = await freePorts(3);
    const nodes = await Kubelet.start(plane, gpus);
    const { proxy, port } = await ServiceProxy.start(plane, NAMESPACE, httpPort);
    const client = new TritonClient(port, false, 60);
    const ports = { httpPort, grpcPort, metricsPort };
    const fleet = new FleetOnCluster(plane, workspace, nodes, proxy, client, ports, environment);
    try {
      await fleet.configure();
    } catch (error) {
      await fleet.stop();
      throw error;
    }
    return fleet;
  }

  private async configure(): Promise<void> {
    this.workspace.compileQuickly(PROGRAM);
    fs.mkdirSync(path.join(this.folder, "state"));
    requireSuccess(await this.pulumi("stack", "init", "dev"));
    this.set(["image"], image(1));
    // Pods share this machine's ports.
    this.set(["server"], this.ports);
    for (const model of ["realtime", "batch"]) {
      fs.appendFileSync(this.workspace.file(`examples/models/${model}/1/model.py`), WORK_ON_GPU);
    }
  }

  public async stop(): Promise<void> {
    this.client.close();
    await this.proxy.stop();
    await this.nodes.stop();
    await this.plane.stop();
    this.workspace.remove();
  }

  /** Of the program. */
  public get folder(): string {
    return this.workspace.file(PROGRAM);
  }

  /** A file of an example's model, or its folder. */
  public exampleModel(...parts: string[]): string {
    return this.workspace.file("examples/models", ...parts);
  }

  public environmentOf(): NodeJS.ProcessEnv {
    return {
      ...this.environment,
      KUBECONFIG: this.plane.kubeconfig,
      PULUMI_BACKEND_URL: `file://${path.join(this.folder, "state")}`,
      PULUMI_CONFIG_PASSPHRASE: "",
      PULUMI_HOME: TOOLS_HOME,
      PULUMI_SKIP_UPDATE_CHECK: "true",
      PULUMI_DISABLE_AUTOMATIC_PLUGIN_ACQUISITION: "true",
    };
  }

  public pulumi(...words: string[]): Promise<Finished> {
    return execute("pulumi", [...words, "--non-interactive"], this.folder, this.environmentOf());
  }

  /** One of the project's commands, on the fleet. A stand-in for kubectl asks the API server. */
  public command(name: string, ...words: string[]): Promise<Finished> {
    const [script = "", ...given] = name === "status" ? ["stack", "status"] : [name];
    const kubectl = path.resolve(__dirname, "../fixtures/kubectl");
    return execute(
      process.execPath,
      [this.workspace.file("scripts", `${script}.mjs`), ...given, ...words, `--cwd=${this.folder}`],
      this.workspace.directory,
      { ...this.environmentOf(), PATH: `${kubectl}:${process.env.PATH}` },
    );
  }

  /** The types that an `up` has created, updated or deleted, each with how often. */
  public async up(): Promise<Readonly<Record<string, number>>> {
    const { code, output } = await this.pulumi("up", "--yes", "--skip-preview");
    requireSuccess({ code, output });
    await until("the Service has the new pods alone", () => this.rolledOut());
    const counts: Record<string, number> = {};
    for (const { type, done } of changesIn(output)) {
      if (!/^(kubernetes|docker-build):/.test(type)) continue;
      const what = `${type.split(":").at(-1) ?? ""} ${done}`;
      counts[what] = (counts[what] ?? 0) + 1;
    }
    return counts;
  }

  public edit(change: (config: Document) => void): void {
    const file = path.join(this.folder, "Pulumi.dev.yaml");
    const config = parseDocument(fs.readFileSync(file, "utf8"));
    change(config);
    fs.writeFileSync(file, config.toString());
  }

  public set(where: readonly (string | number)[], value: unknown): void {
    this.edit((config) => {
      config.setIn(["config", "fleet:fleet", ...where], config.createNode(value));
    });
  }

  /** Pods that serve and are not to go. */
  public async remaining(): Promise<readonly KubernetesObject[]> {
    const pods = await this.plane.list(`${PODS}?labelSelector=app.kubernetes.io/instance=${FLEET}`);
    return pods.filter(({ metadata }) => metadata.deletionTimestamp === undefined);
  }

  public async servingPods(): Promise<string[]> {
    return (await this.remaining()).map(({ metadata }) => metadata.uid);
  }

  public async deployment(): Promise<Deployment> {
    return (await this.plane.call("GET", DEPLOYMENT)) as Deployment;
  }

  public async template(): Promise<unknown> {
    return (await this.deployment()).spec.template;
  }

  /** Whether the new pods alone are in the Service: an `up` ends once they serve, while others may still drain. */
  public async rolledOut(): Promise<boolean> {
    const { metadata, spec, status } = await this.deployment();
    const counts = [status.replicas, status.updatedReplicas, status.readyReplicas];
    const addresses = (await this.remaining()).map((pod) => (pod.status as { podIP?: string }).podIP);
    return (
      status.observedGeneration === metadata.generation &&
      counts.every((count) => count === spec.replicas) &&
      // The counts are as old as the last look of their controller.
      addresses.length === spec.replicas &&
      isDeepStrictEqual(addresses.sort(), [...this.proxy.endpoints].sort())
    );
  }

  /** What the scheduler of each pod that is not to go has for a model, which clients can't see. */
  public async scheduled(model: string): Promise<string[]> {
    // Triton may have ended in one that drains.
    const pods = (await this.servingPods()).map(async (uid) => {
      const pod = this.nodes.pods.get(uid);
      if (pod === undefined) return [];
      const { code, output } = await pod
        .container("triton")
        .run(["/opt/xsched/bin/xsched-ctl", "stats", "--json", "--all"]);
      requireSuccess({ code, output });
      const { queues } = JSON.parse(output) as { queues: Queue[] };
      return queues
        .filter(({ name }) => name.startsWith(`${model}/`))
        .map(({ priority, floor_percent, weight }) => `${priority} ${floor_percent} ${weight}`);
    });
    return (await Promise.all(pods)).flat();
  }

  /** Does something while clients ask models; none of their requests may fail. */
  public async measured<T>(
    work: () => Promise<T>,
    { client = this.client, rate = RATE, models = ["realtime", "batch"] } = {},
  ): Promise<{ readonly result: T; readonly sent: number }> {
    const { result, reports } = await underLoad(client, models, rate, work);
    let all = 0;
    for (const [model, { failures, sent }] of reports) {
      assert.deepEqual(failures.slice(0, 3), [], `${model}: ${failures.length} of ${sent} requests failed`);
      assert.ok(sent > rate, `${sent} requests`);
      all += sent;
    }
    return { result, sent: all };
  }
}
