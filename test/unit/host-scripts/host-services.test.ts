import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { spawnSync } from "node:child_process";
import * as fs from "node:fs";
import * as http from "node:http";
import type { AddressInfo } from "node:net";
import * as path from "node:path";

import { Machine, until } from "./machine";

describe("the services of a host", () => {
  let machine: Machine;
  let identity: string;

  beforeEach(() => {
    machine = new Machine();
    identity = createHash("sha256").update(machine.directory).digest("hex").slice(0, 12);
  });

  afterEach(() => {
    machine.remove();
  });

  const unit = (name: string): string => `xsched-triton-${identity}-${name}.service`;

  it("are the requested ones, and no others", async () => {
    await machine.succeed("install-services.sh", ["boot", "spot", "metrics"]);
    assert.deepEqual(machine.units(), ["boot", "metrics", "resume", "spot"].map(unit));
    assert.deepEqual(
      machine.orders().filter((order) => order.startsWith("restart")),
      ["boot", "resume", "spot", "metrics"].map((name) => `restart ${unit(name)}`),
    );
    await machine.succeed("install-services.sh", ["boot"]);
    assert.deepEqual(machine.units(), ["boot", "resume"].map(unit));
    await machine.succeed("remove-services.sh");
    assert.deepEqual(machine.units(), []);
    assert.ok(machine.orders().includes(`disable --quiet --now ${unit("boot")}`));
  });

  it("are only touched if they have changed or do not run", async () => {
    await machine.succeed("install-services.sh", ["boot", "spot"]);
    machine.orders();
    await machine.succeed("install-services.sh", ["boot", "spot"]);
    assert.deepEqual(machine.orders(), []);
    fs.rmSync(path.join(machine.folder, `active-${unit("spot")}`));
    await machine.succeed("install-services.sh", ["boot", "spot"]);
    assert.deepEqual(machine.orders(), [`restart ${unit("spot")}`]);
  });

  it("pass systemd's own check, and run in the right order", async () => {
    await machine.succeed("install-services.sh", ["boot", "spot", "metrics"]);
    const boot = machine.unit(unit("boot"));
    assert.match(boot, /^Before=docker\.service$/m);
    assert.match(boot, /^After=.* dlami-nvme\.service$/m);
    assert.ok(
      boot.includes(`ExecStart=/bin/bash "${machine.file("bin/boot-host.sh")}" "${machine.directory}"\n`),
    );
    assert.match(machine.unit(unit("resume")), new RegExp(`^After=docker\\.service ${unit("boot")}$`, "m"));
    // Not as root: the deploying user could not stop the processes that it starts.
    for (const name of ["resume", "spot", "metrics"]) assert.match(machine.unit(unit(name)), /^User=\w+$/m);
    // A server that they started survives them.
    for (const name of ["resume", "spot"]) assert.match(machine.unit(unit(name)), /^KillMode=process$/m);
    for (const name of machine.units()) {
      const { stdout, stderr, error } = spawnSync(
        "systemd-analyze",
        ["verify", "--man=no", path.join(machine.folder, "units", name)],
        { encoding: "utf8" },
      );
      assert.equal(error, undefined);
      const said = `${stdout}${stderr}`.split("\n").filter((line) => line.includes(`${name}:`));
      assert.deepEqual(said, []);
    }
  });

  it("are refused on a machine without systemd", async () => {
    const { status, stderr } = await machine.run("install-services.sh", ["sport"]);
    assert.notEqual(status, 0);
    assert.match(stderr, /^error: 'sport' is not a service\nfix: choose from boot, spot, metrics$/m);
  });
});

describe("the notice of a spot interruption", function () {
  this.timeout(120_000);
  let machine: Machine;
  let metadata: http.Server;
  /** Requests with a valid token, without one, and for a token. */
  let seen: { polls: number; refused: number; tokens: number };
  let token: string;
  let answer: string | undefined;

  beforeEach(async () => {
    machine = new Machine();
    seen = { polls: 0, refused: 0, tokens: 0 };
    token = "first";
    answer = undefined;
    metadata = http.createServer((request, response) => {
      if (request.method === "PUT" && request.url === "/latest/api/token") {
        assert.equal(request.headers["x-aws-ec2-metadata-token-ttl-seconds"], "21600");
        seen.tokens++;
        response.end(token);
      } else if (request.headers["x-aws-ec2-metadata-token"] !== token) {
        seen.refused++;
        response.writeHead(401).end();
      } else {
        assert.equal(request.url, "/latest/meta-data/spot/instance-action");
        seen.polls++;
        response.writeHead(answer === undefined ? 404 : 200).end(answer ?? "<html>404</html>");
      }
    });
    await new Promise<void>((resolve) => metadata.listen(0, "127.0.0.1", resolve));
    const { port } = metadata.address() as AddressInfo;
    Object.assign(machine.environment, {
      XSCHED_TRITON_METADATA: `http://127.0.0.1:${port}`,
      XSCHED_TRITON_SPOT_SECONDS: "0.1",
      XSCHED_TRITON_SPOT_GIVE_UP: "2",
    });
    for (const script of ["drain-server.sh", "resume-host.sh"]) {
      fs.writeFileSync(machine.file("bin", script), `echo "${script} $1" >>"$MACHINE/done"\n`);
    }
  });

  afterEach(async () => {
    metadata.closeAllConnections();
    await new Promise((resolve) => metadata.close(resolve));
    machine.remove();
  });

  const done = (): string[] => {
    const file = path.join(machine.folder, "done");
    return fs.existsSync(file) ? fs.readFileSync(file, "utf8").trim().split("\n") : [];
  };

  it("drains the server once, and restarts it if the machine stays", async () => {
    const watcher = machine.start("watch-spot.sh");
    let said = "";
    watcher.stderr?.on("data", (chunk: Buffer) => (said += chunk.toString()));
    try {
      await until(10, () => seen.polls > 3);
      assert.deepEqual(done(), []);
      assert.equal(seen.tokens, 1);
      answer = '{"action":"stop","time":"2026-11-25T10:00:00Z"}';
      await until(10, () => done().length > 0);
      const before = seen.polls;
      await until(10, () => seen.polls > before + 5);
      assert.deepEqual(done(), [`drain-server.sh ${machine.directory}`]);
      assert.match(said, /AWS takes this instance back: {"action":"stop"/);
      answer = undefined;
      await until(10, () => done().length > 1);
      assert.deepEqual(done().slice(1), [`resume-host.sh ${machine.directory}`]);
    } finally {
      watcher.kill();
    }
  });

  it("is still awaited after a stop, with a new token, and through an outage of the service", async () => {
    const watcher = machine.start("watch-spot.sh");
    try {
      await until(10, () => seen.polls > 0);
      token = "second";
      await until(10, () => seen.refused > 0);
      const polls = seen.polls;
      await until(10, () => seen.polls > polls);
      assert.equal(seen.tokens, 2);
      const { port } = metadata.address() as AddressInfo;
      metadata.closeAllConnections();
      await new Promise((resolve) => metadata.close(resolve));
      await new Promise((resolve) => setTimeout(resolve, 500));
      await new Promise<void>((resolve) => metadata.listen(port, "127.0.0.1", resolve));
      answer = '{"action":"terminate"}';
      await until(10, () => done().length > 0);
      assert.equal(watcher.exitCode, null);
    } finally {
      watcher.kill();
    }
  });
});
