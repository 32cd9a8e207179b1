import assert from "node:assert/strict";

import { Autoscaler } from "../../../scripts/simulate/autoscaler";

const OPTIONS = { least: 1, target: 0.5, startSeconds: 60 };

/** Pods after each look, 15 s apart. */
function course(scaler: Autoscaler, shares: readonly number[], most = 1000, from = 0): number[] {
  return shares.map((share, index) => {
    scaler.look(from + 15 * index, share, most);
    return scaler.pods;
  });
}

describe("a simulated autoscaler", () => {
  it("takes as many pods as the share asks for, and leaves small differences alone", () => {
    assert.deepEqual(course(new Autoscaler(OPTIONS, 10), [0.54, 0.6, 0.6]), [10, 12, 12]);
  });

  it("does not count pods that don't serve yet", () => {
    const scaler = new Autoscaler(OPTIONS, 10);
    assert.deepEqual(course(scaler, [0.75, 0.75, 0.75, 0.75]), [15, 15, 15, 15]);
    assert.equal(scaler.ready, 10);
    scaler.look(60, 0.5, 1000);
    assert.equal(scaler.ready, 15);
  });

  it("at most doubles in five minutes, or adds four", () => {
    const often = Array.from({ length: 20 }, () => 1);
    assert.equal(Math.max(...course(new Autoscaler(OPTIONS, 10), often)), 20);
    assert.equal(Math.max(...course(new Autoscaler({ ...OPTIONS, target: 0.1 }, 1), often)), 5);
  });

  it("takes no more than the cluster has", () => {
    assert.deepEqual(course(new Autoscaler(OPTIONS, 10), [1], 13), [13]);
  });

  it("goes down after five minutes, by a tenth a minute, and never below the least", () => {
    const scaler = new Autoscaler(OPTIONS, 20);
    const quiet = Array.from({ length: 20 }, () => 0);
    assert.deepEqual(course(scaler, [0.5]), [20]);
    assert.ok(course(scaler, quiet.slice(1), 1000, 15).every((pods) => pods === 20));
    assert.deepEqual(course(scaler, [0, 0, 0, 0, 0], 1000, 300), [18, 18, 18, 18, 16]);
    assert.equal(
      course(
        scaler,
        Array.from({ length: 400 }, () => 0),
        1000,
        400,
      ).at(-1),
      1,
    );
  });
});
