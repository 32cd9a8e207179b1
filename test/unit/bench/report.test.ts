import * as assert from "node:assert/strict";
import * as fs from "node:fs";
import * as os from "node:os";
import * as path from "node:path";

import fc from "fast-check";

import { ARMS, phasesOf } from "../../../scripts/bench/arms/arms";
import { type OpenLoad } from "../../../scripts/bench/load/messages";
import { schedule } from "../../../scripts/bench/load/schedule";
import { type LowLoad, type Measurement, type Plan, within } from "../../../scripts/bench/measure";
import {
  distribution,
  latencyChart,
  middleLatencyChart,
  throughputChart,
} from "../../../scripts/bench/report/charts";
import { conclude } from "../../../scripts/bench/report/conclude";
import { CHARTS, writeReport } from "../../../scripts/bench/report/files";
import { type Results } from "../../../scripts/bench/report/results";
import { summarize } from "../../../scripts/bench/report/summary";
import { resultText } from "../../../scripts/bench/report/text";
import { ModelCounters } from "../../../scripts/bench/schedulerCounters";
import { linearTicks, logTicks } from "../../../scripts/bench/report/ticks";
import { sorted } from "../../../scripts/bench/statistics/percentile";
import { random } from "../../../scripts/bench/statistics/random";
import { runs } from "../../properties";

const FACTOR: Readonly<Record<string, number>> = {
  standalone: 1,
  triton: 3,
  "triton+priority": 2,
  xsched: 1.05,
};
const RATE: Readonly<Record<string, number>> = {
  "low alone": 100,
  triton: 90,
  "triton+priority": 85,
  xsched: 80,
};

/** What the middle model's latency is multiplied by. */
const MIDDLE_FACTOR: Readonly<Record<string, number>> = {
  "middle alone": 1,
  "middle behind high": 1.5,
  triton: 4,
  "triton+priority": 3,
  xsched: 1.575,
};

/**
 * Results of arms whose latencies are those of the model alone, 10 to 20 ms, times a factor. A second low model answers
 * half as often as the first one, but 100 times per second alone, too.
 */
function results(rounds = 3, perRound = 200, models: "two" | "four" = "two"): Results {
  const schedules = Array.from({ length: rounds }, () => schedule("fixed", perRound, 10, random(1)));
  const plan: Plan = {
    high: { model: "bert-high", periodMs: 100, schedules },
    ...(models === "four" && { middle: { model: "bert-norm", periodMs: 100, schedules } }),
    lows: [
      { model: "bert-low", concurrency: 1 },
      ...(models === "four" ? [{ model: "bert-least", concurrency: 2 }] : []),
    ],
    arms: ARMS,
    rounds,
    warmUpMs: 0,
  };
  const measurements = Array.from({ length: rounds }, (_, round) =>
    phasesOf(0, plan).map(({ phase, high, middle, lows }): Measurement => {
      const times = schedules[round]!;
      const next = random(round);
      const open = (factor: number): OpenLoad => ({
        intended: times,
        lag: times.map(() => 0.01),
        latency: times.map(() => factor * (10 + 10 * next())),
        problems: [],
      });
      const closed = (model: string): LowLoad => {
        const rate = RATE[phase]! / (model === "bert-least" && phase !== "low alone" ? 2 : 1);
        return { answers: rate * 20, seconds: 20, perSecond: rate, failed: 0, problems: [] };
      };
      return {
        phase,
        round,
        ...(high && { high: open(FACTOR[phase] ?? 1) }),
        ...(middle && { middle: open(MIDDLE_FACTOR[phase]!) }),
        lows: Object.fromEntries(lows.map((model) => [model, closed(model)])),
      };
    }),
  ).flat();
  return {
    former: [],
    plan,
    measurements,
    summary: summarize(plan, measurements, 1),
    run: {
      began: "2026-11-25T08:00:00.000Z",
      server: "http://127.0.0.1:8000",
      version: "2.51.0",
      protocol: "http",
      arrivals: "fixed",
      rate: 10,
      middleRate: 10,
      batch: {},
      seed: 1,
      priorities: { "bert-high": 255, "bert-norm": 100, "bert-low": 10, "bert-least": -255 },
      scheduler: { active: true, says: "scheduled" },
      client: "this machine",
    },
  };
}

