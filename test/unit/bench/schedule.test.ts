import * as assert from "node:assert/strict";

import fc from "fast-check";

import { ARRIVALS, schedule, scheduleFor } from "../../../scripts/bench/load/schedule";
import { random } from "../../../scripts/bench/statistics/random";
import { runs } from "../../properties";

const rates = fc.double({ min: 0.1, max: 10_000, noNaN: true });
const seeds = fc.integer({ min: 0, max: 2 ** 31 - 1 });

describe("a schedule of arrivals", () => {
  it("has the requested number, in order, and is reproducible by its seed", () => {
    fc.assert(
      fc.property(fc.constantFrom(...ARRIVALS), fc.nat(500), rates, seeds, (arrivals, count, rate, seed) => {
        const times = schedule(arrivals, count, rate, random(seed));
        assert.equal(times.length, count);
        times.forEach((time, index) => {
          assert.ok(Number.isFinite(time) && time >= (times[index - 1] ?? 0), `${time} at ${index}`);
        });
        assert.deepEqual(schedule(arrivals, count, rate, random(seed)), times);
      }),
    );
  });

  it("starts at once and has equal gaps if it is fixed", () => {
    assert.deepEqual([...schedule("fixed", 4, 10, random(1))], [0, 100, 200, 300]);
  });

  it("has exponentially distributed gaps with the requested mean if arrivals are Poisson", () => {
    const count = 50_000;
    const times = schedule("poisson", count, 20, random(7));
    const gaps = times.map((time, index) => time - (times[index - 1] ?? 0));
    const mean = gaps.reduce((sum, gap) => sum + gap, 0) / count;
    // Five standard errors: 50 ms / √50000 = 0.22 ms.
    assert.ok(Math.abs(mean - 50) < 1.1, `mean gap ${mean} ms`);
    for (const ms of [10, 50, 150]) {
      const longer = gaps.filter((gap) => gap > ms).length / count;
      assert.ok(
        Math.abs(longer - Math.exp(-ms / 50)) < 0.012,
        `${longer} of the gaps are longer than ${ms} ms`,
      );
    }
  });

  it("differs with another seed", () => {
    assert.notDeepEqual(schedule("poisson", 10, 10, random(1)), schedule("poisson", 10, 10, random(2)));
  });

  it("for a length of time has the requested rate, ends in time, and is never empty", () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 0, max: 1e6 }),
        fc.double({ min: 1, max: 1e4, noNaN: true }),
        (seed, ms) => {
          const times = scheduleFor(ms, 100, random(seed));
          assert.ok(times.length > 0);
          assert.deepEqual(times, times.toSorted());
          assert.ok(times[0]! >= 0 && times.at(-1)! < ms);
          assert.deepEqual(times, scheduleFor(ms, 100, random(seed)));
        },
      ),
      { numRuns: runs(100) },
    );
    // 20,000 on average, with a standard deviation of 141.
    const { length } = scheduleFor(200_000, 100, random(3));
    assert.ok(Math.abs(length - 20_000) < 600, `${length}`);
  });
});
