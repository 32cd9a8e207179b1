import * as assert from "node:assert/strict";

import { closeAll } from "../../../scripts/bench/closing";

describe("the end of a benchmark", () => {
  const closing = (failing: string | undefined): { closed: string[]; all: (() => Promise<void>)[] } => {
    const closed: string[] = [];
    const all = ["tunnel", "load", "models"].map((what) => () => {
      closed.push(what);
      return what === failing ? Promise.reject(new Error(`no ${what}`)) : Promise.resolve();
    });
    return { closed, all };
  };

  it("closes everything once, the last one first", async () => {
    const { closed, all } = closing(undefined);
    assert.equal(await closeAll(all), true);
    assert.equal(await closeAll(all), true);
    assert.deepEqual(closed, ["models", "load", "tunnel"]);
  });

  it("says that something could not be closed, or models not be restored, and closes the rest", async () => {
    const { closed, all } = closing("models");
    const said: unknown[] = [];
    const { error } = console;
    console.error = (text: unknown) => said.push(text);
    try {
      assert.equal(await closeAll(all), false);
    } finally {
      console.error = error;
    }
    assert.deepEqual(said, ["no models"]);
    assert.deepEqual(closed, ["models", "load", "tunnel"]);
  });
});
