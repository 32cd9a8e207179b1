import * as assert from "node:assert/strict";
import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import * as fs from "node:fs";
import * as os from "node:os";
import * as path from "node:path";

import { fleetManifests } from "../../../components/fleet/manifests";
import { isForImage, modelFiles } from "../../../components/fleet/modelFiles";
import { ComponentInputs, fleetInputs, type FleetSettings } from "../../../components/settings";
import {
  type BenchedFleet,
  benchPod,
  type FleetDeployment,
  removeBenchPod,
  startBenchPod,
} from "../../../scripts/bench/fleetPod";
import { main } from "../../../scripts/bench/main";
import { IMAGE } from "../settings/context";

const MODELS = path.resolve(__dirname, "../../../examples/models");
const DEPLOYMENT = ((): FleetDeployment => {
  const models = [
    { name: "chat", source: path.join(MODELS, "realtime"), priority: 200 },
    { name: "batch", source: path.join(MODELS, "batch"), priority: -100 },
  ];
  const { known } = new ComponentInputs("TritonFleet", "edge", fleetInputs, { image: IMAGE, models });
  const settings = known as unknown as FleetSettings;
  const files = settings.models.map(modelFiles).flatMap((each) => (isForImage(each) ? [] : [each]));
  return JSON.parse(JSON.stringify(fleetManifests("edge", settings, files).deployment)) as FleetDeployment;
})();

/** xsched-ctl in the pod: notes what it is told. */
const CONTROL = `#!/bin/sh
echo "$@" >>"$0.calls"
case "$*" in
  *status) echo 'scheduled, policy HPF' ;;
  stats*) echo '{"queues": [{"id": 1, "name": "chat/chat_0", "priority": 200}]}' ;;
esac
`;

const condition = (type: string, holds: boolean, message?: string): object => ({
  ...{ type, status: holds ? "True" : "False" },
  ...(message !== undefined && { message }),
});
const STARTING = { phase: "Pending", conditions: [condition("PodScheduled", true)] };
const READY = {
  phase: "Running",
  conditions: [condition("PodScheduled", true), condition("Ready", true)],
};

/** A cluster whose pods are processes of this machine. */
class Cluster {
  public readonly commands: string[] = [];
  public created: unknown;
  public creation = { status: 0, stdout: "", stderr: "" };
  public log = "";

  /** @param states of the pod, one after the other */
  public constructor(
    private readonly folder: string,
    private readonly triton: string,
    private readonly states: object[],
    private readonly patience = 600,
  ) {
    fs.writeFileSync(this.control, CONTROL, { mode: 0o755 });
  }

  public get control(): string {
    return path.join(this.folder, "xsched-ctl");
  }

  public get fleet(): BenchedFleet {
    const spec = { ...DEPLOYMENT.spec, progressDeadlineSeconds: this.patience };
    return {
      ...{ stack: "dev", folder: "/shop", name: "edge", namespace: "models" },
      get: (place) => {
        if (place.endsWith("/deployments/edge")) return { spec };
        assert.equal(place, "/api/v1/namespaces/models/pods/edge-bench");
        const status = this.states.length > 1 ? this.states.shift() : this.states[0];
        return { metadata: {}, status };
      },
      text: () => this.log,
      change: () => undefined,
      close: () => undefined,
      kubectl: (words, input) => this.kubectl(words, input),
      startKubectl: (words) => this.forward(words),
    };
  }

  private kubectl(words: readonly string[], input = ""): ReturnType<BenchedFleet["kubectl"]> {
    const [command = ""] = words;
    this.commands.push(command);
    if (command === "create") {
      this.created = JSON.parse(input);
      return this.creation;
    }
    if (command === "delete") return { status: 0, stdout: 'pod "edge-bench" deleted\n', stderr: "" };
    const at = words.indexOf("--");
    assert.deepEqual(words.slice(0, at), [
      ...["exec", "edge-bench", "--namespace", "models", "--container", "triton", "--stdin"],
    ]);
    const [program = "", ...others] = words
      .slice(at + 1)
      .map((word) =>
        word
          .replace("http://127.0.0.1:8000", this.triton)
          .replaceAll("/opt/xsched/bin/xsched-ctl", this.control),
      );
    fs.writeFileSync(path.join(this.folder, "server"), "77\n");
    const env = { ...process.env, XSCHED_TRITON_STATE: this.folder };
    return spawnSync(program, others, { input, encoding: "utf8", env });
  }

