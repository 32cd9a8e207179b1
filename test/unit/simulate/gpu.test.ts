import assert from "node:assert/strict";

import { random } from "../../../scripts/bench/statistics/random";
import { waitingShare } from "../../../scripts/simulate/cluster";
import { Gpu, type GpuOptions, type Service } from "../../../scripts/simulate/gpu";

/** Long enough for means that are within 3 % of the truth, with these seeds. */
const SECONDS = 400_000;

const exponential: Service = (next) => -Math.log(1 - next());
const equal: Service = () => 1;

const OPTIONS: GpuOptions = {
  sharing: "priorities",
  models: 1,
  service: equal,
  slowdown: 1,
  batchYield: 1,
  batchWeight: 0,
};

/** Runs a GPU whose requests take a second each, and gives each model's mean time in Triton. */
function run(
  options: Partial<GpuOptions>,
  rates: readonly number[],
  batch = false,
): { gpu: Gpu; times: number[] } {
  const gpu = new Gpu({ ...OPTIONS, models: rates.length, ...options }, random(3), () => undefined);
  gpu.run(SECONDS, rates, batch);
  return { gpu, times: gpu.counters.map(({ present, requests }) => present / requests) };
}

function assertNear(value: number, expected: number, what: string): void {
  assert.ok(Math.abs(value / expected - 1) < 0.03, `${what}: ${value}, not about ${expected}`);
}

/** The mean time of each class with preemption: Kleinrock, Queueing Systems II, 3.6. Second moment of the work `square`. */
function preemptive(rates: readonly number[], square: number): number[] {
  return rates.map((_, index) => {
    const above = rates.slice(0, index).reduce((sum, rate) => sum + rate, 0);
    const all = above + (rates[index] ?? 0);
    const residual = (all * square) / 2;
    return 1 / (1 - above) + residual / ((1 - above) * (1 - all));
  });
}

describe("a simulated GPU", () => {
  it("keeps requests as long as M/M/1 and M/D/1 say", () => {
    assertNear(run({ service: exponential }, [0.7]).times[0] ?? 0, 1 / 0.3, "M/M/1");
    assertNear(run({}, [0.7]).times[0] ?? 0, 1 + 0.7 / 2 / 0.3, "M/D/1");
  });

  it("lets those above go first as a preemptive queue does", () => {
    const rates = [0.3, 0.2, 0.25];
    for (const [service, square] of [
      [equal, 1],
      [exponential, 2],
    ] as const) {
      const expected = preemptive(rates, square);
      run({ service }, rates).times.forEach((time, index) => {
        assertNear(time, expected[index] ?? 0, `model ${index}`);
      });
    }
  });

  it("shares without priorities as M/M/1 with processor sharing", () => {
    // One request of each model at a time is worked on, so the sum of all is what has a formula.
    const { gpu } = run({ service: exponential, sharing: "none" }, [0.3, 0.3]);
    const present = gpu.counters.reduce((sum, each) => sum + each.present, 0);
    assertNear(present / SECONDS, 0.6 / 0.4, "requests that are there");
  });

  it("gives batch work what is left, and slows urgent work no more than it is told", () => {
    const { gpu, times } = run({ slowdown: 1.1, batchYield: 0.9 }, [0.5], true);
    assertNear(gpu.batchSeconds / SECONDS, 0.9 * (1 - 0.55), "batch work");
    assertNear(times[0] ?? 0, 1.1 * (1 + 0.55 / 2 / 0.45), "M/D/1 of 1.1 s");
  });

  it("makes batch work a burden without priorities", () => {
    const { gpu, times } = run({ sharing: "none", batchWeight: 1 }, [0.3], true);
    assertNear(times[0] ?? 0, 2 * (1 + 0.6 / 2 / 0.4), "M/D/1 of 2 s");
    assertNear(gpu.batchSeconds / SECONDS, 1 - 0.3, "batch work");
  });
});

describe("the share of their time that requests wait", () => {
  it("is how busy the GPU is if work is exponential, whatever the priorities", () => {
    for (const rates of [[0.6], [0.2, 0.2, 0.2], [0.1, 0.5]]) {
      const { gpu } = run({ service: exponential }, rates);
      const share = waitingShare(gpu.counters, SECONDS);
      // That models are busy independently of each other is not quite so.
      assert.ok(Math.abs(share - 0.6) < 0.05, `${rates.join(", ")}: ${share}`);
    }
  });

  it("is a half at a load of two thirds if work takes equally long", () => {
    assertNear(waitingShare(run({}, [2 / 3]).gpu.counters, SECONDS), 0.5, "share");
  });

  it("is as many times as long as the documentation says, for one in a hundred", () => {
    for (const [service, rate, expected] of [
      [equal, 2 / 3, 5.7],
      [exponential, 0.5, 7.8],
    ] as const) {
      const waits: number[] = [];
      let before = 0;
      const gpu: Gpu = new Gpu({ ...OPTIONS, service }, random(5), () => {
        waits.push((gpu.counters[0]?.queued ?? 0) - before);
        before = gpu.counters[0]?.queued ?? 0;
      });
      gpu.run(SECONDS, [rate], false);
      waits.sort((a, b) => a - b);
      const longest = waits[Math.floor(0.99 * waits.length)] ?? 0;
      assert.ok(Math.abs(longest - expected) < 0.25, `${longest}, not about ${expected}`);
    }
  });

  it("is none without requests", () => {
    assert.equal(waitingShare([{ queued: 0, present: 0 }], 60), 0);
  });
});
