import * as assert from "node:assert/strict";
import * as fs from "node:fs";
import * as os from "node:os";
import * as path from "node:path";

import type { AlertingRule } from "../../components/fleet/alarms";
import { fleetGraphs } from "../../components/fleet/dashboard";
import { fleetManifests } from "../../components/fleet/manifests";
import { isForImage, modelFiles } from "../../components/fleet/modelFiles";
import { scaledQuery } from "../../components/fleet/scaling";
import { ComponentInputs, fleetInputs, type FleetSettings } from "../../components/settings";
import { skipWithout } from "./needs";
import { execute, requireSuccess } from "./processes";
import { TOOLS_HOME } from "./toolchain";

const PROMTOOL = path.join(path.dirname(TOOLS_HOME), "bin/promtool");
const MODELS = path.resolve(__dirname, "../../examples/models");
const OF_FLEET = 'namespace="models"';
const OF_DEPLOYMENT = `${OF_FLEET},deployment="edge"`;

/** Samples as promtool writes them, by the metric. */
type Series = Readonly<Record<string, string>>;

/** How often there is one, in seconds. */
const SAMPLED = 15;
const A_MINUTE = 60 / SAMPLED;

/** A value for some minutes. */
const level = (value: number | "_", minutes = 60): string => `${value}x${minutes * A_MINUTE - 1}`;

/** A counter that grows for an hour. */
const growing = (inAMinute: number): string => `0+${inAMinute / A_MINUTE}x${60 * A_MINUTE}`;

/** How many replicas there are, and how many serve. */
const replicas = (wanted: string, serving: string): Series => ({
  [`kube_deployment_spec_replicas{${OF_DEPLOYMENT}}`]: wanted,
  [`kube_deployment_status_replicas_available{${OF_DEPLOYMENT}}`]: serving,
});

/** A model whose requests wait for a part of their time, in percent. */
const waiting = (percent: number): Series => {
  const counter = (name: string, growth: number): Series => ({
    [`nv_inference_${name}{${OF_FLEET},instance="a",model="realtime"}`]: growing(growth),
  });
  return {
    ...counter("request_success", 600),
    ...counter("exec_count", 600),
    ...counter("request_duration_us", 6_000_000),
    ...counter("queue_duration_us", 60_000 * percent),
  };
};

const memory = (used: number): Series => ({
  [`nv_gpu_memory_used_bytes{${OF_FLEET},pod="edge-1",gpu_uuid="g"}`]: level(used),
  [`nv_gpu_memory_total_bytes{${OF_FLEET},pod="edge-1",gpu_uuid="g"}`]: level(1000),
});

/** All is well. */
const HEALTHY: Series = { ...replicas(level(2), level(2)), ...waiting(10), ...memory(900) };

interface Case {
  readonly title: string;
  readonly series: Series;
  /** Minutes after which it has not gone off yet, and after which it has; never, without the second. */
  readonly quiet: number;
  readonly firing?: number;
  readonly labels?: Readonly<Record<string, string>>;
}

const CASES: Readonly<Record<string, readonly Case[]>> = {
  TritonFleetNotReady: [
    { title: "all is well", series: {}, quiet: 50 },
    // From the second minute on, so after three more.
    {
      title: "no pod is ready",
      series: replicas(level(2), `${level(2, 2)} ${level(0)}`),
      quiet: 4,
      firing: 6,
    },
    { title: "one pod is enough", series: replicas(level(2), level(1)), quiet: 50 },
    { title: "nothing is known", series: replicas(level("_"), level("_")), quiet: 2, firing: 4 },
    { title: "it is scaled to none", series: replicas(level(0), level(0)), quiet: 50 },
  ],
  TritonFleetPodsMissing: [
    { title: "all is well", series: {}, quiet: 50 },
    // Two models of five minutes each, and a quarter of an hour.
    {
      title: "one is missing",
      series: replicas(level(2), `${level(2, 1)} ${level(1)}`),
      quiet: 25,
      firing: 27,
    },
    { title: "a rollout has one more", series: replicas(level(2), level(3)), quiet: 50 },
  ],
  TritonFleetGpuMemory: [
    { title: "all is well", series: {}, quiet: 50 },
    {
      ...{ title: "it is nearly full", series: memory(950), quiet: 4, firing: 6 },
      labels: { pod: "edge-1", gpu_uuid: "g" },
    },
  ],
  TritonFleetOverloaded: [
    { title: "all is well", series: {}, quiet: 50 },
    { title: "the autoscaler leaves it alone", series: waiting(54), quiet: 50 },
    // The first rate is known after two samples.
    { title: "urgent requests wait", series: waiting(60), quiet: 15, firing: 16 },
  ],
};

