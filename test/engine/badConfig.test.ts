import * as assert from "node:assert/strict";
import * as fs from "node:fs";

import { TOGETHER } from "../fixtures/mistakes";
import { changesIn, Workspace } from "./workspace";

/** test/unit/program/refusedConfig.test.ts tests each mistake by itself. */
describe("a mistake in the stack config, on the real engine", () => {
  let workspace: Workspace;

  const up = async (): Promise<string> => {
    const { code, output } = await workspace.npm("up");
    assert.notEqual(code, 0, output);
    assert.deepEqual(changesIn(output), []);
    assert.ok(!fs.existsSync(workspace.file(".local/hosts")), "nothing is made on the host");
    assert.doesNotMatch(output, /\n\s+at .*\.[jt]s:\d+/, "no stack trace");
    return output.replace(/^ +/gm, "");
  };

  before(async () => {
    workspace = await Workspace.create();
  });

  after(() => {
    workspace.remove();
  });

  it("reports all mistakes together, and creates nothing", async () => {
    const file = workspace.file("Pulumi.local.yaml");
    const good = fs.readFileSync(file, "utf8");
    for (const { make } of TOGETHER) workspace.edit("local", make);
    const output = await up();
    for (const { told } of TOGETHER) assert.ok(output.includes(told), output);
    fs.writeFileSync(file, good);
  });

  it("says where a model's own config.pbtxt is malformed", async () => {
    fs.appendFileSync(workspace.file("examples/models/batch/config.pbtxt"), "max_batch_size 3\n");
    assert.match(await up(), /batch\/config\.pbtxt:\d+:\d+: /);
  });
});
