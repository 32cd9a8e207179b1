import assert from "node:assert/strict";
import * as path from "node:path";

import * as pulumi from "@pulumi/pulumi";

import type * as fleet from "../../../components/fleet";
import { IMAGE } from "../settings/context";

const MODELS = path.resolve(__dirname, "../../../examples/models");

interface Registered {
  readonly type: string;
  readonly name: string;
  readonly provider: string | undefined;
  readonly inputs: { readonly metadata?: { readonly name: string; readonly namespace?: string } };
}

for (const preview of [true, false]) {
  describe(`a fleet, ${preview ? "in a preview" : "in an update"}`, () => {
    let registered: Registered[];
    let api: typeof fleet;

    const deploy = async (
      args: Partial<fleet.TritonFleetArgs> = {},
      options: () => pulumi.ComponentResourceOptions = () => ({}),
    ): Promise<fleet.TritonFleet> => {
      registered = [];
      await pulumi.runtime.setMocks(
        {
          newResource: ({ type, name, provider, inputs, id }) => {
            registered.push({ type, name, provider, inputs: inputs as Registered["inputs"] });
            // What is read is in the cluster.
            return id
              ? { id, state: { metadata: { annotations: {} } } }
              : { id: `${name}-id`, state: inputs as object };
          },
          call: ({ inputs }) => inputs as object,
        },
        "project",
        "stack",
        preview,
      );
      api = await import("../../../components/fleet");
      const made = new api.TritonFleet(
        "edge",
        {
          image: pulumi.output(IMAGE),
          models: [
            { name: "realtime", source: path.join(MODELS, "realtime"), priority: 200 },
            { name: "batch", source: path.join(MODELS, "batch"), priority: "min" },
          ],
          ...args,
        },
        options(),
      );
      await pulumi.runtime.disconnect();
      return made;
    };

    const shown = (): string[] =>
      registered.map(
        ({ type, name }) =>
          `${type.split(":").at(-1) ?? ""} ${name.replace(/-[0-9a-f]{10}(?=-values$|$)/, "-…")}`,
      );

    it("makes what a fleet consists of, and no provider", async () => {
      await deploy();
      assert.deepEqual(shown().sort(), [
        "ConfigMap edge-agent-…",
        "ConfigMap edge-batch-…",
        "ConfigMap edge-guard-…",
        "ConfigMap edge-live-…",
        "ConfigMap edge-realtime-…",
        "ConfigMapPatch edge-live-…-values",
        "Deployment edge",
        "Deployment edge-guard",
        "Deployment edge-rollout",
        "Namespace edge-namespace",
        "NetworkPolicy edge-guard",
        "NetworkPolicy edge-network",
        "PodDisruptionBudget edge-disruption",
        "PriorityClass edge-priority",
        "Role edge-guard",
        "RoleBinding edge-guard",
        "Service edge-service",
        "ServiceAccount edge-account",
        "ServiceAccount edge-guard",
        "TritonFleet edge",
      ]);
      assert.ok(registered.every(({ provider }) => !provider));
    });

    it("adds routes where a Gateway is named", async () => {
      await deploy({
        route: {
          ...{ gateway: "public", gatewayNamespace: "gateways" },
          ...{ httpHostname: "t.example.com", grpcHostname: "grpc.t.example.com" },
        },
      });
      assert.deepEqual(
        shown()
          .filter((each) => each.includes("route"))
          .sort(),
        ["GRPCRoute edge-grpcroute", "HTTPRoute edge-httproute"],
      );
    });

    it("adds what the Prometheus operator and Grafana read, if told to", async () => {
      await deploy({ metricsNamespaces: ["monitoring"], monitoring: { kind: "operator" } });
      assert.deepEqual(
        shown()
          .filter((each) => /Pod|Rule|dashboard/.test(each))
          .sort(),
        [
          "ConfigMap edge-dashboard",
          "ConfigMapPatch edge-dashboard-content",
          "PodDisruptionBudget edge-disruption",
          "PodMonitor edge-metrics",
          "PrometheusRule edge-alarms",
        ],
      );
    });

    it("puts everything but the namespace and the priority of its pods into its namespace", async () => {
      await deploy({ namespace: "models" });
      const outside = registered
        .filter(({ inputs: { metadata } }) => metadata !== undefined && metadata.namespace !== "models")
        .map(({ name, inputs }) => [name, inputs.metadata?.name]);
      assert.deepEqual(outside.sort(), [
        ["edge-namespace", "models"],
        ["edge-priority", "models-edge"],
      ]);
    });

    it("is made on the cluster of the provider that it is given", async () => {
      const k8s = await import("@pulumi/kubernetes");
      await deploy({}, () => ({ provider: new k8s.Provider("cluster", { kubeconfig: "{}" }) }));
      const parts = registered.filter(({ type }) => /^kubernetes:.*\/v1:/.test(type));
      assert.ok(parts.length > 5);
      assert.ok(parts.every(({ provider }) => provider?.includes("::cluster::")));
    });

    it("tells where it answers and what it serves", async () => {
      const { endpoints, models } = await deploy({ server: { httpPort: 9000 } });
      const [http, served] = await new Promise<[string, unknown]>((resolve) => {
        pulumi.all([endpoints, models]).apply(([{ http: url }, known]) => {
          resolve([url, known]);
        });
      });
      assert.equal(http, "http://edge.xsched-triton.svc:9000");
      assert.deepEqual(served, [
        { name: "realtime", priority: 200 },
        { name: "batch", priority: -255 },
      ]);
    });
  });
}