  private forward(words: readonly string[]): ChildProcess {
    assert.deepEqual(words, ["port-forward", "pod/edge-bench", ":8000", ":8001", "--namespace", "models"]);
    const { port } = new URL(this.triton);
    const lines = ["8000", "8001"].flatMap((to) => [
      `Forwarding from 127.0.0.1:${port} -> ${to}`,
      `Forwarding from [::1]:${port} -> ${to}`,
    ]);
    const script = `printf '%s\\n' "$@"; exec sleep 600`;
    return spawn("sh", ["-c", script, "sh", ...lines], { stdio: ["ignore", "pipe", "pipe"] });
  }
}

describe("a benchmark of a fleet", function () {
  // Each command in the pod is a process.
  this.timeout(180_000);
  let folder: string;
  let triton: ChildProcess;
  let url: string;

  before(async () => {
    const file = path.join(__dirname, "servingProcess.ts");
    triton = spawn(process.execPath, ["-r", "./components/compile.cjs", file], {
      cwd: path.resolve(__dirname, "../../.."),
      stdio: ["ignore", "pipe", "inherit"],
    });
    const [text] = (await once(triton.stdout!, "data")) as [Buffer];
    url = text.toString().trim();
  });

  after(() => {
    triton.kill();
  });

  beforeEach(() => {
    folder = fs.mkdtempSync(path.join(os.tmpdir(), "bench-fleet-"));
  });

  afterEach(() => {
    fs.rmSync(folder, { recursive: true });
  });

  const start = (cluster: Cluster, models = ["chat", "batch"]) =>
    startBenchPod(cluster.fleet, models, 100.5, () => undefined);

  it("measures arms in a pod of its own, as on a host, also without the models' priorities", async () => {
    const cluster = new Cluster(folder, url, [STARTING, READY]);
    const deployed = await start(cluster);
    const { log, error } = console;
    console.log = console.error = () => undefined;
    try {
      const words = ["--high", "chat", "--low", "batch", "--out", path.join(folder, "out")];
      const short = ["--rate", "50", "--samples", "5", "--rounds", "1", "--warm-up", "0"];
      // What the low model is alone, it is without the models' priorities.
      const arms = ["--arms", "xsched"];
      const outcome = await main({
        words: [...words, ...short, ...arms],
        stackGiven: true,
        deployed,
        folder,
      });
      assert.equal(outcome.status, 0);
      const { run, measurements } = outcome.results!;
      assert.equal(run.server, "http://edge-bench.models:8000");
      assert.deepEqual(run.scheduler, { active: true, says: "scheduled, policy HPF" });
      assert.deepEqual(run.priorities, { chat: 200, batch: -100 });
      assert.deepEqual([...new Set(measurements.map(({ phase }) => phase))].sort(), [
        ...["low alone", "xsched"],
      ]);
    } finally {
      Object.assign(console, { log, error });
    }
    const asked = fs.readFileSync(`${cluster.control}.calls`, "utf8").split("\n");
    assert.ok(asked.includes("--pid 77 status"));
    assert.ok(asked.includes("stats --json --all"));
    assert.ok(asked.includes("priority 1 255"), "the low model alone");
    // Everything is as it was.
    const response = await fetch(`${url}/v2/models/chat/config`);
    const { parameters } = (await response.json()) as {
      parameters: Record<string, { string_value: string }>;
    };
    assert.deepEqual(
      [parameters.xsched_priority?.string_value, parameters.xsched_benchmark],
      ["200", undefined],
    );
  });

  it("says what Triton says of a model that it does not load", async () => {
    const deployed = await start(new Cluster(folder, url, [READY]));
    const { status, stderr } = deployed.onHost(["reload", "other"], "{}");
    assert.equal(status, 1);
    assert.match(stderr, /^error: Triton did not load the model "other": .*no model other.*\nfix: /);
  });

  it("is a pod that nobody else reaches, takes for its own, or has to make room for", () => {
    const pod = benchPod({ name: "edge", namespace: "models" }, DEPLOYMENT, 900) as {
      metadata: { labels: Record<string, string> };
      spec: Record<string, unknown> & {
        containers: {
          name: string;
          args: string[];
          volumeMounts: { name: string }[];
          resources: { limits: object };
        }[];
        volumes: { name: string }[];
      };
    };
    const { matchLabels } = (
      DEPLOYMENT.spec as unknown as { selector: { matchLabels: Record<string, string> } }
    ).selector;
    assert.ok(Object.entries(matchLabels).some(([label, value]) => pod.metadata.labels[label] !== value));
    const { containers, volumes, priorityClassName, restartPolicy, activeDeadlineSeconds } = pod.spec;
    assert.deepEqual([priorityClassName, restartPolicy, activeDeadlineSeconds], [undefined, "Never", 900]);
    assert.deepEqual(
      containers.map(({ name }) => name),
      ["triton"],
    );
    const [triton] = containers;
    assert.equal((triton!.resources.limits as Record<string, string>)["nvidia.com/gpu"], "1");
    const flags = triton!.args.filter((word) => /model|address|port|metrics/.test(word));
    assert.deepEqual(flags, [
      "--model-repository=/models",
      "--model-control-mode=explicit",
      "--load-model=chat",
      "--load-model=batch",
      "--http-address=127.0.0.1",
      "--grpc-address=127.0.0.1",
      "--http-port=8000",
      "--grpc-port=8001",
      "--allow-metrics=false",
    ]);
    assert.deepEqual(
      volumes.map(({ name }) => name).sort(),
      triton!.volumeMounts.map(({ name }) => name).sort(),
    );
  });

  it("lasts as long as the benchmark may, and the pod's start", async () => {
    const cluster = new Cluster(folder, url, [READY]);
    await start(cluster);
    const { spec } = cluster.created as { spec: { activeDeadlineSeconds: number } };
    assert.equal(spec.activeDeadlineSeconds, 101 + 600);
  });

  it("knows before it makes a pod that a model is none of the fleet's", async () => {
    const cluster = new Cluster(folder, url, [READY]);
    await assert.rejects(start(cluster, ["chat", "other"]), {
      message: 'the fleet has no model "other"\nfix: use its models: chat, batch',
    });
    assert.deepEqual(cluster.commands, []);
  });

  it("says why the pod does not get ready, and removes it", async () => {
    const unplaced = {
      phase: "Pending",
      conditions: [
        condition("PodScheduled", false, "0/3 nodes are available: 3 Insufficient nvidia.com/gpu."),
      ],
    };
    const late = new Cluster(folder, url, [unplaced], -1);
    await assert.rejects(
      start(late),
      /the pod edge-bench does not get ready: waits for a node: 0\/3 nodes are available: 3 Insufficient nvidia.com\/gpu\.\nfix: /,
    );
    assert.deepEqual(late.commands, ["create", "delete"]);
    const failed = new Cluster(folder, url, [{ ...STARTING, phase: "Failed" }]);
    failed.log = "error: no model can be loaded\n";
    await assert.rejects(
      start(failed),
      /not ready; its log ends with:\nerror: no model can be loaded\nfix: /,
    );
    assert.deepEqual(failed.commands, ["create", "delete"]);
  });

  it("leaves the pod of another benchmark alone, and removes one that was left", async () => {
    const cluster = new Cluster(folder, url, [READY]);
    cluster.creation = {
      status: 1,
      stdout: "",
      stderr: 'Error from server (AlreadyExists): pods "edge-bench"\n',
    };
    await assert.rejects(start(cluster), /no pod can be made for the benchmark: .*\nfix: .*add --restore/);
    assert.deepEqual(cluster.commands, ["create"]);
    assert.equal(removeBenchPod(cluster.fleet), true);
  });
});
