import * as assert from "node:assert/strict";

import { rateOf } from "../../../scripts/prove/training";

describe("the training of npm run prove", () => {
  it("has as many steps a second as lie between the first end and the last", () => {
    assert.equal(rateOf([100, 350, 600, 1100]), 3);
  });

  it("has no rate where fewer than two steps ended", () => {
    assert.equal(rateOf([]), 0);
    assert.equal(rateOf([100]), 0);
  });
});
