import * as assert from "node:assert/strict";
import { spawn, spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { once } from "node:events";
import * as fs from "node:fs";
import * as os from "node:os";
import * as path from "node:path";

const SCRIPT = fs.readFileSync(path.resolve(__dirname, "../../../components/host/stop-server.sh"), "utf8");

describe("the removal of a server whose folder is gone", () => {
  let folder: string;

  beforeEach(() => {
    folder = fs.mkdtempSync(path.join(os.tmpdir(), "xsched-stop-"));
  });

  afterEach(() => {
    fs.rmSync(folder, { recursive: true });
  });

  it("removes its units, of the machine and of the user, and no others", () => {
    const host = path.join(folder, "the host's folder");
    const identity = createHash("sha256").update(host).digest("hex").slice(0, 12);
    const machine = path.join(folder, "system");
    const user = path.join(folder, "home/.config/systemd/user");
    const programs = path.join(folder, "bin");
    for (const made of [machine, user, programs]) fs.mkdirSync(made, { recursive: true });
    const ours = [`xsched-triton-${identity}-server.service`, `xsched-triton-${identity}-spot.service`];
    for (const unit of ours) fs.writeFileSync(path.join(machine, unit), "");
    fs.writeFileSync(path.join(machine, "xsched-triton-000000000000-server.service"), "");
    fs.writeFileSync(path.join(user, ours[0] ?? ""), "");
    const calls = path.join(folder, "calls");
    fs.writeFileSync(path.join(programs, "systemctl"), `#!/bin/sh\necho "$*" >>'${calls}'\n`, {
      mode: 0o755,
    });
    fs.writeFileSync(path.join(programs, "sudo"), '#!/bin/sh\nshift\nexec "$@"\n', { mode: 0o755 });

    const { status, stderr } = spawnSync("sh", ["-c", SCRIPT, "stop-server.sh", `${host}/bin/agent`], {
      encoding: "utf8",
      env: {
        PATH: `${programs}:/usr/bin:/bin`,
        HOME: path.join(folder, "home"),
        XSCHED_TRITON_UNITS: machine,
      },
    });
    assert.equal(status, 0, stderr);
    assert.deepEqual(fs.readdirSync(machine), ["xsched-triton-000000000000-server.service"]);
    assert.deepEqual(fs.readdirSync(user), []);
    assert.deepEqual(fs.readFileSync(calls, "utf8").trim().split("\n"), [
      ...ours.flatMap((unit) => [`--system disable --quiet --now ${unit}`, "--system daemon-reload"]),
      `--user disable --quiet --now ${ours[0]}`,
      "--user daemon-reload",
    ]);
    assert.match(stderr, /^removing .*-server\.service: what it starts is gone$/m);
  });

  it("ends its gateway, and no other", async () => {
    const host = path.join(folder, "the host's folder");
    const start = (config: string) =>
      spawn("sh", ["-c", "echo; sleep 60; :", "haproxy", "-f", config], {
        stdio: ["ignore", "pipe", "ignore"],
      });
    const ours = start(`${host}/gateway/current/haproxy.cfg`);
    const other = start(`${host}/gateway/current/haproxy.cfg.bak`);
    try {
      await Promise.all([once(ours.stdout, "data"), once(other.stdout, "data")]);
      const ended = once(ours, "exit");
      const { status, stderr } = spawnSync("sh", ["-c", SCRIPT, "stop-server.sh", `${host}/bin/agent`], {
        encoding: "utf8",
        env: { PATH: "/usr/bin:/bin", HOME: folder, XSCHED_TRITON_UNITS: folder },
      });
      assert.equal(status, 0, stderr);
      await ended;
      assert.equal(other.exitCode, null);
      assert.match(stderr, new RegExp(`^ending process ${String(ours.pid)}: it still runs`, "m"));
    } finally {
      ours.kill("SIGKILL");
      other.kill("SIGKILL");
    }
  });
});
