import * as assert from "node:assert/strict";

import { MODELS } from "./examples";
import { freePorts } from "./ports";
import { StandInCloud } from "./standInCloud";
import { TritonClient } from "./triton";
import { changesIn, type Finished, Workspace } from "./workspace";

const STACK = "dev";
const INSTANCE = "aws:ec2/instance:Instance";

describe("the stack dev, on a stand-in for AWS", function () {
  let cloud: StandInCloud | undefined;
  let workspace: Workspace;
  let triton: TritonClient;

  const npm = (command: string, ...words: string[]): Promise<Finished> =>
    workspace.npm(command, "--", STACK, "--non-interactive", ...words);

  const up = (): Promise<Finished> => npm("up", "--yes", "--skip-preview");

  const set = (where: readonly string[], value: unknown): void => {
    workspace.edit(STACK, (config) => {
      config.setIn(["config", ...where], value);
    });
  };

  const changed = (output: string): string[] =>
    [...new Set(changesIn(output).map(({ name, done }) => `${name} ${done}`))].sort();

  before(async function () {
    if (StandInCloud.missing !== undefined) {
      console.log(`      ${StandInCloud.missing}`);
      this.skip();
    }
    cloud = new StandInCloud();
    workspace = await Workspace.create();
    await workspace.initStack(STACK, {});
    cloud.serve(workspace);
    const [httpPort, grpcPort, metricsPort] = await freePorts(3);
    triton = new TritonClient(httpPort!);
    for (const [key, port] of Object.entries({ httpPort, grpcPort, metricsPort })) {
      set(["xsched-triton:server", key], port);
    }
    // Its sshd is one of this machine, and there is neither a GPU nor Docker on it.
    set(["xsched-triton:host", "user"], "root");
    set(["xsched-triton:runtime"], { kind: "process" });
  });

  after(async () => {
    if (cloud === undefined) return;
    triton.close();
    await npm("down", "--yes", "--skip-preview");
    await cloud.stop();
    workspace.remove();
  });

  it("needs one value, and says which", async () => {
    const { code, output } = await npm("preview");
    assert.notEqual(code, 0);
    assert.match(output, /1 fault in the settings of stack dev; nothing was changed/);
    assert.match(output, /fix: pulumi config set --path 'xsched-triton:host\.adminCidrs\[0\]' "\$\(curl/);
    set(["xsched-triton:host", "adminCidrs"], ["127.0.0.1/32"]);
  });

  it("is shown in a preview, in which nothing is made", async () => {
    const { code, output } = await npm("preview");
    assert.equal(code, 0, output);
    assert.match(output, /aws:ec2:Instance\s+machine-instance\s+create/);
    assert.deepEqual(cloud?.everything(), []);
  });

  it("serves every model", async () => {
    const { code, output } = await up();
    assert.equal(code, 0, output);
    for (const model of MODELS) assert.ok(await triton.isReady(model), model);
    assert.equal(cloud?.everything(INSTANCE).length, 1);
  });

  it("changes nothing when nothing has changed", async () => {
    const { code, output } = await up();
    assert.equal(code, 0, output);
    assert.deepEqual(changed(output), []);
    assert.match(output, /Resources:\s+\d+ unchanged/);
  });

  it("touches only the model whose priority changes", async () => {
    set(["xsched-triton:models", "1", "priority"], 90);
    const { code, output } = await up();
    assert.equal(code, 0, output);
    assert.deepEqual(changed(output), ["models-interactive updated", "server-interactive updated"]);
  });
});
