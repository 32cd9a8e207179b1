import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import * as fs from "node:fs";
import * as os from "node:os";
import * as path from "node:path";
import { isDeepStrictEqual } from "node:util";

import { fleetManifests } from "../../../components/fleet/manifests";
import { isForImage, type ModelFiles, modelFiles } from "../../../components/fleet/modelFiles";
import { ComponentInputs, fleetInputs, type FleetSettings } from "../../../components/settings";
import { type FleetDeployment, modelsOf } from "../../../scripts/bench/fleetPod";
import { ensemble, IMAGE } from "../settings/context";

const ROOT = path.resolve(__dirname, "../../..");

/** Prints the modules of the agent in the folder that the command `follow` imports. */
const IMPORTED = `
import os, sys
sys.path.insert(0, sys.argv[1])
import agent.follow
for module in sys.modules.values():
    if module.__name__.split(".")[0] == "agent":
        print(os.path.relpath(module.__file__, sys.argv[1]))
`;

/** The arguments of a fleet as it reads them. */
function settingsOf(args: object): FleetSettings {
  const { known } = new ComponentInputs("TritonFleet", "edge", fleetInputs, { image: IMAGE, ...args });
  return known as unknown as FleetSettings;
}

function filesOf(settings: FleetSettings): ModelFiles[] {
  return settings.models.map((model) => {
    const files = modelFiles(model);
    assert.ok(!isForImage(files));
    return files;
  });
}

const EXAMPLES = [
  { name: "realtime", source: "examples/models/realtime", priority: "max" },
  { name: "batch", source: "examples/models/batch", priority: "min" },
];

/** As it reaches the API server. */
function manifestsOf(args: object = {}): unknown {
  const settings = settingsOf({ models: EXAMPLES, ...args });
  return JSON.parse(JSON.stringify(fleetManifests("edge", settings, filesOf(settings))));
}

/** What is inside a manifest, by keys. */
function at(value: unknown, ...steps: readonly (string | number)[]): unknown {
  return steps.reduce<unknown>(
    (inside, step) => (inside as Record<string, unknown> | undefined)?.[step],
    value,
  );
}

const textAt = (value: unknown, ...steps: readonly (string | number)[]): string => {
  const text = at(value, ...steps);
  assert.ok(typeof text === "string", steps.join("."));
  return text;
};

const itemsAt = (value: unknown, ...steps: readonly (string | number)[]): readonly unknown[] => {
  const items = at(value, ...steps);
  assert.ok(Array.isArray(items), steps.join("."));
  return items as unknown[];
};

const configMapsOf = (manifests: unknown): [string, unknown][] =>
  Object.entries(at(manifests, "configMaps") as object);
const podOf = (manifests: unknown): unknown => at(manifests, "deployment", "spec", "template", "spec");
const tritonOf = (manifests: unknown): unknown => at(podOf(manifests), "containers", 0);
const volumeOf = (manifests: unknown, configMap: string): unknown =>
  itemsAt(podOf(manifests), "volumes").find(
    (volume) => at(volume, "projected", "sources", 0, "configMap", "name") === configMap,
  );
const filesIn = (volume: unknown): unknown => at(volume, "projected", "sources", 0, "configMap", "items");
const liveOf = (manifests: unknown): { name: string; data: Record<string, string> } => ({
  name: textAt(manifests, "liveData", "metadata", "name"),
  data: at(manifests, "liveData", "data") as Record<string, string>,
});
const configOf = (manifests: unknown, model: string): string => {
  const [key] = Object.keys(liveOf(manifests).data).filter((each) => each.endsWith(`-${model}.pbtxt`));
  return liveOf(manifests).data[key ?? ""] ?? "";
};

