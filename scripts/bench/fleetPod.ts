import { type ChildProcess } from "node:child_process";
import * as readline from "node:readline";

import { type DeployedFleet } from "../triton/deployedFleet";
import { type DeployedServer, type Finished, type Tunnel } from "../triton/deployedServer";
import { type PodStatus, stateOf } from "../triton/podState";
import { UserError } from "../triton/userError";
import { Interrupted } from "./interrupted";

/*
 * What is measured of a fleet is a pod of its own: the fleet's image, models and settings on a whole GPU, and no clients.
 * A pod that serves takes no other configurations of its models, and what its scheduler is told its agent puts back.
 */

/** A fleet whose cluster can be told more. */
export interface BenchedFleet extends DeployedFleet {
  /** Runs kubectl to its end. */
  readonly kubectl: (words: readonly string[], input?: string) => Finished;
  /** Starts kubectl. */
  readonly startKubectl: (words: readonly string[]) => ChildProcess;
}

interface Container {
  readonly name: string;
  readonly args: readonly string[];
  readonly volumeMounts: readonly { readonly name: string; readonly mountPath: string }[];
}

interface PodSpec {
  readonly containers: readonly Container[];
  readonly volumes: readonly { readonly name: string }[];
}

/** A Deployment of a fleet, as the API server has it. */
export interface FleetDeployment {
  readonly spec: {
    readonly progressDeadlineSeconds: number;
    readonly template: { readonly spec: PodSpec };
  };
}

/** Where Triton answers in the pod, for nobody outside it: it loads what it is told. */
const PORTS = { http: 8000, grpc: 8001 };
const LOOPBACK = "127.0.0.1";

/** Milliseconds between two looks at a pod that starts. */
const PERIOD_MS = 1000;

/** Where the folders of models are. */
const MODELS = "/models/";

export function benchPodName(fleet: string): string {
  return `${fleet}-bench`;
}

/** The models of a fleet's pods. */
export function modelsOf({ spec }: FleetDeployment): string[] {
  return tritonOf(spec.template.spec).volumeMounts.flatMap(({ mountPath }) =>
    mountPath.startsWith(MODELS) && !mountPath.includes("/", MODELS.length)
      ? [mountPath.slice(MODELS.length)]
      : [],
  );
}

function tritonOf({ containers }: PodSpec): Container {
  const triton = containers.find(({ name }) => name === "triton");
  if (triton === undefined) throw new Error("the fleet's pods have no container called triton");
  return triton;
}

/**
 * A pod like the fleet's, for a benchmark alone. The labels are such that neither the fleet's Service nor its Deployment
 * take it for theirs. It takes a GPU from nobody, and ends by itself.
 *
 * @param seconds that it may last
 */
export function benchPod(
  { name, namespace }: Pick<DeployedFleet, "name" | "namespace">,
  deployment: FleetDeployment,
  seconds: number,
): object {
  const { priorityClassName, topologySpreadConstraints, volumes, ...spec } = deployment.spec.template
    .spec as PodSpec & Readonly<Record<string, unknown>>;
  const { lifecycle, livenessProbe, ...triton } = tritonOf(spec as unknown as PodSpec) as Container &
    Readonly<Record<string, unknown>>;
  const mounted = new Set(triton.volumeMounts.map((mount) => mount.name));
  return {
    apiVersion: "v1",
    kind: "Pod",
    metadata: {
      name: benchPodName(name),
      namespace,
      labels: {
        "app.kubernetes.io/name": "triton-bench",
        "app.kubernetes.io/instance": name,
        "app.kubernetes.io/part-of": "xsched-triton",
      },
    },
    spec: {
      ...spec,
      restartPolicy: "Never",
      activeDeadlineSeconds: seconds,
      containers: [{ ...triton, ports: [], args: benchArgs(triton.args, modelsOf(deployment)) }],
      volumes: volumes.filter((volume) => mounted.has(volume.name)),
    },
  };
}

/** As on a host, Triton loads models when it is told, in other configurations as well. Only the pod itself reaches it. */
function benchArgs(args: readonly string[], models: readonly string[]): string[] {
  const kept = args.filter(
    (word) => !/^--(model-control-mode|(http|grpc)-(address|port)|metrics-port)=/.test(word),
  );
  return [
    ...kept,
    "--model-control-mode=explicit",
    ...models.map((model) => `--load-model=${model}`),
    `--http-address=${LOOPBACK}`,
    `--grpc-address=${LOOPBACK}`,
    `--http-port=${PORTS.http}`,
    `--grpc-port=${PORTS.grpc}`,
    "--allow-metrics=false",
  ];
}