describe("the summary of a benchmark", () => {
  const { summary } = results();
  const arm = (name: string) => summary.arms.find((found) => found.arm === name)!;

  it("has percentiles, their ratio to standalone, and intervals around them", () => {
    // Uniform from 10 to 20 ms; 600 samples, so within a few tenths.
    assert.ok(Math.abs(arm("standalone").latencyMs.p50.value - 15) < 0.5);
    assert.ok(Math.abs(arm("standalone").latencyMs.p90.value - 19) < 0.5);
    for (const { arm: name, samples, failed, ratio, latencyMs } of summary.arms) {
      assert.deepEqual([samples, failed], [600, 0]);
      for (const key of ["p50", "p90", "p99"] as const) {
        assert.ok(Math.abs(ratio[key].value - FACTOR[name]!) < 1e-9, `${name} ${key}`);
        assert.ok(ratio[key].low <= ratio[key].value && ratio[key].value <= ratio[key].high);
        assert.ok(latencyMs[key].low <= latencyMs[key].value && latencyMs[key].value <= latencyMs[key].high);
      }
    }
  });

  it("compares the low model's throughput with its own alone and with what is left of the device", () => {
    assert.equal(summary.lowAlone["bert-low"]?.value, 100);
    assert.deepEqual(arm("standalone").lows, []);
    assert.equal(arm("standalone").lowTotal, undefined);
    const [low] = arm("xsched").lows;
    assert.equal(low?.perSecond.value, 80);
    assert.equal(low.ofAlone.value, 0.8);
    // 15 of 100 ms belong to the high model, so 85 % are left.
    assert.ok(Math.abs(low.ofBound.value - 0.8 / 0.85) < 0.01);
    assert.deepEqual(arm("xsched").lowTotal, { ofAlone: low.ofAlone, ofBound: low.ofBound });
  });

  describe("with a middle and two low models", () => {
    const { summary: four } = results(3, 200, "four");
    const close = (value: number | undefined, expected: number, within: number): void => {
      assert.ok(value !== undefined && Math.abs(value - expected) < within, `${value}, not ${expected}`);
    };

    it("compares each low model with its own alone, and adds up only the shares", () => {
      const { lows, lowTotal } = four.arms.find(({ arm: name }) => name === "xsched")!;
      assert.deepEqual(
        lows.map(({ model, perSecond }) => [model, perSecond.value]),
        [
          ["bert-low", 80],
          ["bert-least", 40],
        ],
      );
      close(lows[1]?.ofAlone.value, 0.4, 1e-9);
      close(lowTotal?.ofAlone.value, 1.2, 1e-9);
      // The high and the middle model each take 15 of 100 ms.
      close(lows[1]?.ofBound.value, 0.4 / 0.7, 0.01);
      close(lowTotal?.ofBound.value, 1.2 / 0.7, 0.03);
    });

    it("compares the middle model with itself alone, and with itself behind the high model only", () => {
      assert.deepEqual(
        four.middle.map(({ phase }) => phase),
        ["middle alone", "middle behind high", "triton", "triton+priority", "xsched"],
      );
      for (const { phase, samples, ratio, behindHigh } of four.middle) {
        assert.equal(samples, 600);
        const factor = MIDDLE_FACTOR[phase]!;
        // Each phase draws its own samples for this model.
        close(ratio.p50.value, factor, 0.1 * factor);
        close(behindHigh.p50.value, factor / 1.5, 0.1 * factor);
        close(behindHigh.p50.value * MIDDLE_FACTOR["middle behind high"]!, ratio.p50.value, 0.2 * factor);
      }
    });

    it("shows the rows of every model, also in the files and in a chart of its own", () => {
      const found = results(2, 50, "four");
      const text = resultText(found);
      for (const row of [
        /^bert-norm, middle +samples .* over behind high /m,
        /^xsched +100 .*\/.*\/.*/m,
        /^xsched, bert-least +40\.0 .*40 % /m,
        /^xsched, together +120 % /m,
      ]) {
        assert.match(text, row);
      }
      assert.doesNotMatch(text, /NaN|undefined/);
      const middle = middleLatencyChart(found) ?? "";
      const bars = throughputChart(found) ?? "";
      for (const phase of Object.keys(MIDDLE_FACTOR)) assert.ok(middle.includes(`>${phase}<`), phase);
      assert.ok(middle.includes(">Latency of bert-norm next to bert-high, bert-low and bert-least<"));
      for (const label of ["bert-low: 80.0/s", "bert-least: 40.0/s", "80 %", "40 %"]) {
        assert.ok(bars.includes(`>${label}<`), label);
      }
      assert.match(bars, />Requests answered, of each model&#39;s alone \(%\)</);
      assert.ok(!(middle + bars + latencyChart(found)).includes("NaN"));
      const priorities = ">Priorities of xsched: 255, 100, 10 and -255.<";
      assert.ok(middle.includes(priorities) && bars.includes(priorities));
    });
  });

  it("sums up the scheduler's counters by model, if every round has them", () => {
    const { plan, measurements } = results(2, 50, "four");
    const counted = measurements.map((measured) => ({
      ...measured,
      scheduler: {
        "bert-high": new ModelCounters(10, 0, 0, 3),
        "bert-norm": new ModelCounters(10, 1, 2, 5),
        "bert-low": new ModelCounters(10, 1, 5, 0),
        "bert-least": new ModelCounters(10, 1, 10, 0),
      },
    }));
    const found = summarize(plan, counted, 1).arms.find(({ arm: name }) => name === "xsched")?.scheduler;
    // Two rounds of 20 s.
    assert.deepEqual(found, {
      preemptions: 6,
      blockedShare: { "bert-norm": 0.1, "bert-low": 0.25, "bert-least": 0.5 },
    });
    const all = { ...results(2, 50, "four"), measurements: counted, summary: summarize(plan, counted, 1) };
    assert.match(
      resultText(all),
      /^xsched: 6 preemptions, bert-norm blocked 10 % of the time, bert-low blocked 25 % of the time, bert-least/m,
    );
    const { scheduler: _missing, ...without } = counted.at(-1)!;
    assert.equal(without.phase, "xsched");
    const partly = summarize(plan, [...counted.slice(0, -1), without], 1);
    assert.equal(partly.arms.at(-1)?.scheduler, undefined);
  });

  it("gives no interval for a single figure", () => {
    const { summary: single } = results(1);
    assert.ok(Number.isNaN(single.lowAlone["bert-low"]?.low));
    assert.ok(!Number.isNaN(single.arms[0]!.latencyMs.p50.low));
  });

  it("counts failures and leaves them out of the percentiles", () => {
    const { plan, measurements } = results(1);
    const failed = measurements.map((found) =>
      found.high
        ? {
            ...found,
            high: { ...found.high, latency: found.high.latency.map((ms, i) => (i < 5 ? NaN : ms)) },
          }
        : found,
    );
    const [first] = summarize(plan, failed, 1).arms;
    assert.deepEqual([first?.samples, first?.failed], [195, 5]);
    assert.ok(Number.isFinite(first?.latencyMs.p99.value));
  });

  it("counts only answers within the time of the high model's schedule", () => {
    const load = {
      ends: Float64Array.of(999, 1000, 1500, 2999, 3000),
      latency: new Float64Array(5),
      failed: 0,
      problems: [],
    };
    assert.deepEqual(within(load, 1000, 3000), {
      answers: 3,
      seconds: 2,
      perSecond: 1.5,
      failed: 0,
      problems: [],
    });
  });
});

describe("the files of a benchmark", () => {
  let folder: string;

  before(() => {
    folder = fs.mkdtempSync(path.join(os.tmpdir(), "bench-report-"));
    writeReport(folder, results(2, 50));
  });

  after(() => {
    fs.rmSync(folder, { recursive: true });
  });

  const rows = (name: string): string[][] =>
    fs
      .readFileSync(path.join(folder, name), "utf8")
      .trimEnd()
      .split("\n")
      .map((line) => line.split(","));

  it("contain every sample, as JSON and as CSV", () => {
    const json = JSON.parse(fs.readFileSync(path.join(folder, "results.json"), "utf8")) as {
      measurements: { phase: string; high?: { latencyMs: number[] } }[];
    };
    const fromJson = json.measurements.flatMap(({ phase, high }) =>
      (high?.latencyMs ?? []).map((ms) => [phase, ms]),
    );
    const [head, ...samples] = rows("samples.csv");
    assert.deepEqual(head, ["round", "arm", "model", "index", "intended_ms", "lag_ms", "latency_ms"]);
    assert.equal(samples.length, 4 * 2 * 50);
    assert.deepEqual(
      samples.map((row) => [row[1], Number(Number(row[6]).toFixed(3))]),
      fromJson,
    );
  });

  it("contain a table with the same columns in every row", () => {
    const summary = rows("summary.csv");
    for (const row of summary) assert.equal(row.length, 8, row.join());
    const p50 = summary.find(
      ([arm, , measure, statistic]) =>
        arm === "triton" && measure === "high latency over standalone" && statistic === "p50",
    );
    assert.equal(Number(p50?.[5]), 3);
  });
});

describe("a chart that can't be drawn", () => {
  let folder: string;

  beforeEach(() => {
    folder = fs.mkdtempSync(path.join(os.tmpdir(), "bench-report-"));
  });

  afterEach(() => {
    fs.rmSync(folder, { recursive: true });
  });

  it("finds every figure on disk already, and costs no other file", () => {
    const found = results(2, 50);
    fs.writeFileSync(path.join(folder, "latency.svg"), "an earlier run's");
    const tables = ["results.json", "samples.csv", "summary.csv"];
    let before: string[] = [];
    const { files, undrawn } = writeReport(folder, found, {
      ...CHARTS,
      "latency.svg": () => {
        before = tables.map((name) => fs.readFileSync(path.join(folder, name), "utf8"));
        throw new Error("no axis");
      },
    });
    assert.deepEqual(undrawn, ["latency.svg could not be drawn: no axis"]);
    assert.deepEqual(
      files.map((file) => path.basename(file)),
      [...tables, "throughput.svg"],
    );
    assert.deepEqual(fs.readdirSync(folder).sort(), [...tables, "throughput.svg"]);
    const complete = fs.mkdtempSync(path.join(folder, "complete-"));
    writeReport(complete, found);
    assert.deepEqual(
      before,
      tables.map((name) => fs.readFileSync(path.join(complete, name), "utf8")),
    );
  });

  it("is a warning after the results, and the exit status says it", () => {
    const said: string[] = [];
    const { log, error } = console;
    console.log = console.error = (text: string) => said.push(text);
    let status: number[];
    try {
      const broken = (): string => {
        throw new Error("no axis");
      };
      status = [
        conclude(folder, results(2, 50)),
        conclude(folder, results(2, 50), { ...CHARTS, "throughput.svg": broken }),
      ];
    } finally {
      Object.assign(console, { log, error });
    }
    assert.deepEqual(status, [0, 1]);
    assert.equal(said.length, 3);
    assert.match(said[1]!, /standalone[^]*results\.json/);
    assert.match(
      said[2]!,
      /^warning: throughput\.svg could not be drawn: no axis\nAll figures are kept in the files above\.$/,
    );
  });
});

describe("the charts of a benchmark", () => {
  const found = results();

  it("show the distribution as a line that never falls, from 0 to 100 %", () => {
    fc.assert(
      fc.property(
        // More than a line has points; by default, fast-check makes no more than twelve.
        fc.array(fc.double({ min: 0.001, max: 1e5, noNaN: true }), {
          ...{ minLength: 1, maxLength: 2000, size: "max" as const },
        }),
        (values) => {
          const ascending = sorted(Float64Array.from(values));
          const points = distribution(ascending);
          assert.deepEqual(points[0], [ascending[0], 0]);
          assert.deepEqual(points.at(-1), [ascending.at(-1), 100]);
          for (const [index, [x, y]] of points.entries()) {
            const [x0, y0] = points[index - 1] ?? [0, 0];
            assert.ok(x >= x0 && y >= y0);
          }
        },
      ),
      { numRuns: runs(50) },
    );
  });

  it("have title, units, and a legend that names every arm", () => {
    const svg = latencyChart(found);
    for (const text of [
      "Latency of bert-high next to bert-low",
      "Latency in milliseconds",
      "Requests answered in this time (%)",
      ...ARMS,
    ]) {
      assert.ok(svg.includes(`>${text}<`), text);
    }
    const bars = throughputChart(found) ?? "";
    for (const text of [
      "Throughput of bert-low next to bert-high",
      "Requests answered per second",
      "bert-low alone",
      "80.0/s",
    ]) {
      assert.ok(bars.includes(`>${text}<`), text);
    }
    assert.ok(!(svg + bars).includes("NaN"));
  });

  it("distinguish the arms without colour", () => {
    const strokes = [...latencyChart(found).matchAll(/<path d="M[^"]*" fill="none"[^>]*>/g)]
      .map(([line]) => line)
      .filter((line) => line.length > 500)
      .map(
        (line) =>
          `${/stroke-width="([^"]*)"/.exec(line)?.[1] ?? "1"} ${/stroke-dasharray="([^"]*)"/.exec(line)?.[1] ?? "solid"}`,
      );
    assert.equal(strokes.length, 4);
    assert.equal(new Set(strokes).size, 4, strokes.join("; "));
  });

  it("say if nothing was scheduled", () => {
    const run = { ...found.run, scheduler: { active: false, says: "a process" } };
    assert.match(latencyChart({ ...found, run }), /XSched was inactive/);
    assert.match(resultText({ ...found, run }), /inactive or not asked: a process/);
  });

  it("have axes whose round labels enclose all values", () => {
    const value = fc.double({ min: 0.01, max: 1e5, noNaN: true });
    fc.assert(
      fc.property(value, value, (one, other) => {
        const [least, most] = [Math.min(one, other), Math.max(one, other)];
        for (const { low, high, values } of [linearTicks(least, most), logTicks(least, most)]) {
          assert.ok(low <= least && high >= most, `${low} ≤ ${least}, ${most} ≤ ${high}`);
          assert.deepEqual([values[0], values.at(-1)], [low, high]);
          assert.ok(values.length <= 30, `${values.length} labels`);
        }
      }),
      {
        // The axis began at 100000, above both.
        examples: [[99999.99999999991, 99999.99999999991]],
      },
    );
    assert.deepEqual(linearTicks(9.7, 20.3).values, [8, 10, 12, 14, 16, 18, 20, 22]);
    assert.deepEqual(logTicks(0.7, 130).values, [0.5, 1, 2, 5, 10, 20, 50, 100, 200]);
  });
});
