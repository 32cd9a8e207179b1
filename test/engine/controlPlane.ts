import { type ChildProcess } from "node:child_process";
import { generateKeyPairSync, randomBytes } from "node:crypto";
import * as fs from "node:fs";
import * as https from "node:https";
import * as os from "node:os";
import * as path from "node:path";

import { parseAllDocuments } from "yaml";

import { until } from "../until";
import { startDaemon, stopDaemon } from "./dockerEngine";
import { freePorts } from "./ports";
import { PLUGINS, TOOLS_HOME } from "./toolchain";

const BIN = path.join(path.dirname(TOOLS_HOME), "bin");
const PROGRAM = path.join(BIN, "kubernetes-control-plane");
/** What extends it: the Gateway API, Karpenter's NodePools, KEDA's ScaledObjects, and what the Prometheus operator reads. */
const DEFINITIONS = ["gateway-api-crds", "karpenter-crds", "keda-crds", "prometheus-operator-crds"].map(
  (name) => path.join(BIN, name),
);
const PROVIDER = path.join(PLUGINS, "resource-kubernetes-v4.25.0/pulumi-resource-kubernetes");

/** The controllers that a fleet needs, without those of clouds. */
const CONTROLLERS = [
  "deployment",
  "disruption",
  // The provider looks at it, too.
  "endpoints",
  "endpointslice",
  "garbage-collector",
  "horizontal-pod-autoscaler",
  "job",
  "namespace",
  // Of nodes that are lost: what becomes of them and of their pods.
  "node-lifecycle",
  "taint-eviction",
  "replicaset",
  "serviceaccount",
].map((name) => `${name}-controller`);

/** How often the autoscaler looks, in seconds; otherwise 15. */
export const AUTOSCALER_SECONDS = 2;

/** How long pods of a node that is lost may hope for it, in seconds; otherwise 300. */
export const LOST_NODE_SECONDS = 5;

interface Answer {
  readonly status: number;
  readonly body: unknown;
}

/** An object of Kubernetes, as far as the tests look at it. */
export interface KubernetesObject {
  readonly kind: string;
  readonly metadata: {
    readonly name: string;
    readonly namespace?: string;
    readonly labels?: Readonly<Record<string, string>>;
    readonly deletionTimestamp?: string;
    readonly uid: string;
    readonly resourceVersion: string;
  };
  readonly spec: Readonly<Record<string, unknown>>;
  readonly status?: Readonly<Record<string, unknown>>;
}

/**
 * A real control plane of Kubernetes on the loopback interface: etcd, kube-apiserver and kube-controller-manager, with
 * the objects of the Gateway API, Karpenter, KEDA and the Prometheus operator. It has no nodes. It leaves nothing behind.
 */
export class ControlPlane {
  private readonly agent = new https.Agent({ keepAlive: true, maxSockets: 16, rejectUnauthorized: false });
  private readonly daemons: ChildProcess[] = [];

  private constructor(
    private readonly folder: string,
    private readonly port: number,
    private readonly token: string,
  ) {}

  /** What is missing on this machine. */
  public static get missing(): string | undefined {
    const lost = [PROGRAM, ...DEFINITIONS, PROVIDER].find((file) => !fs.existsSync(file));
    return lost && `${path.basename(lost)} is missing (\`npm test\` builds it with Go)`;
  }

  public static async start(): Promise<ControlPlane> {
    const folder = fs.mkdtempSync(path.join(os.tmpdir(), "xsched-triton-kubernetes-"));
    const [port = 0, etcd = 0, peers = 0] = await freePorts(3);
    const plane = new ControlPlane(folder, port, randomBytes(16).toString("hex"));
    try {
      await plane.run(etcd, peers);
    } catch (error) {
      await plane.stop();
      throw error;
    }
    return plane;
  }

  /** A file that names this cluster and who may do everything in it. */
  public get kubeconfig(): string {
    return this.file("kubeconfig");
  }

  /** Where its pods find it. */
  public get environment(): Readonly<Record<string, string>> {
    return { KUBERNETES_SERVICE_HOST: "127.0.0.1", KUBERNETES_SERVICE_PORT: String(this.port) };
  }

  /** Files of the API server's certificate. */
  public get certificate(): { readonly key: string; readonly cert: string } {
    return { key: this.file("certificates/apiserver.key"), cert: this.file("certificates/apiserver.crt") };
  }

  /** Asks the API server. A body is JSON. */
  public ask(method: string, place: string, body?: unknown, type = "application/json"): Promise<Answer> {
    return new Promise((resolve, reject) => {
      const headers = {
        authorization: `Bearer ${this.token}`,
        ...(body !== undefined && { "content-type": type }),
      };
      const options = { host: "127.0.0.1", port: this.port, path: place, method, headers, agent: this.agent };
      const request = https.request(options, (response) => {
        let text = "";
        response.setEncoding("utf8");
        response.on("data", (chunk: string) => (text += chunk));
        response.on("end", () => {
          resolve({ status: response.statusCode ?? 0, body: parsed(text) });
        });
      });
      request.on("error", reject);
      request.end(body === undefined ? undefined : JSON.stringify(body));
    });
  }