/** Asks Triton, from inside the pod: METHOD URL SECONDS, with a body on standard input. */
const ASK = `
import json, sys, urllib.error, urllib.request
method, url, seconds = sys.argv[1:]
request = urllib.request.Request(url, sys.stdin.buffer.read() or None, {"Content-Type": "application/json"}, method=method)
try:
    answer = urllib.request.urlopen(request, timeout=float(seconds))
except urllib.error.HTTPError as error:
    answer = error
print(json.dumps({"status": answer.getcode(), "body": answer.read().decode("utf-8", "replace")}))
`;

/** Runs xsched-ctl for the pod's Triton, whose process id the image's entrypoint writes down. */
const CONTROL = `
control=/opt/xsched/bin/xsched-ctl
case $1 in
  stats) exec "$control" "$@" --all ;;
  status) exec "$control" --pid "$(head -n 1 "\${XSCHED_TRITON_STATE:-/tmp/xsched-triton}/server")" "$@" ;;
  *) exec "$control" "$@" ;;
esac
`;

/** How long Triton has for an answer, and to load a model, in seconds. */
const ANSWER_SECONDS = 30;
const LOAD_SECONDS = 600;

/** A pod for a benchmark, as the server that it is. */
export function benchServer(fleet: BenchedFleet): DeployedServer {
  const { name, namespace } = fleet;
  const pod = benchPodName(name);
  const inPod = (words: readonly string[], input?: string): Finished =>
    fleet.kubectl(
      ["exec", pod, "--namespace", namespace, "--container", "triton", "--stdin", "--", ...words],
      input ?? "",
    );
  const ask = (method: string, place: string, seconds: number, body?: string): Finished => {
    const url = `http://${LOOPBACK}:${PORTS.http}${place}`;
    return inPod(["python3", "-I", "-c", ASK, method, url, String(seconds)], body);
  };
  return {
    stack: fleet.stack,
    endpoints: {
      http: `http://${pod}.${namespace}:${PORTS.http}`,
      grpc: `${pod}.${namespace}:${PORTS.grpc}`,
    },
    models: [],
    onHost: ([command = "", ...words], input) => {
      const [first = "", second = ""] = words;
      if (command === "ask") return ask(first, second, ANSWER_SECONDS);
      if (command === "scheduler") return inPod(["sh", "-c", CONTROL, "xsched-ctl", ...words]);
      if (command === "reload") {
        return reloaded(first, (place, body) => ask("POST", place, LOAD_SECONDS, body), input);
      }
      // All models are loaded as they are deployed.
      if (command === "status") return { status: 0, stdout: JSON.stringify({ models: [] }), stderr: "" };
      throw new Error(`a pod of a benchmark has no command ${command}`);
    },
    tunnel: (addresses) => forward(fleet, pod, addresses),
  };
}

function reloaded(
  model: string,
  post: (place: string, body: string) => Finished,
  config: string | undefined,
): Finished {
  const body = config ? JSON.stringify({ parameters: { config } }) : "{}";
  const finished = post(`/v2/repository/models/${encodeURIComponent(model)}/load`, body);
  if (finished.status !== 0) return finished;
  const { status, body: said } = JSON.parse(finished.stdout) as { status: number; body: string };
  if (status === 200) return finished;
  const stderr = `error: Triton did not load the model "${model}": ${said}\nfix: see kubectl logs of the pod\n`;
  return { ...finished, status: 1, stderr };
}

