import assert from "node:assert/strict";

import { outputsOf } from "../../components/outputs";

describe("outputs of the program", () => {
  it("are those that the stack has, in their order", () => {
    assert.deepEqual(Object.entries(outputsOf({ host: 1, aws: undefined, models: [], url: "" })), [
      ["host", 1],
      ["models", []],
      ["url", ""],
    ]);
  });
});
