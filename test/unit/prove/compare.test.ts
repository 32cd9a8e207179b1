import * as assert from "node:assert/strict";

import { type Arm } from "../../../scripts/bench/arms/arms";
import { type Measurement } from "../../../scripts/bench/measure";
import { type Results } from "../../../scripts/bench/report/results";
import { summarize } from "../../../scripts/bench/report/summary";
import { fourArms, joined } from "../../../scripts/prove/compare";
import { markdown } from "../../../scripts/prove/report";

const TIMES = Float64Array.of(0, 20, 40, 60);
const ANSWERS = 90;
const SETTING = {
  began: "2026-11-28T11:00:00.000Z",
  gpu: "NVIDIA H100, 580",
  triton: "2.51.0",
  commit: "abc",
  client: "this machine",
};

/** A benchmark of one round; each arm has a latency that all its requests take. */
function benchmark(latency: Readonly<Partial<Record<Arm, number>>>): Results {
  const arms = Object.keys(latency) as Arm[];
  const plan: Results["plan"] = {
    high: { model: "high", periodMs: 20, schedules: [TIMES] },
    lows: [{ model: "low", concurrency: 2 }],
    arms,
    rounds: 1,
    warmUpMs: 0,
  };
  const low = { answers: ANSWERS, seconds: 1, perSecond: ANSWERS, failed: 0, problems: [] };
  const measurements: Measurement[] = [
    { phase: "low alone", round: 0, lows: { low: { ...low, perSecond: 100 } } },
    ...arms.map((phase): Measurement => ({
      phase,
      round: 0,
      high: {
        intended: TIMES,
        lag: TIMES.map(() => 0),
        latency: TIMES.map(() => latency[phase] ?? NaN),
        problems: [],
      },
      lows: phase === "standalone" ? {} : { low },
    })),
  ];
  const run: Results["run"] = {
    began: "2026-11-28T11:00:00.000Z",
    server: "http://127.0.0.1:8000",
    version: "2.51.0",
    protocol: "http",
    arrivals: "fixed",
    rate: 50,
    middleRate: 0,
    batch: { high: 1, low: 1 },
    seed: 1,
    priorities: { high: 255, low: -255 },
    scheduler: { active: false, says: "not asked" },
    client: "this machine",
  };
  return { run, plan, measurements, summary: summarize(plan, measurements, 1), former: [] };
}

const p50 = ({ summary }: Results, name: Arm): number | undefined =>
  summary.arms.find(({ arm }) => arm === name)?.latencyMs.p50.value;

describe("the comparison of npm run prove", () => {
  const stock = joined([benchmark({ standalone: 2, triton: 5 }), benchmark({ standalone: 2, triton: 7 })]);
  const hooked = joined([benchmark({ standalone: 2.5, xsched: 2.6 })]);

  it("joins the rounds of several servers into one benchmark", () => {
    assert.equal(stock.plan.rounds, 2);
    assert.equal(stock.plan.high.schedules.length, 2);
    assert.deepEqual([...new Set(stock.measurements.map(({ round }) => round))], [0, 1]);
    const triton = stock.summary.arms.find(({ arm }) => arm === "triton");
    assert.equal(triton?.samples, 8);
    assert.equal(triton.latencyMs.p50.value, 5);
    assert.equal(triton.latencyMs.p90.value, 7);
    assert.equal(triton.ratio.p50.value, 2.5);
  });

  it("takes the arm xsched from the other server, and the rest from the stock one", () => {
    const all = fourArms(stock, hooked);
    assert.equal(p50(all, "standalone"), 2);
    assert.equal(p50(all, "triton"), 5);
    assert.equal(p50(all, "xsched"), 2.6);
  });

  it("reports each server against its own stand-alone arm", () => {
    const held = { threads: 30, files: 60, memoryMb: 100, gpuMemoryMb: NaN, queues: 4 };
    const text = markdown(SETTING, [
      {
        name: "tensorrt",
        servers: [
          { kind: "stock", results: stock, queues: [] },
          {
            kind: "hooked",
            results: hooked,
            queues: ["high/high_0 255", "high/high_0 255", "low/low_0 -255"],
          },
        ],
        reloads: {
          hooked: {
            reloads: 200,
            asked: 200,
            seconds: 60.2,
            answered: { high: 2000, low: 3000 },
            failed: 0,
            problems: [],
            before: held,
            after: { ...held, threads: 31 },
          },
        },
        shares: {
          alone: { high: 120, low: 40 },
          aloneP50Ms: 8,
          phases: [{ name: "floor of 20 %", high: 0.75, low: 0.21, windows: [0.2, 0.22], highP50Ms: 12 }],
          problems: ["status 500"],
        },
        training: {
          rate: 50,
          alone: { p50: 2, p90: 2, p99: 4 },
          beside: { p50: 2.5, p90: 3, p99: 5 },
          stepsPerSecond: { alone: 10, scheduled: 9.5, beside: 8.1 },
          ofBound: 0.9,
          failed: 1,
        },
      },
    ]);
    // The bound: 100/s alone × (1 − 2 ms / 20 ms) = 90/s, and × (1 − 2.5 ms / 20 ms) = 87.5/s.
    assert.match(text, /^\| stock Triton \| triton \| 8 \| 5\.000 \(2\.50\) \|.*\| – \| 100 % \|$/m);
    assert.match(
      text,
      /^\| the core and the hooks \| xsched \| 4 \| 2\.600 \(1\.04\) \|.*\| – \| 103 % \|$/m,
    );
    assert.match(text, /^Stand-alone, the core and the hooks against stock Triton: P50 1\.250×\.$/m);
    assert.match(text, /`high\/high_0 255` ×2, `low\/low_0 -255`\./);
    assert.match(
      text,
      /^Alone and back to back: high 120\.0 requests\/s, P50 8\.000 ms; low 40\.0 requests\/s\.$/m,
    );
    assert.match(text, /^\| floor of 20 % \| 75 % \| 21 % \| 20, 22 \| 1\.50 \|$/m);
    assert.match(text, /^Requests failed: status 500\.$/m);
    assert.match(
      text,
      /: P50, P90, P99 2\.500 \(1\.25\), 3\.000 \(1\.50\), 5\.000 \(1\.25\) ms, .*; 1 failed\./,
    );
    assert.match(text, /and beside high: 10\.00, 9\.50, 8\.10, 90 % of the bound\.$/m);
    assert.match(
      text,
      /2000 requests to high and 3000 to low answered, 0 failed; threads 30 → 31, files 60 → 60, queues 4 → 4/,
    );
    assert.match(text, /^200 reloads under load with the core and the hooks, 60 s: /m);
  });

  it("reports reloads that a signal interrupted", () => {
    const before = { threads: 30, files: 60, memoryMb: 100, gpuMemoryMb: 5, queues: 4 };
    const stopped = {
      reloads: 132,
      asked: 200,
      seconds: 60,
      answered: { high: 2000, low: 3000 },
      failed: 2,
      problems: [],
      before,
    };
    const text = markdown(SETTING, [
      {
        name: "tensorrt",
        servers: [{ kind: "stock", results: stock, queues: [] }],
        reloads: { stock: { ...stopped, after: { ...before, threads: 31 } }, hooked: stopped },
      },
    ]);
    assert.match(
      text,
      /^Interrupted after 132 of 200 reloads under load with stock Triton, 60 s: .* 2 failed; threads 30 → 31, /m,
    );
    // Ctrl-C has ended this server, too.
    assert.match(text, / with the core and the hooks, .*; threads 30 → –, .* memory of the GPU 5 → – MB\.$/m);
  });
});
