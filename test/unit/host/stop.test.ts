import * as assert from "node:assert/strict";
import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { once } from "node:events";
import * as fs from "node:fs";
import * as os from "node:os";
import * as path from "node:path";

const SCRIPT = fs.readFileSync(path.resolve(__dirname, "../../../components/host/stop.sh"), "utf8");

describe("the removal of a server, or of its gateway, whose folder is gone", () => {
  let folder: string;
  let started: ChildProcess[];

  beforeEach(() => {
    folder = fs.mkdtempSync(path.join(os.tmpdir(), "xsched-stop-"));
    started = [];
  });

  afterEach(() => {
    for (const child of started) child.kill("SIGKILL");
    fs.rmSync(folder, { recursive: true });
  });

  const stop = (host: string, command: string, env: NodeJS.ProcessEnv) =>
    spawnSync("sh", ["-c", SCRIPT, "stop.sh", `${host}/bin/agent`, command], { encoding: "utf8", env });

  /** A program that runs, and whose last argument is a file. */
  const run = async (program: string, file: string): Promise<ChildProcess> => {
    fs.mkdirSync(path.dirname(program), { recursive: true });
    if (!fs.existsSync(program)) fs.copyFileSync(fs.realpathSync(process.execPath), program);
    const child = spawn(program, ["-e", "console.log(1); setInterval(() => {}, 1000)", file], {
      stdio: ["ignore", "pipe", "inherit"],
    });
    started.push(child);
    await once(child.stdout, "data");
    return child;
  };

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

    const { status, stderr } = stop(host, "stop", {
      PATH: `${programs}:/usr/bin:/bin`,
      HOME: path.join(folder, "home"),
      XSCHED_TRITON_UNITS: machine,
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

  for (const command of ["stop", "remove-gateway"]) {
    it(`ends what is its own, and nothing else (${command})`, async () => {
      const host = path.join(folder, "the host's folder");
      const haproxy = path.join(folder, "bin/haproxy");
      const config = `${host}/gateway/current/haproxy.cfg`;
      const gateway = await run(haproxy, config);
      const server = await run(`${host}/runtime/triton/tritonserver`, "");
      const others = [
        await run(haproxy, `${config}.bak`),
        await run(haproxy, `${host} of another/gateway/current/haproxy.cfg`),
        // Somebody reads it.
        await run(path.join(folder, "bin/less"), config),
      ];
      const ours = command === "stop" ? [gateway, server] : [gateway];
      const ended = Promise.all(ours.map((child) => once(child, "exit")));
      const { status, stderr } = stop(host, command, {
        PATH: "/usr/bin:/bin",
        HOME: folder,
        XSCHED_TRITON_UNITS: folder,
      });
      assert.equal(status, 0, stderr);
      await ended;
      for (const child of [...others, ...(command === "stop" ? [] : [server])])
        assert.equal(child.exitCode ?? child.signalCode, null);
      for (const { pid } of ours)
        assert.match(
          stderr,
          new RegExp(`^ending process ${pid}: it still runs from .*, which is gone$`, "m"),
        );
    });

    it(`leaves it to the agent where that is there (${command})`, () => {
      fs.mkdirSync(path.join(folder, "bin"));
      fs.writeFileSync(path.join(folder, "bin/agent"), '#!/bin/sh\necho "asked to $1"\n', { mode: 0o755 });
      assert.equal(stop(folder, command, {}).stdout, `asked to ${command}\n`);
    });
  }
});
