import * as assert from "node:assert/strict";
import { createHash, randomBytes } from "node:crypto";
import * as fs from "node:fs";
import * as path from "node:path";

import { MODELS } from "./examples";
import { missingHaproxy } from "./haproxy";
import { SshServer } from "./sshServer";
import { TritonClient } from "./triton";
import { freePorts } from "./ports";
import { changesIn, requireSuccess, Workspace } from "./workspace";
import { skipWithout } from "./needs";
import { until } from "../until";

const STACK = "edge";

/** The ssh processes of this machine that forward ports to our server. */
function tunnels(port: number): string[] {
  return fs
    .readdirSync("/proc")
    .filter((entry) => /^\d+$/.test(entry))
    .map((entry) => {
      try {
        return fs.readFileSync(`/proc/${entry}/cmdline`, "utf8").split("\0").join(" ");
      } catch {
        return ""; // It has ended meanwhile.
      }
    })
    .filter(
      (line) =>
        line.startsWith("ssh ") && line.includes("ExitOnForwardFailure") && line.includes(` -p ${port} `),
    );
}

describe("a stack on an existing machine over SSH", function () {
  let ssh: SshServer;
  let workspace: Workspace;
  let triton: TritonClient;
  let deployed = "";

  const up = () => workspace.npm("up", "--", STACK, "--yes", "--skip-preview", "--non-interactive");

  before(async function () {
    skipWithout(this, SshServer.available ? undefined : "sshd is not installed (Debian: openssh-server)");
    ssh = await SshServer.start();
    const [httpPort, grpcPort, metricsPort] = await freePorts(3);
    triton = new TritonClient(httpPort!);
    workspace = await Workspace.create();
    await workspace.initStack(STACK, { "xsched-triton:host.privateKey": ssh.privateKey });
    workspace.edit(STACK, (config) => {
      for (const [key, port] of Object.entries({ httpPort, grpcPort, metricsPort })) {
        config.setIn(["config", "xsched-triton:server", key], port);
      }
      const host = {
        kind: "ssh",
        address: "127.0.0.1",
        port: ssh.port,
        user: ssh.user,
        hostKey: ssh.hostKey,
        directory: workspace.file("remote host"),
      };
      for (const [key, value] of Object.entries(host)) {
        config.setIn(["config", "xsched-triton:host", key], value);
      }
    });
  });

  after(async () => {
    if (!SshServer.available) return;
    triton.close();
    await workspace.npm("down", "--", STACK, "--yes", "--skip-preview");
    ssh.stop();
    workspace.remove();
  });

  it("refuses a host whose key is not the pinned one, with an error", async () => {
    workspace.edit(STACK, (config) => {
      config.setIn(["config", "xsched-triton:host", "hostKey"], ssh.otherHostKey);
    });
    const { code, output } = await up();
    workspace.edit(STACK, (config) => {
      config.setIn(["config", "xsched-triton:host", "hostKey"], ssh.hostKey);
    });
    assert.notEqual(code, 0);
    assert.match(output, /host key/i);
    assert.ok(!output.includes(ssh.privateKey.split("\n")[1]!), "the private key is not printed");
    assert.ok(!fs.existsSync(workspace.file("remote host")));
  });

  it("refuses a host that runs no commands for the user, before anything is created", async () => {
    ssh.force("echo Backups only");
    const { code, output } = await up();
    ssh.force(undefined);
    assert.notEqual(code, 0);
    const message =
      /error: the host 127\.0\.0\.1 runs no commands for .*, so nothing is changed on it; it answers: Backups only$/m;
    assert.match(output, message);
    assert.match(output, /fix: let the user run any: .* without command= before the key/);
    const state = await workspace.run("pulumi", ["stack", "export", "--stack", STACK]);
    assert.ok(!state.output.includes("triton-host-directory"), "nothing is in the state");
    assert.ok(!fs.existsSync(workspace.file("remote host")));
  });

  it("serves every model, and prints the table", async () => {
    const { code, output } = await up();
    requireSuccess({ code, output });
    for (const model of MODELS) {
      assert.ok(await triton.isReady(model));
      const { status, body } = await triton.infer(model, await triton.exampleRequest(model));
      assert.equal(status, 200, body);
    }
    assert.match(output, /^realtime +1 +255 +yes$/m);
    assert.match(output, new RegExp(`ssh -p ${ssh.port} -N -L`));
    const state = await workspace.run("pulumi", ["stack", "export", "--stack", STACK]);
    const key = ssh.privateKey.split("\n").filter((line) => line !== "" && !line.startsWith("-----END"));
    assert.ok(key.length > 2);
    for (const line of key) assert.ok(!state.output.includes(line), "the state holds no key in clear");
  });

  it("changes nothing when nothing has changed", async () => {
    const { code, output } = await up();
    requireSuccess({ code, output });
    assert.deepEqual(changesIn(output), []);
  });

  it("changes a priority live, shows the load, and is measured through a tunnel of the benchmark's own", async () => {
    const config = async (model: string) => (await triton.request("GET", `/v2/models/${model}/config`)).body;
    const before = await config("batch");
    const changed = await workspace.npm("set-priority", "--", STACK, "batch", "-7");
    requireSuccess(changed);
    assert.match(changed.output, /^The config of the stack "edge" still has -255\./m);
    assert.deepEqual(await triton.priority("batch"), { triton: "PRIORITY_MIN", xsched: "-7" });
    const back = await workspace.npm("set-priority", "--", STACK, "batch", "min");
    requireSuccess(back);
    assert.equal(await config("batch"), before);

    const watched = await workspace.npm("status", "--", STACK, "--watch", "1", "--screens", "1");
    requireSuccess(watched);
    assert.match(watched.output, /^realtime +255 +yes/m);

    const short = ["--samples", "8", "--rounds", "1", "--rate", "20", "--warm-up", "0.1", "--out", "result"];
    const words = ["--high", "realtime", "--low", "batch", "--protocol", "grpc", ...short];
    const { code, output } = await workspace.npm("bench", "--", STACK, ...words);
    requireSuccess({ code, output });
    assert.match(output, /^xsched +8 /m);
    assert.equal(await config("batch"), before);
    assert.ok(
      !(changed.output + output).includes(ssh.privateKey.split("\n")[1]!),
      "the private key is not printed",
    );
    // A tunnel may stay open for a moment.
    await until(
      () => tunnels(ssh.port),
      () => tunnels(ssh.port).length === 0,
    );
  });

  it("a machine that cannot be reached is named, before anything is changed or removed", async () => {
    const down = (...flags: string[]) =>
      workspace.npm("down", "--", STACK, "--yes", "--skip-preview", ...flags);
    const state = async () => (await workspace.run("pulumi", ["stack", "export", "--stack", STACK])).output;
    const before = await state();
    await ssh.turnOff();
    workspace.edit(STACK, (config) => {
      config.setIn(["config", "xsched-triton:models", 1, "priority"], -7);
    });
    const changed = await up();
    assert.notEqual(changed.code, 0);
    assert.deepEqual(
      [...new Set(changed.output.match(/error: .*/g))],
      [
        `error: the host 127.0.0.1 cannot be reached on port ${ssh.port} (host.address, host.port), so nothing is changed ` +
          `on it: connect ECONNREFUSED 127.0.0.1:${ssh.port}`,
      ],
    );
    assert.match(changed.output, new RegExp(`fix: check .*: ssh -p ${ssh.port} ${ssh.user}@127.0.0.1`));
    assert.deepEqual(changesIn(changed.output), []);

    const removed = await down();
    assert.notEqual(removed.code, 0);
    assert.match(
      removed.output,
      /cannot be reached on port \d+, so nothing was removed: .*Connection refused/,
    );
    assert.match(removed.output, /If it is gone for good: npm run down -- edge --host-is-gone/);
    const resources = (text: string) =>
      (JSON.parse(text) as { deployment: { resources: unknown[] } }).deployment;
    assert.equal(resources(await state()).resources.length, resources(before).resources.length);

    await ssh.turnOn();
    const present = await down("--host-is-gone");
    assert.notEqual(present.code, 0);
    assert.match(present.output, /is not gone: 127.0.0.1 answers/);
    for (const model of MODELS) assert.ok(await triton.isReady(model), model);
  });

  it("a machine that does not let us in is an error, also if nothing is to be changed", async () => {
    ssh.lockOut();
    const { code, output } = await up();
    ssh.letIn();
    assert.notEqual(code, 0);
    assert.match(output, /error: the host cannot be logged in to, .*Permission denied \(publickey/);
    assert.match(output, /fix: check host.user, host.privateKey and host.hostKey/);
  });

  it("touches only the model whose priority or files change", async () => {
    workspace.edit(STACK, (config) => {
      config.setIn(["config", "xsched-triton:models", 1, "priority"], -7);
    });
    const { output } = await up();
    assert.deepEqual(
      changesIn(output)
        .map(({ name }) => name)
        .sort(),
      ["triton-models-interactive", "triton-server-models"],
    );
    assert.deepEqual(await triton.priority("interactive"), { triton: "PRIORITY_MIN", xsched: "-7" });

    fs.appendFileSync(workspace.file("examples/models/batch/1/model.py"), "\n# another state of the files\n");
    const files = await up();
    assert.deepEqual(
      changesIn(files.output)
        .map(({ name }) => name)
        .sort(),
      ["triton-models-batch", "triton-models-batch/files", "triton-server-models"],
    );
    assert.ok(await triton.isReady("batch"));
  });

  it("refuses files for which the host has no room before they are sent, and sends them once there is some", async function () {
    const uploads = workspace.file("remote host/uploads");
    const left = path.join(uploads, "gone/0123456789abcdef");
    fs.mkdirSync(left, { recursive: true });
    fs.writeFileSync(workspace.file("examples/models/batch/1/weights"), Buffer.alloc(3 << 20));
    const full = await workspace.run("mount", ["-t", "tmpfs", "-o", "size=1m", "tmpfs", uploads]);
    skipWithout(this, full.code === 0 ? undefined : "this user may not mount a disk");
    const { code, output } = await up();
    requireSuccess(await workspace.run("umount", ["--lazy", uploads]));
    assert.notEqual(code, 0);
    assert.match(
      output,
      /error: there is no room for the files of the model batch: until they are stored, they take 4 MB on the disk .*uploads, and \d MB are free\n.*fix: free some space on .*uploads/,
    );
    assert.deepEqual(changesIn(output), []);
    assert.ok(await triton.isReady("batch"));
    requireSuccess(await up());
    assert.ok(await triton.isReady("batch"));
    assert.ok(!fs.existsSync(left), "what an interrupted deployment has left is gone");
  });

  it("lets clients in through the gateway, and its outputs tell them how", async function () {
    skipWithout(this, missingHaproxy);
    const token = randomBytes(32).toString("hex");
    const [http, grpc, metrics] = await freePorts(3);
    workspace.edit(STACK, (config) => {
      config.setIn(["config", "xsched-triton:server", "address"], "0.0.0.0");
      const upstreamPorts = { http, grpc, metrics };
      const gateway = { tls: "selfSigned", upstreamPorts, tokens: [{ name: "team" }] };
      config.setIn(["config", "xsched-triton:gateway"], config.createNode(gateway));
    });
    await workspace.setSecret(STACK, "xsched-triton:gateway.tokens[0].token", token);
    const { code, output } = await up();
    requireSuccess({ code, output });
    assert.match(output, /^ {2}TOKEN=… {3}# the token of team$/m);
    assert.match(output, /^ {2}curl -s --cacert gateway\.pem -H "authorization: Bearer \$TOKEN" https:/m);
    const shown = await workspace.run("pulumi", ["stack", "output", "--json", "--stack", STACK]);
    const { endpoints, gateway } = JSON.parse(shown.output) as {
      readonly endpoints: { readonly http: string };
      readonly gateway: { readonly certificate: string };
    };
    const { hostname, port } = new URL(endpoints.http);
    assert.equal(hostname, "127.0.0.1");
    for (const [given, expected] of [
      [token, 200],
      [undefined, 401],
    ] as const) {
      const client = new TritonClient(Number(port), false, 60, { ca: gateway.certificate, token: given });
      assert.equal((await client.request("GET", "/v2/models/realtime")).status, expected);
      client.close();
    }
    const state = await workspace.run("pulumi", ["stack", "export", "--stack", STACK]);
    for (const secret of [token, createHash("sha256").update(token).digest("hex")])
      assert.ok(!state.output.includes(secret), "neither the token nor its hash is in clear in the state");
    assert.ok(!output.includes(token));
    assert.deepEqual(changesIn((await up()).output), []);
  });

  it("`npm run down` leaves nothing on the machine", async () => {
    deployed = (await workspace.run("pulumi", ["stack", "export", "--stack", STACK])).output;
    const { code, output } = await workspace.npm("down", "--", STACK, "--yes", "--skip-preview");
    requireSuccess({ code, output });
    assert.equal(await triton.isReady("realtime"), false);
    assert.ok(!fs.existsSync(workspace.file("remote host")));
  });

  it("`npm run down -- --host-is-gone` forgets a machine that is gone, with all that was on it", async () => {
    // The state of a deployment, and nothing left of it.
    fs.writeFileSync(workspace.file("deployed.json"), deployed);
    requireSuccess(
      await workspace.run("pulumi", ["stack", "import", "--stack", STACK, "--file", "deployed.json"]),
    );
    await ssh.turnOff();
    const words = ["down", "--", STACK, "--yes", "--skip-preview"];
    assert.notEqual((await workspace.npm(...words)).code, 0);
    const { code, output } = await workspace.npm(...words, "--host-is-gone");
    requireSuccess({ code, output });
    assert.match(output, /Forgetting what was deployed on the host of the stack "edge"/);
    const state = await workspace.run("pulumi", ["stack", "export", "--stack", STACK]);
    const { deployment } = JSON.parse(state.output) as { deployment: { resources?: unknown[] } };
    assert.deepEqual(deployment.resources ?? [], []);
  });
});
