import * as assert from "node:assert/strict";

import fc from "fast-check";

import { bootstrap } from "../../../scripts/bench/statistics/bootstrap";
import { mean, percentile, sorted } from "../../../scripts/bench/statistics/percentile";
import { random } from "../../../scripts/bench/statistics/random";
import { runs } from "../../properties";

const samples = fc
  .array(fc.double({ min: 0, max: 1e6, noNaN: true }), { minLength: 1, maxLength: 300, size: "max" })
  .map((values) => sorted(Float64Array.from(values)));
const shares = fc.integer({ min: 0, max: 1000 }).map((thousandths) => thousandths / 1000);

describe("a percentile", () => {
  it("is the smallest sample that the requested share of samples does not exceed", () => {
    fc.assert(
      fc.property(samples, shares, (ascending, share) => {
        const value = percentile(ascending, share);
        const atMost = ascending.filter((sample) => sample <= value).length;
        const less = ascending.filter((sample) => sample < value).length;
        assert.ok(ascending.includes(value));
        assert.ok(atMost >= share * ascending.length - 1e-6);
        assert.ok(less < Math.max(share * ascending.length, 1));
      }),
    );
  });

  it("never decreases as the share grows", () => {
    fc.assert(
      fc.property(samples, shares, shares, (ascending, one, other) => {
        const [less, more] = [Math.min(one, other), Math.max(one, other)];
        assert.ok(percentile(ascending, less) <= percentile(ascending, more));
      }),
    );
  });

  it("agrees with counting by hand", () => {
    const hundred = Float64Array.from({ length: 100 }, (_, index) => index + 1);
    assert.equal(percentile(hundred, 0.5), 50);
    assert.equal(percentile(hundred, 0.9), 90);
    assert.equal(percentile(hundred, 0.99), 99);
    // 0.07 × 100 is 7.000000000000001 in binary.
    assert.equal(percentile(hundred, 0.07), 7);
    assert.equal(percentile(hundred, 1), 100);
    assert.equal(percentile(hundred, 0), 1);
    assert.ok(Number.isNaN(percentile(new Float64Array(), 0.5)));
  });

  it("leaves out failures", () => {
    assert.deepEqual([...sorted(Float64Array.of(3, NaN, 1, NaN, 2))], [1, 2, 3]);
  });
});

describe("random numbers", () => {
  it("are independent of a small seed from the first one on", () => {
    const [seeds, places] = [500, 20];
    const means = new Float64Array(places);
    for (let seed = 0; seed < seeds; seed++) {
      const next = random(seed);
      for (let place = 0; place < places; place++) means[place]! += next() / seeds;
    }
    // The first one was close to 1, and so a Poisson schedule began with a gap of up to 22 periods.
    for (const [place, average] of means.entries()) {
      assert.ok(Math.abs(average - 0.5) < 0.15, `number ${place} has a mean of ${average}`);
    }
  });
});

describe("the bootstrap", () => {
  const draw = (seed: number, count: number, spread: number): Float64Array => {
    const next = random(seed);
    return Float64Array.from({ length: count }, () => 10 + spread * (next() + next() + next() - 1.5));
  };

  it("gives the figure of all samples, within its interval", () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 1e6 }), fc.integer({ min: 1, max: 6 }), (seed, rounds) => {
        const one = Array.from({ length: rounds }, (_, round) => draw(seed + round, 40, 2));
        const { median } = bootstrap(
          { one },
          (arms) => ({ median: percentile(arms.one, 0.5) }),
          random(seed),
        );
        assert.equal(
          median.value,
          percentile(sorted(Float64Array.from(one.flatMap((part) => [...part]))), 0.5),
        );
        assert.ok(median.low <= median.value && median.value <= median.high, JSON.stringify(median));
      }),
      { numRuns: runs(15) },
    );
  });

  it("has intervals that contain the true value about as often as they claim", () => {
    const runs = 150;
    let held = 0;
    for (let run = 0; run < runs; run++) {
      const one = [draw(1000 + run, 60, 3)];
      const { average } = bootstrap({ one }, (arms) => ({ average: mean(arms.one) }), random(run));
      if (average.low <= 10 && 10 <= average.high) held++;
    }
    // 95 % of 150 are 142.5, with a standard deviation of 2.7.
    assert.ok(held >= 132, `${held} of ${runs} intervals hold the true mean`);
    assert.ok(held < runs, "some do not");
  });

  it("does not widen a ratio by a change that affects all arms of a round alike", () => {
    const drift = [1, 3, 0.5, 2, 1.5];
    const one = drift.map((factor, round) => draw(round, 200, 0.1).map((value) => value * factor));
    const two = drift.map((factor, round) => draw(50 + round, 200, 0.1).map((value) => value * factor * 1.5));
    const { average, ratio } = bootstrap(
      { one, two },
      (arms) => ({ average: mean(arms.two), ratio: mean(arms.two) / mean(arms.one) }),
      random(3),
    );
    assert.ok(average.high / average.low > 1.5, `mean ${JSON.stringify(average)}`);
    assert.ok(ratio.high / ratio.low < 1.02, `ratio ${JSON.stringify(ratio)}`);
    assert.ok(ratio.low <= 1.5 && 1.5 <= ratio.high);
  });

  it("is reproducible by its seed", () => {
    const run = () =>
      bootstrap({ one: [draw(1, 50, 2)] }, (arms) => ({ p90: percentile(arms.one, 0.9) }), random(9));
    assert.deepEqual(run(), run());
  });
});
