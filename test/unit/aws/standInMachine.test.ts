import assert from "node:assert/strict";
import * as fs from "node:fs";
import * as net from "node:net";
import * as os from "node:os";
import * as path from "node:path";

import { allocateAddress, boot, bootReport } from "../../fixtures/standInCloud/machine";

describe("a machine of the stand-in for AWS", () => {
  const { HOME, SHLVL, STAND_IN_CLOUD } = process.env;
  let world: string;

  const set = (environment: Record<string, string | undefined>): void => {
    for (const [name, value] of Object.entries(environment)) {
      if (value === undefined) Reflect.deleteProperty(process.env, name);
      else process.env[name] = value;
    }
  };

  beforeEach(() => {
    world = fs.mkdtempSync(path.join(os.tmpdir(), "xsched-stand-in-"));
    set({ STAND_IN_CLOUD: world });
  });

  afterEach(() => {
    set({ HOME, SHLVL, STAND_IN_CLOUD });
    fs.rmSync(world, { recursive: true });
  });

  it("boots with the stand-in's AWS CLI, whatever the user's shell puts on PATH", async () => {
    const cli = path.join(world, "aws");
    fs.writeFileSync(cli, "#!/bin/sh\n", { mode: 0o755 });
    fs.writeFileSync(path.join(world, ".bashrc"), `PATH=${world}:$PATH\n`);
    // As where no shell started the tests.
    set({ HOME: world, SHLVL: undefined });
    const bootcmd = [["bash", "-c", "command -v aws >&2; exit 1"]];
    const userData = `#cloud-config\n${JSON.stringify({ bootcmd })}`;
    await boot("i-1", { userData, profile: "p", authorizedKey: "k", addresses: [], subnetId: "", port: 22 });
    const found = path.resolve(__dirname, "../../fixtures/standInCloud/machine/aws");
    assert.equal(bootReport("i-1"), `i-1: no sshd runs\n${found}\n`);
  });

  it("gets no address on which a test that was killed still listens", async () => {
    const address = allocateAddress();
    const server = net.createServer();
    await new Promise<void>((resolve) => server.listen(0, address, resolve));
    fs.rmSync(path.join(world, "addresses"), { recursive: true });
    try {
      assert.notEqual(allocateAddress(), address);
    } finally {
      await new Promise((resolve) => server.close(resolve));
    }
    fs.rmSync(path.join(world, "addresses"), { recursive: true });
    assert.equal(allocateAddress(), address);
  });
});
