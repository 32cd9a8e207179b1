import assert from "node:assert/strict";
import * as fs from "node:fs";
import * as os from "node:os";
import * as path from "node:path";

import * as pulumi from "@pulumi/pulumi";

import type * as fleet from "../../../components/fleet";
import { IMAGE } from "../settings/context";

const MODELS = path.resolve(__dirname, "../../../examples/models");
const realtime = { name: "realtime", source: path.join(MODELS, "realtime"), priority: "max" };
const GATEWAY = { gateway: "public", gatewayNamespace: "gateways" };

describe("arguments of a fleet", () => {
  let api: typeof fleet;
  let registered: string[];
  let folder: string;

  before(async () => {
    registered = [];
    await pulumi.runtime.setMocks(
      {
        newResource: ({ name, inputs }) => {
          registered.push(name);
          return { id: name, state: inputs as object };
        },
        call: ({ inputs }) => inputs as object,
      },
      "project",
      "stack",
      false,
    );
    api = await import("../../../components/fleet");
    folder = fs.mkdtempSync(path.join(os.tmpdir(), "xsched-triton-fleet-"));
    fs.mkdirSync(path.join(folder, "large/1"), { recursive: true });
    fs.writeFileSync(path.join(folder, "large/1/model.bin"), Buffer.alloc(3 << 19));
    fs.mkdirSync(path.join(folder, "onnx/1"), { recursive: true });
    fs.writeFileSync(path.join(folder, "onnx/1/model.onnx"), "onnx");
  });

  after(() => {
    fs.rmSync(folder, { recursive: true });
  });

  /** The message of the error that the constructor throws. */
  const refusal = (args: object, name = "edge"): string => {
    const given = { image: IMAGE, models: [realtime], ...args } as ConstructorParameters<
      typeof api.TritonFleet
    >[1];
    try {
      new api.TritonFleet(name, given);
    } catch (error) {
      assert.ok(pulumi.RunError.isInstance(error));
      assert.deepEqual(registered, []);
      return error.message;
    }
    throw new Error("accepted");
  };

  const told = (...lines: readonly string[]): string =>
    `1 fault in the arguments of TritonFleet edge\n\n  ${lines.join("\n    ")}\n`;

  it("are refused together with those that they share with a host", () => {
    const message = refusal({
      models: [{ ...realtime, priority: 256 }],
      replicas: -1,
      namespce: "a",
      server: { httpPort: 8001 },
    });
    for (const part of [
      "4 faults in the arguments of TritonFleet edge",
      "models[0].priority: 256",
      "replicas: -1\n    allowed: an integer from 1 to 5000",
      "namespce: (unknown key)",
      "fix: did you mean namespace?",
      "server.grpcPort: 8001",
    ]) {
      assert.ok(message.includes(part), `${part} is in ${message}`);
    }
  });

  it("have no outputs but the image and a login, so that a preview shows everything", () => {
    assert.equal(
      refusal({ image: pulumi.output(IMAGE), models: [{ ...realtime, priority: pulumi.output(3) }] }),
      told(
        "models[0].priority: (an output)",
        "allowed: a value that is known when the fleet is constructed; only image and registry can be outputs",
        "fix: give the value itself",
      ),
    );
  });

  const unservable: readonly (readonly [string, object, readonly string[]])[] = [
    [
      "models in S3",
      { models: [{ ...realtime, source: "s3://bucket/realtime" }] },
      [
        'models[0].source: "s3://bucket/realtime"',
        "allowed: a folder on this machine: a fleet fetches nothing from S3",
        "fix: fetch it into a folder, and set modelImageRepository if it is larger than 1 MiB",
      ],
    ],
    [
      "dependencies that Triton can't see",
      { models: [realtime, { ...realtime, name: "other", dependsOn: ["realtime"] }] },
      [
        "models[1].dependsOn: a list of 1",
        "allowed: none: a pod's Triton loads all models at once; it knows what the steps of an ensemble need",
        "fix: remove dependsOn, and let the model look for the others when it is asked, not when it is loaded",
      ],
    ],
    [
      "no models at all",
      { models: [] },
      ["models: a list of 0", "allowed: at least one model", "fix: add a model, or remove the fleet"],
    ],
    [
      "a gateway",
      { gateway: { tls: "selfSigned" } },
      [
        "gateway: (given)",
        "allowed: none: a pod has no gateway yet, so nothing there could ask for tokens or TLS",
        "fix: remove gateway, and set route to a Gateway of the cluster that has TLS",
      ],
    ],
    [
      "a scheduling domain to share",
      { scheduler: { domain: "shared" } },
      [
        'scheduler.domain: "shared"',
        "allowed: none, or nothing: a pod has its GPU alone, so there is nobody to share an order with",
        "fix: remove domain",
      ],
    ],
    [
      "a route without a host name",
      { route: GATEWAY },
      [
        "route.httpHostname: (not set)",
        "allowed: httpHostname, grpcHostname, or both",
        "fix: add httpHostname: triton.example.com",
      ],
    ],
    [
      "one host name for both kinds of route",
      { route: { ...GATEWAY, httpHostname: "t.example.com", grpcHostname: "t.example.com" } },
      [
        'route.grpcHostname: "t.example.com"',
        "allowed: another name than httpHostname",
        "fix: give gRPC a host name of its own",
      ],
    ],
    [
      "a label that no node can have",
      { nodeSelector: { "nvidia.com/gpu.product": "NVIDIA A10G" } },
      [
        'nodeSelector["nvidia.com/gpu.product"]: "NVIDIA A10G"',
        "allowed: a label with a text of at most 63 letters, digits, dots, dashes and underscores",
        "fix: copy both as kubectl get nodes --show-labels prints them",
      ],
    ],
    [
      "a Prometheus that may not read the pods",
      { monitoring: { kind: "operator" } },
      [
        "metricsNamespaces: (not set)",
        "allowed: at least the namespace of the cluster's Prometheus: nobody else may read the pods' metrics",
        "fix: add metricsNamespaces: [monitoring]",
      ],
    ],
    [
      "a port of Triton's that the agent needs for metrics",
      {
        ...{ monitoring: { kind: "operator" }, metricsNamespaces: ["monitoring"] },
        server: { metricsPort: 9464 },
      },
      [
        "server.metricsPort: 9464",
        "allowed: any other port: with monitoring, a pod answers at 9464 with what its scheduler counts",
        "fix: choose another port, or set monitoring.kind to annotations",
      ],
    ],
    [
      "a label that no PodMonitor can have",
      {
        ...{ monitoring: { kind: "operator", labels: { release: "a b" } } },
        metricsNamespaces: ["monitoring"],
      },
      [
        'monitoring.labels.release: "a b"',
        "allowed: a label with a text of at most 63 letters, digits, dots, dashes and underscores",
        "fix: copy them from podMonitorSelector and ruleSelector of the cluster's Prometheus",
      ],
    ],
    [
      "thresholds where nobody is told",
      { monitoring: { notReadyMinutes: 5 } },
      [
        "monitoring.notReadyMinutes: (unknown key)",
        "allowed: the keys kind",
        "fix: notReadyMinutes belongs to kind operator: set monitoring.kind to operator, or remove notReadyMinutes",
      ],
    ],
  ];
  for (const [what, args, lines] of unservable) {
    it(`refuse ${what}`, () => {
      assert.equal(refusal(args), told(...lines));
    });
  }

  it("refuse an engine that no pod could push, and an S3 prefix where none would be shared", () => {
    const source = path.join(folder, "onnx");
    const models = [realtime, { name: "vision", source, engine: {} }];
    const allowed =
      "allowed: an engine beside modelImageRepository and registry: a pod builds it, and pushes it there for the others";
    const fix = (keys: string): string => `fix: set ${keys}, with a login that may push, or remove engine`;
    const modelImageRepository = "registry.example.com/models";
    const registry = { username: "deployer", password: "secret" };
    assert.equal(
      refusal({ models }),
      told("models[1].engine: (given)", allowed, fix("modelImageRepository and registry")),
    );
    assert.equal(
      refusal({ models, modelImageRepository }),
      told("models[1].engine: (given)", allowed, fix("registry")),
    );
    assert.equal(
      refusal({
        ...{ modelImageRepository, registry },
        models: [realtime, { name: "vision", source, engine: { shared: "s3://bucket/engines" } }],
      }),
      told(
        'models[1].engine.shared: "s3://bucket/engines"',
        "allowed: none: fleets share engines through modelImageRepository",
        "fix: remove shared",
      ),
    );
  });

  it("refuse a model that is larger than a ConfigMap without a repository for images, and a name that Kubernetes would not take", () => {
    const source = path.join(folder, "large");
    const shown = JSON.stringify(source);
    const message = refusal(
      { models: [realtime, { name: "large", source, config: 'backend: "onnxruntime"' }] },
      "Edge",
    );
    assert.equal(
      message,
      `2 faults in the arguments of TritonFleet Edge

  (its name): "Edge"
    allowed: 1 to 40 of a to z, 0 to 9 and dashes in between, as Kubernetes names its objects
    fix: choose a name such as inference

  models[1].source: ${shown}, of 1.5 MiB
    allowed: at most 1 MiB for the files of a model, which is what a ConfigMap holds, or a repository for images
    fix: set modelImageRepository to a repository that this machine can push to and the nodes can pull from
`,
    );
  });

  it("refuse models whose configurations are larger than a ConfigMap together", () => {
    const config = `backend: "python" # ${"x".repeat(600_000)}`;
    const models = ["one", "two"].map((name) => ({ ...realtime, name, config }));
    assert.equal(
      refusal({ models }),
      `1 fault in the arguments of TritonFleet edge

  models: 2 models whose configurations have 1.1 MiB
    allowed: at most 1 MiB for the configurations of all models: one ConfigMap holds them
    fix: serve some of the models from another fleet
`,
    );
  });
});
