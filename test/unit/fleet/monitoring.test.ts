import assert from "node:assert/strict";

import { fleetGraphs } from "../../../components/fleet/dashboard";
import { fleetManifests } from "../../../components/fleet/manifests";
import { isForImage, type ModelFiles, modelFiles } from "../../../components/fleet/modelFiles";
import { agentConfig } from "../../../components/observability/agentConfig";
import { alarms } from "../../../components/observability/alarms";
import { dashboardBody } from "../../../components/observability/dashboard";
import { ComponentInputs, fleetInputs, type FleetSettings } from "../../../components/settings";
import { IMAGE } from "../settings/context";

const MODELS = [
  { name: "realtime", source: "examples/models/realtime", priority: "max", weight: 3 },
  { name: "batch", source: "examples/models/batch", priority: "min", floor: 10 },
];
const OPERATOR = { monitoring: { kind: "operator" }, metricsNamespaces: ["monitoring"] };

function read(args: object): { settings: FleetSettings; files: ModelFiles[] } {
  const given = { image: IMAGE, models: MODELS, ...args };
  const { known } = new ComponentInputs("TritonFleet", "edge", fleetInputs, given);
  const settings = known as unknown as FleetSettings;
  const files = settings.models.map((model) => {
    const found = modelFiles(model);
    assert.ok(!isForImage(found));
    return found;
  });
  return { settings, files };
}

interface Pod {
  readonly metadata: { readonly annotations?: Readonly<Record<string, string>> };
  readonly spec: {
    readonly containers: readonly {
      readonly name: string;
      readonly command?: readonly string[];
      readonly env: readonly { readonly name: string; readonly value: string }[];
      readonly ports?: readonly { readonly name: string; readonly containerPort: number }[];
    }[];
  };
}

interface Manifests {
  readonly deployment: { readonly spec: { readonly template: Pod } };
  readonly networkPolicy: {
    readonly spec: { readonly ingress: readonly { readonly ports: readonly { readonly port: number }[] }[] };
  };
  readonly monitoring: {
    readonly objects: readonly {
      readonly kind: string;
      readonly metadata: { readonly labels: Readonly<Record<string, string>> };
      readonly spec: {
        readonly selector: { readonly matchLabels: object };
        readonly podMetricsEndpoints: readonly {
          readonly port: string;
          readonly metricRelabelings?: unknown;
        }[];
        readonly groups: readonly {
          readonly rules: readonly {
            readonly alert: string;
            readonly for: string;
            readonly expr: string;
            readonly annotations: { readonly summary: string };
          }[];
        }[];
      };
    }[];
    readonly dashboard?: {
      readonly configMap: { readonly metadata: { readonly labels: Readonly<Record<string, string>> } };
      readonly content: { readonly data: Readonly<Record<string, string>> };
    };
  };
}

/** As it reaches the API server. */
function manifests(args: object = {}): Manifests {
  const { settings, files } = read(args);
  return JSON.parse(JSON.stringify(fleetManifests("edge", settings, files))) as Manifests;
}

const pod = (made: Manifests): Pod => made.deployment.spec.template;
const container = (made: Manifests, name: string) =>
  pod(made).spec.containers.find((each) => each.name === name) ?? assert.fail(name);
const variable = (made: Manifests, of: string, name: string): string | undefined =>
  container(made, of).env.find((each) => each.name === name)?.value;
const rule = (made: Manifests, alert: string) =>
  made.monitoring.objects[1]?.spec.groups[0]?.rules.find((each) => each.alert === alert) ??
  assert.fail(alert);

