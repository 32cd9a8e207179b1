import assert from "node:assert/strict";
import * as fs from "node:fs";
import * as os from "node:os";
import * as path from "node:path";

import { fleetManifests } from "../../../components/fleet/manifests";
import { isTooLarge, type ModelFiles, modelFiles } from "../../../components/fleet/modelFiles";
import { ComponentInputs, fleetInputs, type FleetSettings } from "../../../components/settings";
import { ensemble, IMAGE } from "../settings/context";

const ROOT = path.resolve(__dirname, "../../..");

/** The arguments of a fleet as it reads them. */
function settingsOf(args: object): FleetSettings {
  const { known } = new ComponentInputs("TritonFleet", "edge", fleetInputs, { image: IMAGE, ...args });
  return known as unknown as FleetSettings;
}

function filesOf(settings: FleetSettings): ModelFiles[] {
  return settings.models.map((model) => {
    const files = modelFiles(model);
    assert.ok(!isTooLarge(files));
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
  itemsAt(podOf(manifests), "volumes").find((volume) => at(volume, "configMap", "name") === configMap);

describe("a fleet on Kubernetes", () => {
  it("has its models in ConfigMaps of their own, with the priority in the configuration", () => {
    const [[name, configMap] = ["", undefined], ...others] = configMapsOf(manifestsOf());
    assert.equal(others.length, 1);
    assert.match(name, /^edge-realtime-[0-9a-f]{10}$/);
    assert.equal(at(configMap, "immutable"), true);
    assert.equal(at(configMap, "metadata", "name"), name);
    const config = textAt(configMap, "data", "0-config.pbtxt");
    assert.match(config, /priority: PRIORITY_MAX[^]*xsched_priority[^]*"255"/);
    assert.equal(
      at(configMap, "data", "1-1_model.py"),
      fs.readFileSync(path.join(ROOT, "examples/models/realtime/1/model.py"), "utf8"),
    );
  });

  it("mounts them where Triton looks, under their paths", () => {
    const manifests = manifestsOf();
    const [[name] = [""]] = configMapsOf(manifests);
    const volume = volumeOf(manifests, name);
    assert.deepEqual(at(volume, "configMap", "items"), [
      { key: "0-config.pbtxt", path: "config.pbtxt", mode: 0o444 },
      { key: "1-1_model.py", path: "1/model.py", mode: 0o444 },
    ]);
    const mount = itemsAt(tritonOf(manifests), "volumeMounts").find(
      (each) => at(each, "name") === at(volume, "name"),
    );
    assert.deepEqual(mount, { name: at(volume, "name"), mountPath: "/models/realtime", readOnly: true });
  });

  it("names another content differently, and the same content the same", () => {
    const names = (priority: number): string[] =>
      configMapsOf(manifestsOf({ models: [{ ...EXAMPLES[0], priority }, EXAMPLES[1]] })).map(
        ([name]) => name,
      );
    const [before, after] = [names(3), names(4)];
    assert.notEqual(before[0], after[0]);
    assert.equal(before[1], after[1]);
    assert.deepEqual(names(3), before);
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
      const config = 'backend: "python"';
      const models = ["a.b", "A_b"].map((name) => ({ name, source: path.join(folder, name), config }));
      const manifests = manifestsOf({ models });
      const maps = configMapsOf(manifests);
      assert.equal(maps.length, 2);
      const [[name, configMap] = ["", undefined]] = maps;
      assert.deepEqual(at(configMap, "binaryData"), {
        "2-1_nul.txt": Buffer.from("a\0b").toString("base64"),
        "4-1_w.bin": "/wAB",
      });
      assert.equal(at(configMap, "data", "1-1_empty_.empty"), "");
      assert.equal(at(configMap, "data", "3-1_run_me.sh"), "#!/bin/sh\n");
      const items = itemsAt(volumeOf(manifests, name), "configMap", "items");
      assert.deepEqual(items.slice(1), [
        { key: "1-1_empty_.empty", path: "1/empty/.empty", mode: 0o444 },
        { key: "2-1_nul.txt", path: "1/nul.txt", mode: 0o444 },
        { key: "3-1_run_me.sh", path: "1/run me.sh", mode: 0o555 },
        { key: "4-1_w.bin", path: "1/w.bin", mode: 0o444 },
      ]);
    } finally {
      fs.rmSync(folder, { recursive: true });
    }
  });

  it("gives an ensemble's steps its priority, as on a host", () => {
    const folder = fs.mkdtempSync(path.join(os.tmpdir(), "xsched-triton-fleet-"));
    try {
      fs.mkdirSync(path.join(folder, "both/1"), { recursive: true });
      fs.writeFileSync(path.join(folder, "both/config.pbtxt"), ensemble("step"));
      const models = [
        { name: "both", source: path.join(folder, "both"), priority: 77 },
        { name: "step", source: "examples/models/batch" },
      ];
      const step = configMapsOf(manifestsOf({ models })).find(([name]) => name.includes("-step-"));
      assert.match(textAt(step?.[1], "data", "0-config.pbtxt"), /xsched_priority[^]*"77"/);
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
    assert.deepEqual(at(podOf(manifests), "nodeSelector"), { gpu: "a10g" });
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
