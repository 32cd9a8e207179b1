import * as assert from "node:assert/strict";
import { spawnSync } from "node:child_process";

const ROOT = process.cwd();

/** A program, as Pulumi starts one, in which outputs wait for outputs, two for each, in 40 steps. */
const PROGRAM = `
  require("./components/compile.cjs");
  const pulumi = require("@pulumi/pulumi");
  const { isInitializedAsync } = require("@pulumi/pulumi/runtime/closure/v8Hooks");
  const { reject } = require("./components/settings/rejection");

  process.on("unhandledRejection", ({ message }) => {
    console.log(message);
    process.exit(3);
  });
  isInitializedAsync().then(() => {
    const answer = new Promise((resolve) => setTimeout(resolve, 10));
    let output = pulumi.output(answer.then(() => reject(new Error("there is no such bucket"))));
    for (let step = 0; step < 40; step++) output = pulumi.all([output, output]).apply(([first]) => first);
  });
`;

describe("a rejection that many outputs wait for", () => {
  it("ends the program at once", () => {
    const { status, stdout, signal } = spawnSync(process.execPath, ["--eval", PROGRAM], {
      cwd: ROOT,
      encoding: "utf8",
      timeout: 240_000,
      killSignal: "SIGKILL",
    });
    assert.deepEqual(
      { status, signal, stdout },
      { status: 3, signal: null, stdout: "there is no such bucket\n" },
    );
  });
});
