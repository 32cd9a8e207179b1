import * as assert from "node:assert/strict";

import { summarize } from "../../../scripts/prove/shares";

describe("the shares of npm run prove", () => {
  it("count the answers from the begin to the end, in windows of 2 s", () => {
    const load = {
      // One during the warm-up, three in the first window, one in the second, one after the end.
      ends: Float64Array.of(900, 1000, 2000, 2999, 3000, 5000),
      latency: Float64Array.of(100, 4, 6, 8, 10, 100),
      failed: 1,
      problems: ["status 500"],
    };
    assert.deepEqual(summarize(load, 1000, 5000), {
      perSecond: 1,
      windows: [1.5, 0.5],
      p50Ms: 6,
      problems: ["status 500"],
    });
  });

  it("leave out a last window that is not whole", () => {
    const load = {
      ends: Float64Array.of(500, 2500),
      latency: Float64Array.of(1, 1),
      failed: 0,
      problems: [],
    };
    assert.deepEqual(summarize(load, 0, 3000).windows, [0.5]);
  });
});