  /** As `ask`, of what must succeed. */
  public async call(method: string, place: string, body?: unknown, type?: string): Promise<unknown> {
    const answer = await this.ask(method, place, body, type);
    if (answer.status < 300) return answer.body;
    throw new Error(`${method} ${place}: ${answer.status} ${JSON.stringify(answer.body)}`);
  }

  /** The objects of a collection, such as `/api/v1/pods`. */
  public async list(place: string): Promise<readonly KubernetesObject[]> {
    const { items } = (await this.call("GET", place)) as { items: KubernetesObject[] };
    return items;
  }

  public async stop(): Promise<void> {
    this.agent.destroy();
    // The API server first: it would wait for etcd.
    for (const daemon of this.daemons.reverse()) await stopDaemon(daemon);
    fs.rmSync(this.folder, { recursive: true, force: true });
  }

  private file(name: string): string {
    return path.join(this.folder, name);
  }

  private start(program: string, options: Readonly<Record<string, string>>): void {
    const words = Object.entries(options).map(([name, value]) => `--${name}=${value}`);
    // It lives for minutes, so memory is cheaper than collecting garbage as often as by default.
    this.daemons.push(startDaemon(PROGRAM, [program, ...words], undefined, { GOGC: "400" }));
  }

  private async run(etcd: number, peers: number): Promise<void> {
    const { privateKey, publicKey } = generateKeyPairSync("rsa", { modulusLength: 2048 });
    fs.writeFileSync(this.file("accounts.key"), privateKey.export({ type: "pkcs8", format: "pem" }));
    fs.writeFileSync(this.file("accounts.pub"), publicKey.export({ type: "spki", format: "pem" }));
    fs.writeFileSync(this.file("tokens.csv"), `${this.token},test,test,system:masters\n`, { mode: 0o600 });
    fs.writeFileSync(this.kubeconfig, this.describe(), { mode: 0o600 });
    const address = (port: number): string => `http://127.0.0.1:${port}`;
    this.start("etcd", {
      "data-dir": this.file("etcd"),
      "listen-client-urls": address(etcd),
      "advertise-client-urls": address(etcd),
      "listen-peer-urls": address(peers),
      "initial-advertise-peer-urls": address(peers),
      "initial-cluster": `default=${address(peers)}`,
      // Nobody reads it after a crash.
      "unsafe-no-fsync": "true",
      "log-level": "error",
    });
    this.start("kube-apiserver", {
      "etcd-servers": address(etcd),
      "bind-address": "127.0.0.1",
      "advertise-address": "127.0.0.1",
      "secure-port": String(this.port),
      "cert-dir": this.file("certificates"),
      "service-cluster-ip-range": "10.0.0.0/24",
      // It refuses a loopback address, and no pod asks for one.
      "endpoint-reconciler-type": "none",
      "token-auth-file": this.file("tokens.csv"),
      "authorization-mode": "RBAC",
      "service-account-issuer": "https://kubernetes.default.svc",
      "service-account-signing-key-file": this.file("accounts.key"),
      "service-account-key-file": this.file("accounts.pub"),
      "default-unreachable-toleration-seconds": String(LOST_NODE_SECONDS),
      profiling: "false",
    });
    await until("the API server is ready", () => this.isReady(), 300);
    this.start("kube-controller-manager", {
      kubeconfig: this.kubeconfig,
      controllers: CONTROLLERS.join(","),
      "horizontal-pod-autoscaler-sync-period": `${AUTOSCALER_SECONDS}s`,
      // Nodes say themselves here that they are lost: on a busy machine, silence means nothing.
      "node-monitor-grace-period": "3600s",
      "node-monitor-period": "1s",
      "leader-elect": "false",
      "secure-port": "0",
      profiling: "false",
    });
    const documents = DEFINITIONS.flatMap((file) => parseAllDocuments(fs.readFileSync(file, "utf8")));
    for (const definition of documents.map((document) => document.toJSON() as unknown)) {
      // A file may begin with a separator.
      if (definition === null) continue;
      await this.call("POST", "/apis/apiextensions.k8s.io/v1/customresourcedefinitions", definition);
    }
    for (const served of [
      "gateway.networking.k8s.io/v1/grpcroutes",
      "keda.sh/v1alpha1/scaledobjects",
      "karpenter.sh/v1/nodepools",
      "monitoring.coreos.com/v1/prometheusrules",
    ]) {
      await until(
        `${served} are served`,
        async () => (await this.ask("GET", `/apis/${served}`)).status === 200,
      );
    }
  }

  private async isReady(): Promise<boolean> {
    const ended = this.daemons.find(({ exitCode }) => exitCode !== null);
    if (ended) throw new Error("the control plane does not start; MOCHA_VERBOSE=1 shows why");
    const answer = await this.ask("GET", "/readyz").catch(() => undefined);
    return answer?.status === 200;
  }

  private describe(): string {
    const cluster = { server: `https://127.0.0.1:${this.port}`, "insecure-skip-tls-verify": true };
    return JSON.stringify({
      apiVersion: "v1",
      kind: "Config",
      clusters: [{ name: "test", cluster }],
      users: [{ name: "test", user: { token: this.token } }],
      contexts: [{ name: "test", context: { cluster: "test", user: "test" } }],
      "current-context": "test",
    });
  }
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text) as unknown;
  } catch {
    return text;
  }
}
