import * as assert from "node:assert/strict";
import * as fs from "node:fs";

import { StandInCloud } from "./standInCloud";
import { type Finished, requireSuccess, Workspace } from "./workspace";
import { skipWithout } from "./needs";

const STACK = "dev";

describe("the policy pack on the real engine, on a stand-in for AWS", function () {
  let cloud: StandInCloud | undefined;
  let workspace: Workspace;

  const preview = (...words: string[]): Promise<Finished> =>
    workspace.npm("preview", "--", STACK, "--non-interactive", "--policy-pack", "policy", ...words);

  const set = (where: readonly string[], value: unknown): void => {
    workspace.edit(STACK, (config) => {
      config.setIn(["config", ...where], config.createNode(value));
    });
  };

  before(async function () {
    skipWithout(this, StandInCloud.missing);
    cloud = new StandInCloud();
    workspace = await Workspace.create();
    await workspace.initStack(STACK, {});
    await cloud.serve(workspace);
    set(["xsched-triton:host", "user"], "root");
    set(["xsched-triton:host", "adminCidrs"], ["203.0.113.7/32"]);
    set(["xsched-triton:runtime"], { kind: "process" });
    set(["xsched-triton:models", "0", "upload"], "s3");
    set(["xsched-triton:monitoring"], { kind: "cloudwatch", notify: ["ops@example.com"] });
  });

  after(async () => {
    if (cloud === undefined) return;
    await cloud.stop();
    workspace.remove();
  });

  it("accepts the stack dev", async () => {
    const { code, output } = await preview();
    requireSuccess({ code, output });
    assert.match(output, /xsched-triton@v0\.1\.0/);
    assert.doesNotMatch(output, /\[mandatory\]/);
    // Most values are unknown in the first preview. Each policy looks at the others.
    assert.doesNotMatch(output, /can't run policy/);
  });

  it("refuses a gateway without TLS on every address, and accepts one with TLS", async () => {
    set(["xsched-triton:server"], { address: "0.0.0.0" });
    set(["xsched-triton:gateway"], { tls: "off" });
    const { code, output } = await preview();
    assert.notEqual(code, 0);
    assert.match(output, /\[mandatory\].*tls-only.*triton-gateway/);
    assert.match(output, /tls: "off"\s+allowed: selfSigned or certificate, as 0\.0\.0\.0 may be reached/);
    set(["xsched-triton:gateway"], { tls: "selfSigned" });
    const protectedOne = await preview();
    requireSuccess(protectedOne);
    assert.doesNotMatch(protectedOne.output, /\[mandatory\]/);
  });

  it("refuses SSH from everywhere, even if the stack config spells it out", async () => {
    set(["xsched-triton:host", "adminCidrs"], ["0.0.0.0/0"]);
    set(["xsched-triton:host", "allowPublicSsh"], true);
    const { code, output } = await preview();
    assert.notEqual(code, 0);
    assert.match(output, /\[mandatory\].*no-public-ingress.*machine-access/);
    assert.match(
      output,
      /ingress\[0\]\.cidrBlocks\[0\]: "0\.0\.0\.0\/0" on port 22\s+allowed: ranges that someone can/,
    );
    assert.match(output, /fix: give only the ranges that need it/);
  });

  it("allows it if its own config does, too", async () => {
    // Not policy.json: Node would take that for the pack.
    const config = workspace.file("public-ssh.json");
    fs.writeFileSync(config, JSON.stringify({ "no-public-ingress": { publicPorts: [22] } }));
    const { code, output } = await preview("--policy-pack-config", config);
    requireSuccess({ code, output });
  });
});
