import assert from "node:assert/strict";
import { once } from "node:events";
import * as fs from "node:fs";
import * as net from "node:net";
import * as os from "node:os";
import * as path from "node:path";

import { loadScript } from "../../scripts";

type Variables = Record<string, string | undefined>;
const { withoutDeadAgent } = loadScript("ssh-agent.mjs") as {
  withoutDeadAgent: (environment: Variables) => Promise<Variables>;
};

describe("the variable of the SSH agent", () => {
  let folder = "";

  before(() => {
    folder = fs.mkdtempSync(path.join(os.tmpdir(), "xsched-triton-agent-"));
  });

  after(() => {
    fs.rmSync(folder, { recursive: true });
  });

  it("stays unset, and stays while there is an agent", async () => {
    assert.deepEqual(await withoutDeadAgent({}), {});
    assert.deepEqual(await withoutDeadAgent({ SSH_AUTH_SOCK: "" }), {});
    const file = path.join(folder, "alive");
    const agent = net.createServer().listen(file);
    await once(agent, "listening");
    assert.deepEqual(await withoutDeadAgent({ SSH_AUTH_SOCK: file }), {});
    agent.close();
  });

  it("goes where the agent has gone, with its socket or without", async () => {
    const left = path.join(folder, "left");
    fs.writeFileSync(left, "");
    for (const file of [left, path.join(folder, "gone")]) {
      assert.deepEqual(await withoutDeadAgent({ SSH_AUTH_SOCK: file }), { SSH_AUTH_SOCK: undefined });
    }
  });
});