describe("the monitoring of a fleet, in a real Prometheus", function () {
  let folder: string | undefined;
  let settings: FleetSettings;
  let files: ReturnType<typeof readFiles>;
  let rules: readonly AlertingRule[];

  const readFiles = (given: FleetSettings) =>
    given.models.map(modelFiles).flatMap((read) => (isForImage(read) ? [] : [read]));

  /** Runs promtool's tests on rules. */
  const check = async (groups: object[], tests: object[]): Promise<void> => {
    assert.ok(folder !== undefined);
    fs.writeFileSync(path.join(folder, "rules.yml"), JSON.stringify({ groups }));
    const text = { rule_files: ["rules.yml"], evaluation_interval: "15s", tests };
    fs.writeFileSync(path.join(folder, "tests.yml"), JSON.stringify(text));
    requireSuccess(await execute(PROMTOOL, ["test", "rules", "tests.yml"], folder));
  };

  const inputs = (series: Series): object[] =>
    Object.entries(series).map(([metric, values]) => ({ series: metric, values }));

  before(function () {
    skipWithout(
      this,
      fs.existsSync(PROMTOOL) ? undefined : "promtool is missing (`npm test` builds it with Go)",
    );
    folder = fs.mkdtempSync(path.join(os.tmpdir(), "xsched-triton-promtool-"));
    const { known } = new ComponentInputs("TritonFleet", "edge", fleetInputs, {
      image: `registry.example.com/triton@sha256:${"0".repeat(64)}`,
      namespace: "models",
      metricsNamespaces: ["monitoring"],
      scaling: { prometheus: "http://prometheus.monitoring.svc:9090", maxReplicas: 3 },
      monitoring: { kind: "operator" },
      models: [
        { name: "realtime", source: path.join(MODELS, "realtime"), priority: "max", weight: 2 },
        { name: "batch", source: path.join(MODELS, "batch"), priority: "min", floor: 10 },
      ],
    });
    settings = known as unknown as FleetSettings;
    files = readFiles(settings);
    rules = fleetManifests("edge", settings, files).monitoring.objects.flatMap((made) =>
      made.kind === "PrometheusRule" ? made.spec.groups.flatMap((group) => group.rules) : [],
    );
  });

  after(() => {
    if (folder !== undefined) fs.rmSync(folder, { recursive: true });
  });

  it("tells people when they should know, and of nothing else", async () => {
    assert.deepEqual(
      rules.map(({ alert }) => alert),
      Object.keys(CASES),
    );
    const tests = rules.flatMap(({ alert, labels, annotations }) =>
      (CASES[alert] ?? []).map(({ title, series, quiet, firing, labels: more }) => ({
        name: `${alert}: ${title}`,
        interval: `${SAMPLED}s`,
        input_series: inputs({ ...HEALTHY, ...series }),
        alert_rule_test: [
          { alertname: alert, eval_time: `${quiet}m`, exp_alerts: [] },
          ...(firing === undefined
            ? []
            : [
                {
                  alertname: alert,
                  eval_time: `${firing}m`,
                  exp_alerts: [
                    {
                      exp_labels: { ...labels, ...more },
                      exp_annotations: Object.fromEntries(
                        Object.entries(annotations).map(([key, text]) => [
                          key,
                          text.replace("{{ $labels.pod }}", more?.pod ?? ""),
                        ]),
                      ),
                    },
                  ],
                },
              ]),
        ],
      })),
    );
    await check([{ name: "edge", rules }], tests);
  });

  it("counts pods by what is known, and never by less", async () => {
    const { scaling } = settings;
    assert.ok(scaling !== undefined);
    const until = (series: Series, end: string): Series =>
      Object.fromEntries(Object.entries(series).map(([metric, values]) => [metric, `${values} ${end}`]));
    const short = Object.fromEntries(
      Object.entries(waiting(40)).map(([metric, values]) => [metric, values.replace(/x\d+$/, "x40")]),
    );
    const counters = (values: Readonly<Record<string, string>>): Series =>
      Object.fromEntries(
        Object.entries(values).map(([name, value]) => [
          `nv_inference_${name}{${OF_FLEET},instance="a",model="realtime"}`,
          value,
        ]),
      );
    const same = level(7);
    const tests = [
      { name: "requests wait", series: waiting(40), value: 40 },
      {
        name: "nobody asks",
        series: counters({
          request_success: same,
          exec_count: same,
          request_duration_us: same,
          queue_duration_us: same,
        }),
        value: 0,
      },
      {
        name: "a cache has all answers",
        series: counters({
          request_success: growing(600),
          exec_count: same,
          request_duration_us: growing(6000),
          queue_duration_us: growing(60),
        }),
        value: 0,
      },
      // After ten minutes no pod is read any more; what was read before is in the window for a while.
      { name: "the pods are lost", series: until(short, "stale"), value: undefined, at: "10m20s" },
      // As a Prometheus does that was told nothing else.
      { name: "the window has one sample", series: waiting(40), value: undefined, interval: "1m" },
    ].map(({ name, series, value, at = "10m", interval = `${SAMPLED}s` }) => ({
      ...{ name, interval, input_series: inputs(series) },
      promql_expr_test: [
        {
          expr: `round(${scaledQuery(settings, scaling, files)}, 0.001)`,
          eval_time: at,
          exp_samples: value === undefined ? [] : [{ labels: "{}", value }],
        },
      ],
    }));
    await check([], tests);
  });

  it("draws what its graphs are called", async () => {
    const pods = ["edge-1", "edge-2"];
    // Each grows by so much in a minute, in each of two pods.
    const counters: Readonly<Record<string, number>> = {
      nv_inference_request_success: 60,
      nv_inference_exec_count: 60,
      nv_inference_request_failure: 3,
      nv_inference_request_duration_us: 600_000,
      nv_inference_queue_duration_us: 240_000,
      xsched_queue_blocked_seconds_total: 6,
      xsched_queue_preemptions_total: 5,
    };
    const levels: Readonly<Record<string, number>> = {
      xsched_queue_floor_used_ratio: 0.25,
      xsched_queue_floor_ratio: 0.1,
    };
    const gpu = { nv_gpu_utilization: [0.5, 1], nv_gpu_memory_used_bytes: [200, 900] };
    const labels = (pod: string, model: string): string =>
      `{${OF_FLEET},pod="${pod}",instance="${pod}",model="${model}"}`;
    const series: Record<string, string> = { ...replicas(level(2), level(1)) };
    for (const [index, pod] of pods.entries()) {
      for (const model of ["realtime", "batch"]) {
        for (const [name, growth] of Object.entries(counters)) {
          series[`${name}${labels(pod, model)}`] = growing(growth);
        }
        for (const [name, value] of Object.entries(levels))
          series[`${name}${labels(pod, model)}`] = level(value);
      }
      for (const [name, values] of Object.entries(gpu)) {
        series[`${name}{${OF_FLEET},pod="${pod}"}`] = level(values[index] ?? 0);
      }
      series[`nv_gpu_memory_total_bytes{${OF_FLEET},pod="${pod}"}`] = level(1000);
    }
    series[`ALERTS{alertname="TritonFleetGpuMemory",alertstate="firing",${OF_FLEET},fleet="edge"}`] =
      level(1);
    const both = (value: number): object[] =>
      ["batch", "realtime"].map((model) => ({ labels: `{model="${model}"}`, value }));
    const one = (value: number): object[] => [{ labels: "{}", value }];
    const expected: Readonly<Record<string, readonly object[][]>> = {
      Requests: [both(2)],
      "Failed requests": [both(6)],
      "Mean time in the queue": [both(4)],
      // Of the time of one pod.
      "Time that launches waited for more urgent models": [both(20)],
      "How often a model made others wait": [both(10)],
      "Share of the GPU's time that models with a floor had, and the floor": [
        [{ labels: '{model="batch"}', value: 25 }],
        [{ labels: '{model="batch"}', value: 10 }],
      ],
      "Share of the GPU's time that models with a weight had": [
        [{ labels: '{model="realtime"}', value: 25 }],
      ],
      "GPU use": [one(75), one(100)],
      "GPU memory": [one(90)],
      Pods: [one(1), one(2)],
      "Share of their time that urgent requests wait, by which pods are counted": [one(40), one(50)],
      Alarms: [[{ labels: '{alertname="TritonFleetGpuMemory"}', value: 1 }]],
    };
    const graphs = fleetGraphs("edge", settings, files);
    assert.deepEqual(
      graphs.map(({ title, lines }) => [title, lines.length]),
      Object.entries(expected).map(([title, lines]) => [title, lines.length]),
    );
    const questions = graphs.flatMap(({ title, lines }) =>
      lines.map(({ expr }, index) => ({
        // What Grafana puts there.
        expr: `round(${expr.replaceAll("$__rate_interval", "5m")}, 0.001)`,
        eval_time: "30m",
        exp_samples: expected[title]?.[index],
      })),
    );
    await check([], [{ interval: `${SAMPLED}s`, input_series: inputs(series), promql_expr_test: questions }]);
  });
});