describe("a fleet on Kubernetes", () => {
  it("has the files of its models in ConfigMaps of their own, which never change", () => {
    const [[name, configMap] = ["", undefined]] = configMapsOf(manifestsOf());
    assert.match(name, /^edge-realtime-[0-9a-f]{10}$/);
    assert.equal(at(configMap, "immutable"), true);
    assert.equal(at(configMap, "metadata", "name"), name);
    assert.deepEqual(at(configMap, "data"), {
      "0-1_model.py": fs.readFileSync(path.join(ROOT, "examples/models/realtime/1/model.py"), "utf8"),
    });
  });

  it("mounts them where Triton looks, under their paths, with the configuration in force", () => {
    const manifests = manifestsOf();
    const [[name] = [""]] = configMapsOf(manifests);
    const volume = volumeOf(manifests, name);
    assert.deepEqual(at(volume, "projected", "sources"), [
      { configMap: { name, items: [{ key: "0-1_model.py", path: "1/model.py", mode: 0o444 }] } },
      {
        configMap: {
          name: liveOf(manifests).name,
          items: [{ key: "0-realtime.pbtxt", path: "config.pbtxt", mode: 0o444 }],
        },
      },
    ]);
    assert.match(configOf(manifests, "realtime"), /priority: PRIORITY_MAX[^]*xsched_priority[^]*"255"/);
    const mount = itemsAt(tritonOf(manifests), "volumeMounts").find(
      (each) => at(each, "name") === at(volume, "name"),
    );
    assert.deepEqual(mount, { name: at(volume, "name"), mountPath: "/models/realtime", readOnly: true });
  });

  it("mounts files that are in an image, and over them the configuration in force", () => {
    const settings = settingsOf({ models: EXAMPLES });
    const [realtime, batch] = filesOf(settings);
    assert.ok(realtime !== undefined && batch !== undefined);
    const image = `registry.example.com/models@sha256:${"1".repeat(64)}`;
    const inImage = { model: "batch", digest: "0123456789", config: batch.config, image };
    const manifests: unknown = JSON.parse(
      JSON.stringify(fleetManifests("edge", settings, [realtime, inImage])),
    );
    assert.ok(configMapsOf(manifests).every(([name]) => !name.startsWith("edge-batch-")));
    const named = (where: readonly unknown[], prefix: string): unknown[] =>
      where.filter((each) => textAt(each, "name").startsWith(prefix));
    assert.deepEqual(named(itemsAt(podOf(manifests), "volumes"), "model-0123456789"), [
      { name: "model-0123456789", image: { reference: image, pullPolicy: "IfNotPresent" } },
      {
        name: "model-0123456789-config",
        configMap: {
          name: liveOf(manifests).name,
          items: [{ key: "1-batch.pbtxt", path: "config.pbtxt", mode: 0o444 }],
        },
      },
    ]);
    assert.deepEqual(named(itemsAt(tritonOf(manifests), "volumeMounts"), "model-0123456789"), [
      { name: "model-0123456789", mountPath: "/models/batch", readOnly: true },
      {
        name: "model-0123456789-config",
        mountPath: "/models/batch/config.pbtxt",
        subPath: "config.pbtxt",
        readOnly: true,
      },
    ]);
    assert.match(configOf(manifests, "batch"), /xsched_priority[^]*"-255"/);
    const deployment = at(manifests, "deployment") as FleetDeployment;
    assert.deepEqual(modelsOf(deployment), ["realtime", "batch"]);
  });

  it("keeps its pods where only a priority, a floor or a weight changes", () => {
    const [realtime, batch] = EXAMPLES;
    const before = manifestsOf();
    for (const change of [{ priority: 3 }, { priority: 0 }, { floor: 10 }, { weight: 2 }]) {
      const after = manifestsOf({ models: [realtime, { ...batch, ...change }] });
      const { data, name } = liveOf(after);
      assert.deepEqual(at(after, "deployment"), at(before, "deployment"));
      assert.deepEqual(at(after, "configMaps"), at(before, "configMaps"));
      assert.equal(name, liveOf(before).name);
      assert.deepEqual(JSON.parse(data["models.json"] ?? ""), {
        models: [
          { name: "realtime", priority: 255, floor: 0, weight: 0 },
          { ...{ name: "batch", priority: -255, floor: 0, weight: 0 }, ...change },
        ],
      });
      const [[key, value] = ["", 0]] = Object.entries(change);
      assert.match(configOf(after, "batch"), new RegExp(`xsched_${key}[^]*"${value}"`));
    }
  });

  it("has other pods, and what they start with beside what the former ones have, where anything else changes", () => {
    const [realtime, batch] = EXAMPLES;
    const before = manifestsOf();
    for (const models of [
      [realtime, { ...batch, instanceGroups: [{ kind: "cpu", count: 2 }] }],
      [realtime, { ...batch, parameters: { threads: "2" } }],
      [realtime, { ...batch, source: "examples/models/interactive" }],
      [realtime],
    ]) {
      const after = manifestsOf({ models });
      assert.notDeepEqual(podOf(after), podOf(before));
      assert.notEqual(
        `${liveOf(after).name} ${configMapsOf(after)
          .map(([name]) => name)
          .join(" ")}`,
        `${liveOf(before).name} ${configMapsOf(before)
          .map(([name]) => name)
          .join(" ")}`,
      );
    }
    assert.deepEqual(manifestsOf(), before);
  });

  it("rolls a priority out where pods may have no scheduler to tell it", () => {
    const scheduler = { required: false };
    const before = manifestsOf({ scheduler });
    const after = manifestsOf({ scheduler, models: [{ ...EXAMPLES[0], priority: 3 }, EXAMPLES[1]] });
    assert.notEqual(liveOf(after).name, liveOf(before).name);
    assert.notDeepEqual(podOf(after), podOf(before));
    assert.equal(itemsAt(podOf(after), "containers").length, 1);
    assert.equal(configMapsOf(after).length, 2);
  });

  it("lets the agent follow what is live, without a GPU and with no more rights than Triton", () => {
    const manifests = manifestsOf();
    const [triton, agent] = itemsAt(podOf(manifests), "containers");
    assert.deepEqual(at(agent, "command"), [
      ...["python3", "-I", "-B", "/xsched-triton/bin/agent"],
      ...["follow", "/xsched-triton/live/models.json"],
    ]);
    assert.deepEqual(at(agent, "securityContext"), at(triton, "securityContext"));
    assert.deepEqual(at(agent, "securityContext"), {
      allowPrivilegeEscalation: false,
      readOnlyRootFilesystem: true,
      capabilities: { drop: ["ALL"] },
    });
    assert.equal(at(agent, "resources", "limits", "nvidia.com/gpu"), undefined);
    const variables = (container: unknown): unknown[] =>
      itemsAt(container, "env").map((each) => [at(each, "name"), at(each, "value")]);
    assert.ok(variables(agent).some((each) => isDeepStrictEqual(each, ["NVIDIA_VISIBLE_DEVICES", "void"])));
    // The scheduler's socket, and what the entrypoint writes down.
    for (const shared of [
      ["XSCHED_CONTROL_DIR", "/xsched-triton/scheduler/control"],
      ["XSCHED_TRITON_STATE", "/xsched-triton/scheduler/state"],
    ]) {
      for (const container of [triton, agent])
        assert.ok(variables(container).some((each) => isDeepStrictEqual(each, shared)));
    }
    const mount = { name: "scheduler", mountPath: "/xsched-triton/scheduler" };
    for (const container of [triton, agent])
      assert.ok(itemsAt(container, "volumeMounts").some((each) => isDeepStrictEqual(each, mount)));
  });

  it("lets half of a pod's memory be shared by the processes of Python models, and 1 GiB at least", () => {
    const shared = (memoryGiB: number): unknown => {
      const volumes = itemsAt(podOf(manifestsOf({ memoryGiB })), "volumes");
      return at(
        volumes.find((volume) => at(volume, "name") === "shm"),
        "emptyDir",
        "sizeLimit",
      );
    };
    assert.deepEqual([1, 2, 9, 64].map(shared), ["1Gi", "1Gi", "4Gi", "32Gi"]);
  });

  it("gives the agent all modules that it needs, and none that it does not", () => {
    const folder = fs.mkdtempSync(path.join(os.tmpdir(), "xsched-triton-fleet-"));
    try {
      const [, configMap] =
        configMapsOf(manifestsOf()).find(([name]) => name.startsWith("edge-agent-")) ?? [];
      const volume = itemsAt(podOf(manifestsOf()), "volumes").find((each) => at(each, "name") === "agent");
      for (const item of itemsAt(volume, "configMap", "items")) {
        const file = path.join(folder, "bin/agent", textAt(item, "path"));
        fs.mkdirSync(path.dirname(file), { recursive: true });
        fs.writeFileSync(file, textAt(configMap, "data", textAt(item, "key")));
      }
      const program = path.join(folder, "bin/agent");
      const { stderr } = spawnSync("python3", ["-I", "-B", program, "follow"], { encoding: "utf8" });
      assert.match(stderr, /^error: the file is missing\n/);
      const modules = spawnSync("python3", ["-ISBc", IMPORTED, program], { encoding: "utf8" })
        .stdout.trim()
        .split("\n");
      const given = itemsAt(volume, "configMap", "items").map((item) => textAt(item, "path"));
      assert.deepEqual(["__main__.py", ...modules].sort(), given.sort());
    } finally {
      fs.rmSync(folder, { recursive: true });
    }
  });

  it("has no ensemble for the scheduler, which knows none", () => {
    const folder = fs.mkdtempSync(path.join(os.tmpdir(), "xsched-triton-fleet-"));
    try {
      fs.mkdirSync(path.join(folder, "both/1"), { recursive: true });
      fs.writeFileSync(path.join(folder, "both/config.pbtxt"), ensemble("step"));
      const both = { name: "both", source: path.join(folder, "both"), priority: 77 };
      const step = { name: "step", source: "examples/models/batch" };
      const manifests = manifestsOf({ models: [both, step] });
      assert.match(configOf(manifests, "step"), /xsched_priority[^]*"77"/);
      assert.deepEqual(JSON.parse(liveOf(manifests).data["models.json"] ?? ""), {
        models: [{ name: "step", priority: 77, floor: 0, weight: 0 }],
      });
      // The steps take its priority, live.
      const after = manifestsOf({ models: [{ ...both, priority: 5 }, step] });
      assert.deepEqual(podOf(after), podOf(manifests));
    } finally {
      fs.rmSync(folder, { recursive: true });
    }
  });

  it("keeps binary files, programs, empty folders and models whose names look alike", () => {
    const folder = fs.mkdtempSync(path.join(os.tmpdir(), "xsched-triton-fleet-"));
    try {
      for (const name of ["a.b", "A_b"]) {
        fs.mkdirSync(path.join(folder, name, "1/empty"), { recursive: true });
        fs.writeFileSync(path.join(folder, name, "1/w.bin"), Buffer.from([0xff, 0, 1]));
        fs.writeFileSync(path.join(folder, name, "1/nul.txt"), "a\0b");
        fs.writeFileSync(path.join(folder, name, "1/run me.sh"), "#!/bin/sh\n", { mode: 0o755 });
      }
      const config = 'backend: "onnxruntime"';
      const models = ["a.b", "A_b"].map((name) => ({ name, source: path.join(folder, name), config }));
      const manifests = manifestsOf({ models });
      const maps = configMapsOf(manifests);
      assert.equal(maps.length, 3);
      const [[name, configMap] = ["", undefined]] = maps;
      assert.deepEqual(at(configMap, "binaryData"), {
        "1-1_nul.txt": Buffer.from("a\0b").toString("base64"),
        "3-1_w.bin": "/wAB",
      });
      assert.equal(at(configMap, "data", "0-1_empty_.empty"), "");
      assert.equal(at(configMap, "data", "2-1_run_me.sh"), "#!/bin/sh\n");
      assert.deepEqual(filesIn(volumeOf(manifests, name)), [
        { key: "0-1_empty_.empty", path: "1/empty/.empty", mode: 0o444 },
        { key: "1-1_nul.txt", path: "1/nul.txt", mode: 0o444 },
        { key: "2-1_run_me.sh", path: "1/run me.sh", mode: 0o555 },
        { key: "3-1_w.bin", path: "1/w.bin", mode: 0o444 },
      ]);
    } finally {
      fs.rmSync(folder, { recursive: true });
    }
  });

  it("gives each pod a whole GPU, and never more pods away than it has new ones", () => {
    const manifests = manifestsOf({ replicas: 3, nodeSelector: { gpu: "a10g" } });
    const spec = at(manifests, "deployment", "spec");
    assert.equal(at(spec, "replicas"), 3);
    assert.deepEqual(at(spec, "strategy"), {
      type: "RollingUpdate",
      rollingUpdate: { maxSurge: 1, maxUnavailable: 0 },
    });
    assert.equal(at(tritonOf(manifests), "resources", "limits", "nvidia.com/gpu"), "1");
    assert.deepEqual(at(podOf(manifests), "nodeSelector"), { "kubernetes.io/arch": "amd64", gpu: "a10g" });
    assert.deepEqual(at(podOf(manifests), "tolerations"), [
      { key: "nvidia.com/gpu", operator: "Exists", effect: "NoSchedule" },
    ]);
    assert.equal(at(manifests, "disruptionBudget", "spec", "maxUnavailable"), 1);
  });

  it("loads all models at the start, on the ports and with the flags of the settings", () => {
    const triton = tritonOf(
      manifestsOf({ server: { httpPort: 9000, exitTimeoutSeconds: 5, extraFlags: ["--rate-limit=off"] } }),
    );
    assert.deepEqual(at(triton, "args"), [
      "tritonserver",
      "--model-repository=/models",
      "--model-control-mode=none",
      "--http-address=0.0.0.0",
      "--grpc-address=0.0.0.0",
      "--http-port=9000",
      "--grpc-port=8001",
      "--metrics-port=8002",
      "--exit-timeout-secs=5",
      "--log-error=true",
      "--log-warning=true",
      "--log-info=true",
      "--rate-limit=off",
    ]);
    assert.deepEqual(
      itemsAt(triton, "ports").map((port) => [at(port, "name"), at(port, "containerPort")]),
      [
        ["http", 9000],
        ["grpc", 8001],
        ["metrics", 8002],
      ],
    );
  });

  it("waits for every model, asks whether Triton is scheduled, and serves on until all know that a pod goes", () => {
    const manifests = manifestsOf({
      server: { loadTimeoutSeconds: 60, exitTimeoutSeconds: 20 },
      drainSeconds: 15,
    });
    const triton = tritonOf(manifests);
    // Two models of a minute each, asked every 5 s.
    assert.equal(at(triton, "startupProbe", "failureThreshold"), 24);
    assert.deepEqual(at(triton, "readinessProbe", "exec"), { command: ["/opt/xsched/bin/healthcheck.sh"] });
    assert.deepEqual(at(triton, "lifecycle"), { preStop: { sleep: { seconds: 15 } } });
    assert.equal(at(podOf(manifests), "terminationGracePeriodSeconds"), 45);
    assert.equal(at(manifests, "deployment", "spec", "progressDeadlineSeconds"), 1020);
    assert.deepEqual(itemsAt(triton, "env")[0], { name: "XSCHED_REQUIRED", value: "ON" });
  });

  it("asks Triton alone, of any image, if it need not be scheduled", () => {
    const triton = tritonOf(manifestsOf({ scheduler: { required: false, domain: "none" }, drainSeconds: 0 }));
    assert.deepEqual(at(triton, "startupProbe", "httpGet"), { path: "/v2/health/ready", port: "http" });
    assert.equal(at(triton, "lifecycle"), undefined);
    assert.deepEqual(at(triton, "env"), [
      { name: "XSCHED_REQUIRED", value: "OFF" },
      { name: "XSCHED_POLICY", value: "HPF" },
      { name: "XSCHED_SCHEDULER", value: "LCL" },
    ]);
  });

  it("lets in whom the settings name, and nobody out", () => {
    assert.deepEqual(at(manifestsOf(), "networkPolicy", "spec", "ingress"), []);
    const manifests = manifestsOf({
      clientNamespaces: ["apps"],
      metricsNamespaces: ["monitoring"],
      route: { gateway: "public", gatewayNamespace: "gateways", httpHostname: "t.example.com" },
    });
    const spec = at(manifests, "networkPolicy", "spec");
    const from = (...names: string[]): object[] =>
      names.map((name) => ({
        namespaceSelector: { matchLabels: { "kubernetes.io/metadata.name": name } },
      }));
    const tcp = (...ports: number[]): object[] => ports.map((port) => ({ protocol: "TCP", port }));
    assert.deepEqual(at(spec, "ingress"), [
      { from: from("apps", "gateways"), ports: tcp(8000, 8001) },
      { from: from("monitoring"), ports: tcp(8002) },
    ]);
    assert.deepEqual(at(spec, "egress"), []);
    assert.deepEqual(at(spec, "policyTypes"), ["Ingress", "Egress"]);
  });

  it("has routes for inference, health and metadata alone, where a Gateway is named", () => {
    assert.deepEqual(at(manifestsOf(), "routes"), []);
    const manifests = manifestsOf({
      route: {
        gateway: "public",
        gatewayNamespace: "gateways",
        httpHostname: "t.example.com",
        grpcHostname: "grpc.t.example.com",
      },
    });
    const [http, grpc] = itemsAt(manifests, "routes");
    assert.deepEqual(at(http, "spec", "parentRefs"), [{ name: "public", namespace: "gateways" }]);
    const matches = (rule: number): string[] =>
      itemsAt(http, "spec", "rules", rule, "matches").map(
        (match) =>
          `${textAt(match, "method")} ${textAt(match, "path", "type")} ${textAt(match, "path", "value")}`,
      );
    assert.deepEqual(matches(0), ["GET PathPrefix /v2/health", "GET PathPrefix /v2/models", "GET Exact /v2"]);
    // Not all below a model: POST /v2/models/realtime/trace/setting would write files.
    assert.deepEqual(matches(1).slice(0, 4), [
      "POST Exact /v2/models/realtime/infer",
      "POST Exact /v2/models/realtime/generate",
      "POST Exact /v2/models/realtime/generate_stream",
      "POST PathPrefix /v2/models/realtime/versions",
    ]);
    const methods = itemsAt(grpc, "spec", "rules", 0, "matches").map((match) =>
      textAt(match, "method", "method"),
    );
    assert.ok(methods.includes("ModelInfer"));
    assert.deepEqual(
      methods.filter((method) => /Repository|SharedMemory|Trace|Log/.test(method)),
      [],
    );
  });

  it("shares its models out to routes that the Gateway API takes", () => {
    const models = Array.from({ length: 31 }, (_, index) => ({ ...EXAMPLES[0], name: `m${index}` }));
    const route = { gateway: "public", gatewayNamespace: "gateways", httpHostname: "t.example.com" };
    const made = itemsAt(manifestsOf({ models, route }), "routes");
    assert.deepEqual(
      made.map((each) => textAt(each, "metadata", "name")),
      ["edge", "edge-2", "edge-3"],
    );
    const matches = made.map((each) =>
      itemsAt(each, "spec", "rules").map((rule) => itemsAt(rule, "matches").length),
    );
    assert.deepEqual(matches, [[3, 60], [60], [4]]);
    const paths = JSON.stringify(made);
    assert.ok(models.every(({ name }) => paths.includes(`"/v2/models/${name}/infer"`)));
  });
});
