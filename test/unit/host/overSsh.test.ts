import * as assert from "node:assert/strict";
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import * as fs from "node:fs";
import * as http from "node:http";
import * as net from "node:net";
import * as os from "node:os";
import * as path from "node:path";

import { keyOf, overSsh } from "../../../components/host/overSsh";
import { SshServer } from "../../engine/sshServer";
import { loadScript } from "../../scripts";

interface Tunnel {
  readonly addresses: readonly string[];
  readonly close: () => Promise<void>;
}

const { openTunnel } = loadScript("over-ssh.mjs") as {
  readonly openTunnel: (ssh: object, key: string, addresses: readonly string[]) => Promise<Tunnel>;
};

const NAME = "i-0123456789abcdef0";

interface Finished {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

async function end(child: ChildProcess, input = ""): Promise<Finished> {
  let [stdout, stderr] = ["", ""];
  child.stdout?.setEncoding("utf8").on("data", (text: string) => (stdout += text));
  child.stderr?.setEncoding("utf8").on("data", (text: string) => (stderr += text));
  child.stdin?.on("error", () => undefined).end(input);
  const [code] = (await once(child, "close")) as [number | null];
  return { code, stdout, stderr };
}

describe("a command over SSH, through a proxy", function () {
  let server: SshServer;
  let folder: string;
  let forward: string;

  before(async function () {
    if (!SshServer.available) this.skip();
    server = await SshServer.start();
  });

  after(() => {
    if (SshServer.available) server.stop();
  });

  beforeEach(() => {
    folder = fs.mkdtempSync(path.join(os.tmpdir(), "xsched-triton-over-ssh-"));
    const plugin = path.resolve(__dirname, "../../fixtures/standInCloud/cli/session-manager-plugin");
    forward = `${plugin} 127.0.0.1 ${server.port}`;
  });

  afterEach(() => {
    assert.deepEqual(
      fs.readdirSync(folder).filter((name) => name.startsWith("tmp.")),
      [],
      "keys are left",
    );
    fs.rmSync(folder, { recursive: true });
  });

  function start(
    line: string,
    { proxyCommand = forward, hostKey = server.hostKey, attempts = 1, environment = {} } = {},
  ): ChildProcess {
    const { user, privateKey } = server;
    const ssh = { address: NAME, user, hostKey, proxyCommand };
    const [program = "", ...words] = overSsh(ssh, line, attempts);
    const env = { ...process.env, ...keyOf({ privateKey }), TMPDIR: folder, RETRY_SECONDS: "0.1" };
    return spawn(program, words, { env: { ...env, ...environment } });
  }

  it("gets its input, and ends as the command does", async () => {
    const { code, stdout, stderr } = await end(start("cat; echo progress >&2; exit 7"), "a\0b");
    assert.deepEqual({ code, stdout, stderr }, { code: 7, stdout: "a\0b", stderr: "progress\n" });
  });

  it("shows no key to what it runs", async () => {
    const seen = path.join(folder, "environment");
    const proxyCommand = `sh -c 'env >${seen}; exec ${forward}'`;
    const { code, stdout } = await end(start("env", { proxyCommand }));
    assert.equal(code, 0);
    for (const environment of [stdout, fs.readFileSync(seen, "utf8")]) {
      assert.match(environment, /^PATH=/m);
      assert.doesNotMatch(environment, /XSCHED_TRITON_SSH_KEY|PRIVATE KEY/);
    }
  });

  it("waits for a machine that boots, without losing its input", async () => {
    const mark = path.join(folder, "booted");
    const proxyCommand = `if [ -e ${mark} ]; then exec ${forward}; fi; : >${mark}; echo TargetNotConnected >&2; false`;
    // ssh puts exec before it.
    const booting = `sh -c '${proxyCommand}'`;
    const { code, stdout } = await end(start("cat", { proxyCommand: booting, attempts: 2 }), "input");
    assert.deepEqual([code, stdout], [0, "input"]);
  });

  it("is told who answers instead, and sends nothing there", async () => {
    const { code, stderr } = await end(start("cat", { hostKey: server.otherHostKey, attempts: 9 }));
    assert.equal(code, 255);
    assert.match(stderr, /^error: i-0123456789abcdef0 has another host key than the stack gave it/m);
  });

  for (const [what, says, error, fix] of [
    [
      "the plugin is missing",
      "SessionManagerPlugin is not found. Please refer to SessionManager Documentation",
      "the AWS CLI of this machine has no Session Manager plugin",
      "install it: https://docs.aws.amazon.com/",
    ],
    [
      "no session may be started",
      "An error occurred (AccessDeniedException) when calling the StartSession operation",
      `AWS does not let this machine start a session on ${NAME}`,
      "allow ssm:StartSession on the instance",
    ],
    [
      "there are no credentials",
      'Unable to locate credentials. You can configure credentials by running "aws login".',
      "the AWS CLI of this machine has no valid credentials",
      "aws sso login",
    ],
  ] as const) {
    it(`says at once that ${what}`, async () => {
      const count = path.join(folder, "count");
      const proxyCommand = `sh -c 'echo >>${count}; cat ${folder}/says >&2; exit 254'`;
      fs.writeFileSync(path.join(folder, "says"), `${says}\n`);
      const { code, stderr } = await end(start("true", { proxyCommand, attempts: 9 }));
      assert.equal(code, 255);
      assert.ok(stderr.includes(`error: ${error}\nfix: ${fix}`), stderr);
      assert.equal(fs.readFileSync(count, "utf8"), "\n", "one attempt");
    });
  }

  it("says at once that the AWS CLI is missing", async () => {
    const proxyCommand = "aws ssm start-session";
    const bare = path.join(folder, "bin");
    fs.mkdirSync(bare);
    for (const name of ["bash", "sh", "ssh", "cat", "mktemp", "rm", "sleep"]) {
      const found = (process.env.PATH ?? "").split(":").find((each) => fs.existsSync(path.join(each, name)));
      fs.symlinkSync(path.join(found ?? "", name), path.join(bare, name));
    }
    const { code, stderr } = await end(
      start("true", { proxyCommand, environment: { PATH: bare }, attempts: 9 }),
    );
    assert.equal(code, 255);
    assert.match(stderr, /^error: this machine has no AWS CLI, which leads to i-/m);
  });

  it("gives up on a tunnel that never answers", async () => {
    const proxyCommand = "sleep 1000";
    const { code, stderr } = await end(
      start("true", { proxyCommand, environment: { CONNECT_SECONDS: "1" }, attempts: 2 }),
    );
    assert.equal(code, 255);
    assert.match(stderr, /^error: there is no way to i-0123456789abcdef0 by: sleep 1000$/m);
    assert.match(stderr, /^fix: check that the machine runs/m);
  });

  it("fails when its tunnel ends before the command does", async () => {
    const pid = path.join(folder, "pid");
    const child = start("echo started; sleep 1000", {
      proxyCommand: `sh -c 'echo $$ >${pid}; exec ${forward}'`,
      attempts: 9,
    });
    child.stdout?.once("data", () => process.kill(Number(fs.readFileSync(pid, "utf8"))));
    const { code, stderr } = await end(child);
    assert.equal(code, 255);
    assert.match(stderr, /^error: the connection to i-\S+ was lost while a command ran there/m);
  });

  describe("that opens a tunnel, as the benchmark does", () => {
    let triton: http.Server;
    let address: string;

    before(async () => {
      triton = http.createServer((_, response) => response.end("ready"));
      await new Promise<void>((resolve) => triton.listen(0, "127.0.0.1", resolve));
      address = `127.0.0.1:${(triton.address() as net.AddressInfo).port}`;
    });

    after(() => triton.close());

    const open = (proxyCommand: string): Promise<Tunnel> => {
      const { user, hostKey, privateKey } = server;
      return openTunnel({ address: NAME, port: 22, user, hostKey, proxyCommand }, privateKey, [address]);
    };

    it("reaches the server, until it is closed", async () => {
      const { addresses, close } = await open(forward);
      const get = (): Promise<Response> =>
        fetch(`http://${addresses[0] ?? ""}`, { headers: { connection: "close" } });
      assert.equal(await (await get()).text(), "ready");
      await close();
      await assert.rejects(get());
    });

    it("says what the way to it lacks", async () => {
      await assert.rejects(
        open("sh -c 'echo SessionManagerPlugin is not found. >&2; exit 255'"),
        /no tunnel to i-0123456789abcdef0: SessionManagerPlugin is not found\./,
      );
    });

    it("ends with what it goes through", async () => {
      const pid = path.join(folder, "pid");
      const { addresses, close } = await open(`sh -c 'echo $$ >${pid}; exec ${forward}'`);
      process.kill(Number(fs.readFileSync(pid, "utf8")));
      const answers = async (): Promise<boolean> => {
        try {
          await fetch(`http://${addresses[0] ?? ""}`, { headers: { connection: "close" } });
          return true;
        } catch {
          return false;
        }
      };
      while (await answers()) await new Promise((resolve) => setTimeout(resolve, 20));
      await close();
    });
  });
});