describe("the monitoring of a fleet", () => {
  it("has annotations for any Prometheus, and nothing of the operator's, unless told to", () => {
    const made = manifests({ metricsNamespaces: ["monitoring"] });
    assert.deepEqual(pod(made).metadata.annotations, {
      "prometheus.io/scrape": "true",
      "prometheus.io/port": "8002",
      "prometheus.io/path": "/metrics",
    });
    assert.deepEqual(made.monitoring, { objects: [] });
    assert.equal(container(made, "agent").ports, undefined);
    assert.equal(variable(made, "triton", "XSCHED_METRICS_FILE"), undefined);
    assert.deepEqual(
      made.networkPolicy.spec.ingress.map(({ ports }) => ports.map(({ port }) => port)),
      [[8002]],
    );
  });

  it("reads what Triton and the scheduler count, once", () => {
    const made = manifests(OPERATOR);
    assert.equal(pod(made).metadata.annotations, undefined);
    const [monitor] = made.monitoring.objects;
    assert.equal(monitor?.kind, "PodMonitor");
    assert.deepEqual(monitor.spec.selector.matchLabels, {
      "app.kubernetes.io/name": "triton",
      "app.kubernetes.io/instance": "edge",
    });
    // Each is a port of a container.
    const ports = pod(made).spec.containers.flatMap((each) => each.ports ?? []);
    const read = monitor.spec.podMetricsEndpoints.map(
      ({ port }) => ports.find(({ name }) => name === port)?.containerPort,
    );
    assert.deepEqual(read, [8002, 9464]);
    assert.deepEqual(
      made.networkPolicy.spec.ingress.map(({ ports: open }) => open.map(({ port }) => port)),
      [[8002, 9464]],
    );
    // What the core writes, in a folder that both containers have, is what the agent serves.
    const file = "/xsched-triton/scheduler/metrics-%p";
    assert.equal(variable(made, "triton", "XSCHED_METRICS_FILE"), file);
    assert.equal(variable(made, "agent", "XSCHED_METRICS_FILE"), file);
    assert.equal(container(made, "agent").command?.at(-1), "0.0.0.0:9464");
  });

  it("names a queue's model as on a host", () => {
    const host = JSON.stringify(
      agentConfig({
        ...{ instanceId: "i", directory: "/srv", container: true, gateway: false, tritonMetrics: "a:1" },
        ...{ floors: [], weights: [], logGroup: "logs", metricsGroup: "metrics" },
      }),
    );
    const [endpoint] = manifests(OPERATOR).monitoring.objects[0]?.spec.podMetricsEndpoints.slice(1) ?? [];
    assert.deepEqual(endpoint?.metricRelabelings, [
      { sourceLabels: ["name"], regex: "(.+)/[^/]+", targetLabel: "model" },
    ]);
    assert.ok(host.includes("(.+)/[^/]+"));
  });

  it("asks no agent where there is none", () => {
    const made = manifests({ ...OPERATOR, scheduler: { required: false } });
    assert.deepEqual(
      made.monitoring.objects[0]?.spec.podMetricsEndpoints.map(({ port }) => port),
      ["metrics"],
    );
  });

  it("carries the labels by which Prometheus chooses", () => {
    const labels = (args: object): (string | undefined)[] =>
      manifests({ ...OPERATOR, ...args }).monitoring.objects.map(({ metadata }) => metadata.labels.release);
    assert.deepEqual(labels({}), ["kube-prometheus-stack", "kube-prometheus-stack"]);
    assert.deepEqual(labels({ monitoring: { kind: "operator", labels: { release: "prom" } } }), [
      "prom",
      "prom",
    ]);
  });

  it("tells what a host's alarms tell, at the same thresholds", () => {
    const thresholds = { gpuMemoryPercent: 80, notReadyMinutes: 7 };
    const host = alarms({
      ...{ partition: "aws", region: "eu-west-1", instanceId: "i", topic: "t", diskPercent: 85 },
      ...thresholds,
    });
    const made = manifests({ ...OPERATOR, monitoring: { kind: "operator", ...thresholds } });
    const memory = rule(made, "TritonFleetGpuMemory");
    assert.ok(memory.annotations.summary.endsWith(host["gpu-memory"].alarmDescription));
    assert.ok(memory.expr.endsWith(`>= ${host["gpu-memory"].threshold}`));
    assert.equal(memory.for, `${60 * host["gpu-memory"].evaluationPeriods}s`);
    assert.equal(rule(made, "TritonFleetNotReady").for, `${60 * host["not-ready"].evaluationPeriods}s`);
  });

  it("gives a fleet that wakes up the time to do so", () => {
    const scaling = { prometheus: "http://prometheus:9090", maxReplicas: 3 };
    const wakeQuery = { minReplicas: 0, wakeQuery: "sum(asked)" };
    const after = (more: object): string =>
      rule(manifests({ ...OPERATOR, scaling: { ...scaling, ...more } }), "TritonFleetNotReady").for;
    assert.equal(after({}), "180s");
    assert.equal(after(wakeQuery), `${180 + 2 * 300 + 900}s`);
  });

  it("draws of models what a host's dashboard draws", () => {
    const { settings, files } = read(OPERATOR);
    const graphs = fleetGraphs("edge", settings, files).map(({ title, unit }) => `${title}: ${unit}`);
    const host = JSON.parse(
      dashboardBody({
        ...{ region: "eu-west-1", instanceId: "i", models: ["realtime", "batch"], alarms: [] },
        ...{ floors: ["batch"], weights: ["realtime"] },
      }),
    ) as { widgets: { properties: { title: string; yAxis?: { left: { label: string } } } }[] };
    const drawn = host.widgets.map(
      ({ properties: { title, yAxis } }) => `${title}: ${yAxis?.left.label ?? ""}`,
    );
    assert.equal(graphs[0], "Requests: 1/s");
    assert.deepEqual(graphs.slice(0, 8), drawn.slice(0, 8));
  });

  it("has a dashboard that Grafana's sidecar finds, with panels that do not overlap", () => {
    const { dashboard } = manifests(OPERATOR).monitoring;
    assert.ok(dashboard !== undefined);
    assert.equal(dashboard.configMap.metadata.labels.grafana_dashboard, "1");
    const [[file, text] = ["", ""]] = Object.entries(dashboard.content.data);
    assert.equal(file, "xsched-triton-edge.json");
    const { uid, panels } = JSON.parse(text) as {
      uid: string;
      panels: {
        id: number;
        gridPos: { x: number; y: number; w: number; h: number };
        targets: { refId: string; expr: string }[];
      }[];
    };
    // https://grafana.com/docs/grafana/latest/developers/http_api/dashboard/
    assert.match(uid, /^[\w-]{1,40}$/);
    const cells = panels.flatMap(({ gridPos: { x, y, w, h } }) =>
      Array.from({ length: w * h }, (_, cell) => `${x + (cell % w)},${y + Math.floor(cell / w)}`),
    );
    assert.equal(new Set(cells).size, cells.length);
    assert.ok(cells.every((cell) => Number(cell.split(",")[0]) < 24));
    assert.equal(new Set(panels.map(({ id }) => id)).size, panels.length);
    for (const { targets } of panels)
      assert.equal(new Set(targets.map(({ refId }) => refId)).size, targets.length);
    const none = manifests({ ...OPERATOR, monitoring: { kind: "operator", dashboard: false } });
    assert.equal(none.monitoring.dashboard, undefined);
  });

  it("stays where it is in Grafana when models change", () => {
    const uid = (args: object): unknown =>
      (
        JSON.parse(
          Object.values(manifests({ ...OPERATOR, ...args }).monitoring.dashboard?.content.data ?? {})[0] ??
            "",
        ) as { uid: unknown }
      ).uid;
    assert.equal(uid({}), uid({ models: MODELS.slice(1) }));
    assert.notEqual(uid({}), uid({ namespace: "other" }));
  });
});