/** Makes ports of a pod reachable from here. */
async function forward(
  { namespace, startKubectl }: BenchedFleet,
  pod: string,
  addresses: readonly string[],
): Promise<Tunnel> {
  const ports = addresses.map((address) => Number(address.split(":").at(-1)));
  const words = ports.map((port) => `:${port}`);
  const child = startKubectl(["port-forward", `pod/${pod}`, ...words, "--namespace", namespace]);
  let said = "";
  child.stderr?.setEncoding("utf8").on("data", (text: string) => (said += text));
  const found = new Map<number, string>();
  const ended = new Promise<never>((_, reject) => {
    child.once("error", reject);
    child.once("exit", () => {
      reject(
        new UserError(
          `kubectl port-forward to the pod ${pod} has ended: ${said.trim()}`,
          "see whether you may create pods/portforward in the fleet's namespace",
        ),
      );
    });
  });
  // It may end at any time, as when it is closed.
  ended.catch(() => undefined);
  const listening = (async () => {
    if (child.stdout === null) throw new Error("kubectl port-forward says nothing");
    for await (const line of readline.createInterface(child.stdout)) {
      const [, from, to] = /^Forwarding from (127\.0\.0\.1:\d+) -> (\d+)/.exec(line) ?? [];
      if (from !== undefined) found.set(Number(to), from);
      if (ports.every((port) => found.has(port))) break;
    }
    // What it says of each connection nobody reads, and it must not wait for anybody.
    child.stdout.resume();
  })();
  await Promise.race([listening, ended]);
  return {
    addresses: ports.map((port) => found.get(port) ?? ""),
    close: () => {
      child.kill();
      return Promise.resolve();
    },
  };
}

/**
 * Starts a pod for a benchmark, and waits until it serves.
 *
 * @param models that it must have
 * @param seconds that the benchmark may take
 * @throws UserError if there is such a pod already, or the pod does not get ready
 */
export async function startBenchPod(
  fleet: BenchedFleet,
  models: readonly string[],
  seconds: number,
  say: (text: string) => void,
): Promise<DeployedServer> {
  const { namespace, name } = fleet;
  const pod = benchPodName(name);
  const place = `/api/v1/namespaces/${namespace}/pods/${pod}`;
  const deployment = fleet.get(
    `/apis/apps/v1/namespaces/${namespace}/deployments/${name}`,
  ) as FleetDeployment;
  const served = modelsOf(deployment);
  const missing = models.find((model) => !served.includes(model));
  if (missing !== undefined) {
    throw new UserError(`the fleet has no model "${missing}"`, `use its models: ${served.join(", ")}`);
  }
  const { progressDeadlineSeconds: patience } = deployment.spec;
  const manifest = benchPod(fleet, deployment, Math.ceil(seconds) + patience);
  const created = fleet.kubectl(["create", "--filename", "-"], JSON.stringify(manifest));
  if (created.status !== 0) {
    throw new UserError(
      `no pod can be made for the benchmark: ${created.stderr.trim()}`,
      created.stderr.includes("AlreadyExists")
        ? "wait for the end of the other benchmark; after one that was killed, add --restore, which removes its pod"
        : "see that you may create pods in the fleet's namespace",
    );
  }
  let interrupted: NodeJS.Signals | undefined;
  const onSignal = (signal: NodeJS.Signals): void => {
    interrupted = signal;
  };
  const signals = ["SIGINT", "SIGTERM", "SIGHUP"] as const;
  for (const signal of signals) process.on(signal, onSignal);
  try {
    say(`Waiting for a pod with a GPU of its own: ${pod} …`);
    const until = Date.now() + patience * 1000;
    for (;;) {
      const found = fleet.get(place) as PodStatus;
      const state = stateOf(found);
      if (state === "ready") return benchServer(fleet);
      if (interrupted !== undefined) throw new Interrupted(interrupted);
      if (found.status.phase === "Failed" || Date.now() > until) {
        throw new UserError(
          `the pod ${pod} does not get ready: ${whyNot(found, state, () => fleet.text(`${place}/log?container=triton&tailLines=5`))}`,
          "it takes a GPU that is free; the fleet's own pods need the same things as it does",
        );
      }
      await new Promise((resolve) => setTimeout(resolve, PERIOD_MS));
    }
  } catch (error) {
    removeBenchPod(fleet);
    throw error;
  } finally {
    for (const signal of signals) process.off(signal, onSignal);
  }
}

function whyNot({ status }: PodStatus, state: string, log: () => string): string {
  const unplaced = status.conditions?.find(
    ({ type, status: holds }) => type === "PodScheduled" && holds === "False",
  );
  if (unplaced !== undefined) return `${state}: ${unplaced.message ?? ""}`;
  try {
    return `${state}; its log ends with:\n${log().trim()}`;
  } catch {
    return state;
  }
}

/** Removes the pod of a benchmark, if there is one. Returns whether there was. */
export function removeBenchPod({ kubectl, name, namespace }: BenchedFleet): boolean {
  const { stdout } = kubectl([
    ...["delete", "pod", benchPodName(name), "--namespace", namespace],
    ...["--ignore-not-found", "--wait=false"],
  ]);
  return stdout.trim() !== "";
}
