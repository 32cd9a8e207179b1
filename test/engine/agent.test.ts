import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import * as fs from "node:fs";
import * as http from "node:http";
import * as net from "node:net";
import * as os from "node:os";
import * as path from "node:path";

import * as grpc from "@grpc/grpc-js";

import { agentBundle, resultOf } from "../../components/host/agentCommand";
import { installation } from "../agent";
import { until } from "../until";
import { freePorts } from "./ports";

const root = path.resolve(__dirname, "../..");
const fixtures = path.join(root, "test/fixtures/models");
const REQUIREMENTS = fs.readFileSync(path.join(root, "components/server/triton-requirements.txt"), "utf8");

interface Result {
  readonly status: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

interface Described {
  readonly running: boolean;
  readonly pid: number | null;
  readonly version: string;
  readonly models: readonly {
    readonly name: string;
    readonly version: string;
    readonly priority: number | null;
    readonly ready: boolean;
    readonly reason: string;
  }[];
}

/** Runs a program to its end; resolves when its output is closed, like an SSH session. */
function run(command: string, args: readonly string[], input = ""): Promise<Result> {
  return new Promise((resolve, reject) => {
    const child = spawn(command, args, { stdio: "pipe" });
    let stdout = "";
    let stderr = "";
    child.stdout.on("data", (chunk: Buffer) => (stdout += chunk.toString()));
    child.stderr.on("data", (chunk: Buffer) => (stderr += chunk.toString()));
    child.on("error", reject);
    child.on("close", (status) => {
      resolve({ status, stdout, stderr });
    });
    // A script that fails early does not read its input.
    child.stdin.on("error", () => undefined);
    child.stdin.end(input);
  });
}

function sleep(milliseconds: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, milliseconds));
}

/** What is stored, without the records beside it. */
function entriesOf(store: string): string[] {
  return fs
    .readdirSync(store)
    .filter((name) => !name.startsWith("."))
    .sort();
}

/** The pids of all processes whose executable is below a folder. */
function processesBelow(folder: string): number[] {
  return fs.readdirSync("/proc").flatMap((entry) => {
    if (!/^\d+$/.test(entry)) return [];
    try {
      return fs.readlinkSync(`/proc/${entry}/exe`).startsWith(`${folder}/`) ? [Number(entry)] : [];
    } catch {
      return [];
    }
  });
}

function supervisorPid(directory: string): number {
  return Number(fs.readFileSync(path.join(directory, "server/supervisor"), "utf8").split(" ")[0]);
}

/** Whether a process is running; a zombie is not. */
function alive(pid: number): boolean {
  try {
    return !/^State:\tZ/m.test(fs.readFileSync(`/proc/${pid}/status`, "utf8"));
  } catch {
    return false;
  }
}

/** A host directory with the agent in it, and short names for what the tests do with it. */
class Host {
  readonly directory: string;
  /** The models that are served: digests by name. */
  private readonly served = new Map<string, string>();

  constructor(
    parent: string,
    readonly ports: readonly number[],
    private readonly launcher: readonly string[] = [],
  ) {
    // Spaces and quotes, because users have them.
    this.directory = path.join(parent, "the host's directory");
    fs.mkdirSync(this.directory);
  }

  async setUp(): Promise<string> {
    const [command = "", ...rest] = [...this.launcher, "sh", ...installation(this.directory)];
    const { status, stdout, stderr } = await run(command, rest, agentBundle());
    assert.equal(status, 0, stderr);
    return stdout;
  }

  command(name: string, args: readonly string[] = [], input: unknown = ""): Promise<Result> {
    const [command = "", ...rest] = [...this.launcher, path.join(this.directory, "bin/agent"), name, ...args];
    return run(command, rest, typeof input === "string" ? input : JSON.stringify(input));
  }

  /** Runs a command that must succeed; resolves to what it answers. */
  async succeed(name: string, args: readonly string[] = [], input: unknown = ""): Promise<unknown> {
    const { status, stdout, stderr } = await this.command(name, args, input);
    assert.equal(status, 0, `${name} ${args.join(" ")}: ${stderr}`);
    return stdout === "" ? undefined : resultOf(stdout);
  }

  async fail(name: string, args: readonly string[] = [], input: unknown = ""): Promise<string> {
    const { status, stdout, stderr } = await this.command(name, args, input);
    assert.notEqual(status, 0, `${name} ${args.join(" ")} should fail but printed ${stdout}`);
    assert.match(stderr, /^error: .+$/m);
    assert.match(stderr, /^fix: .+$/m);
    return stderr;
  }

  settings(
    changes: Readonly<Record<string, string | number>> = {},
    args: readonly string[] = [],
  ): Record<string, unknown> {
    const [httpPort, grpcPort, metricsPort] = this.ports;
    return {
      kind: "process",
      ...{ httpPort, grpcPort, metricsPort, address: "127.0.0.1" },
      ...{ exitTimeoutSeconds: 5, loadTimeoutSeconds: 60, logMegabytes: 2, schedulerRequired: "never" },
      ...changes,
      arguments: args,
    };
  }

  install(): Promise<unknown> {
    return this.succeed("install-runtime", [], { requirements: REQUIREMENTS });
  }

  async start(
    changes: Readonly<Record<string, string | number>> = {},
    args: readonly string[] = [],
  ): Promise<number> {
    const answer = (await this.succeed("start", [], this.settings(changes, args))) as {
      pid: number;
      version: string;
      notReady: string[];
    };
    assert.match(answer.version, /^\d+\.\d+\.\d+$/);
    assert.deepEqual(answer.notReady, []);
    return answer.pid;
  }

  /** Stores a variant of the test model. Digests only have to differ, so they contain readable text. */
  store(
    model: string,
    digest: string,
    edit: (config: string) => string = (config) => config,
    source = "scale",
    files = source,
  ): Promise<unknown> {
    const config = fs
      .readFileSync(path.join(fixtures, "scale/config.pbtxt"), "utf8")
      .replace('"scale"', `"${model}"`);
    return this.succeed("store", [], {
      ...{ model, digest, filesDigest: files, config: edit(config) },
      source: path.isAbsolute(source) ? source : path.join(fixtures, source),
    });
  }

  /** What `serve` gets when a model is to be served in this state, or no more, besides the others. */
  wanted(model: string, digest: string | undefined): { models: object[] } {
    const next = new Map(this.served);
    if (digest === undefined) next.delete(model);
    else next.set(model, digest);
    const models = [...next].map(([name, known]) => ({
      ...{ name, digest: known, priority: PRIORITIES[name] ?? 100 },
    }));
    return { models };
  }

  async activate(model: string, digest: string | undefined): Promise<unknown> {
    const answer = await this.succeed("serve", [], this.wanted(model, digest));
    if (digest === undefined) this.served.delete(model);
    else this.served.set(model, digest);
    return answer;
  }

  async describe(): Promise<Described> {
    return (await this.succeed("status")) as Described;
  }

  request(
    method: string,
    target: string,
    body?: unknown,
    agent?: http.Agent,
  ): Promise<{ status: number; body: string }> {
    return new Promise((resolve, reject) => {
      const request = http.request(
        { host: "127.0.0.1", port: this.ports[0], method, path: target, ...(agent ? { agent } : {}) },
        (response) => {
          let text = "";
          response.on("data", (chunk: Buffer) => (text += chunk.toString()));
          response.on("end", () => {
            resolve({ status: response.statusCode ?? 0, body: text });
          });
          response.on("error", reject);
        },
      );
      request.on("error", reject);
      request.end(body === undefined ? undefined : JSON.stringify(body));
    });
  }

  /** Calls a method of Triton's gRPC service. @returns why it was refused; empty if it was not */
  async callGrpc(method: string, message: Buffer): Promise<string> {
    const client = new grpc.Client(`127.0.0.1:${this.ports[1]}`, grpc.credentials.createInsecure());
    const plain = (data: Buffer): Buffer => data;
    try {
      return await new Promise((resolve) => {
        const target = `/inference.GRPCInferenceService/${method}`;
        client.makeUnaryRequest(target, plain, plain, message, (error) => {
          resolve(error?.details ?? "");
        });
      });
    } finally {
      client.close();
    }
  }

  async infer(model: string, value: number, agent?: http.Agent): Promise<number> {
    const { status, body } = await this.request(
      "POST",
      `/v2/models/${model}/infer`,
      { inputs: [{ name: "INPUT", shape: [1, 1], datatype: "FP32", data: [value] }] },
      agent,
    );
    assert.equal(status, 200, body);
    return (JSON.parse(body) as { outputs: { data: number[] }[] }).outputs[0]?.data[0] ?? NaN;
  }

  async serves(model: string): Promise<boolean> {
    try {
      return (await this.request("GET", `/v2/models/${model}/ready`)).status === 200;
    } catch {
      return false;
    }
  }

  /** Shared memory as a process of the server sees it, which may have a /dev/shm of its own. */
  sharedMemory(): string[] {
    const [pid] = processesBelow(path.join(this.directory, "runtime"));
    assert.ok(pid !== undefined, "the server runs");
    const words = fs.readFileSync(`/proc/${pid}/cmdline`, "utf8");
    const prefix =
      /shm-region-prefix-name=([^\0]*)/.exec(words)?.[1] ?? /(xsched-triton-[0-9a-f]+-)/.exec(words)?.[1];
    assert.ok(prefix, "the server names its shared memory");
    const memory = `/proc/${pid}/root/dev/shm`;
    return fs
      .readdirSync(memory)
      .filter((file) => file.startsWith(prefix))
      .map((file) => path.join(memory, file));
  }
}

/** Of the models that have another one than the test model. */
const PRIORITIES: Readonly<Record<string, number>> = { other: -3 };

const factor = (value: number) => (config: string) =>
  config.replace('string_value: "2"', `string_value: "${value}"`);
const priority = (value: number) => (config: string) =>
  config.replace('string_value: "100"', `string_value: "${value}"`);

describe("the agent with a real Triton", () => {
  let parent: string;
  let host: Host;
  let runtime: string;

  before(async () => {
    parent = fs.realpathSync(fs.mkdtempSync(path.join(os.tmpdir(), "xsched-host-")));
    fs.chmodSync(parent, 0o755);
    host = new Host(parent, await freePorts(3));
    runtime = path.join(host.directory, "runtime");
    await host.setUp();
    await host.install();
    await host.start();
  });

  after(async () => {
    // The last test removes the agent; a failure before it must not leave a server.
    if (fs.existsSync(path.join(host.directory, "bin"))) await host.command("stop");
    fs.rmSync(parent, { recursive: true, force: true });
  });

  it("probes a host", async () => {
    const probed = (await host.succeed("probe")) as Record<string, unknown>;
    assert.deepEqual(Object.keys(probed), ["directory", "os", "arch", "glibc", "python", "gpus", "docker"]);
    assert.equal(probed.directory, host.directory);
    assert.equal(probed.arch, "x86_64");
  });

  it("installs nothing twice", async () => {
    const before = fs.statSync(fs.realpathSync(path.join(runtime, "current"))).ctimeMs;
    await host.install();
    assert.equal(fs.statSync(fs.realpathSync(path.join(runtime, "current"))).ctimeMs, before);
    assert.equal(fs.readdirSync(runtime).length, 2);
  });

  it("refuses packages with a wrong hash and keeps nothing of them", async () => {
    const requirements = REQUIREMENTS.replace(/sha256:[0-9a-f]{8}/, "sha256:00000000");
    const message = await host.fail("install-runtime", [], { requirements });
    assert.match(message, /hash/i);
    assert.equal(fs.readdirSync(runtime).length, 2);
  });

  it("starts a server in its own session, without the caller's open files", () => {
    const pid = supervisorPid(host.directory);
    const stat = fs.readFileSync(`/proc/${pid}/stat`, "utf8");
    const [, parentPid, , session, terminal] = stat
      .slice(stat.lastIndexOf(")") + 2)
      .split(" ")
      .map(Number);
    assert.deepEqual([parentPid, session, terminal], [1, pid, 0]);
    for (const descriptor of fs.readdirSync(`/proc/${pid}/fd`)) {
      const file = fs.readlinkSync(`/proc/${pid}/fd/${descriptor}`);
      assert.ok(
        file === "/dev/null" || file.startsWith(host.directory) || file.startsWith("socket:"),
        `descriptor ${descriptor} is ${file}`,
      );
      assert.ok(!file.includes("/locks/"), file);
    }
  });

  it("does nothing when the settings are the same", async () => {
    const pid = (await host.describe()).pid;
    assert.equal(await host.start(), pid);
    assert.equal(await host.start({ loadTimeoutSeconds: 77 }), pid);
  });

  it("stores, activates and serves a model", async () => {
    await host.store("scale", "v1");
    assert.deepEqual(await host.activate("scale", "v1"), { models: [{ name: "scale", version: "1" }] });
    assert.equal(await host.infer("scale", 21), 42);
    const { models } = await host.describe();
    const inputs = [{ name: "INPUT", datatype: "FP32", shape: [-1, -1] }];
    assert.deepEqual(models, [
      {
        ...{
          name: "scale",
          version: "1",
          priority: 100,
          floor: 0,
          weight: 0,
          ready: true,
          reason: "",
          inputs,
        },
        ...{ setAside: false, decoupled: false, sequence: false, ensemble: false },
      },
    ]);
    const entry = path.join(host.directory, "models/store/scale");
    assert.equal(fs.readlinkSync(path.join(host.directory, "models/repository/scale")), "../store/scale/v1");
    assert.equal(
      fs.statSync(path.join(entry, "v1/1/model.py")).ino,
      fs.statSync(path.join(entry, "files-scale/1/model.py")).ino,
    );
  });

  it("does not reload an active model", async () => {
    const config = path.join(host.directory, "models/store/scale/v1/config.pbtxt");
    const { mtimeMs } = fs.statSync(config);
    await host.activate("scale", "v1");
    assert.equal(fs.statSync(config).mtimeMs, mtimeMs);
  });

  it("removes what a crash left in the store, and what no longer serves", async () => {
    const store = path.join(host.directory, "models/store/scale");
    fs.mkdirSync(path.join(store, ".staging-1/model"), { recursive: true });
    await host.store("scale", "v2", priority(7));
    assert.deepEqual(entriesOf(store), ["files-scale", "v1", "v2"]);
    await host.store("scale", "v3", priority(8));
    assert.deepEqual(entriesOf(store), ["files-scale", "v1", "v3"]);
    await host.store("scale", "v1");
  });

  it("copies only a source's model files, readable by everyone", async () => {
    const source = path.join(parent, "source");
    fs.cpSync(path.join(fixtures, "scale"), source, { recursive: true });
    fs.mkdirSync(path.join(source, "1/__pycache__"));
    fs.mkdirSync(path.join(source, ".git"));
    fs.symlinkSync(path.join(fixtures, "scale/1/model.py"), path.join(source, "1/linked.py"));
    fs.chmodSync(path.join(source, "1/model.py"), 0o600);
    await host.store("copied", "v1", undefined, source, "copied");
    const stored = path.join(host.directory, "models/store/copied/v1");
    assert.deepEqual(fs.readdirSync(stored).sort(), ["1", "config.pbtxt"]);
    assert.deepEqual(fs.readdirSync(path.join(stored, "1")).sort(), ["linked.py", "model.py"]);
    assert.ok(fs.lstatSync(path.join(stored, "1/linked.py")).isFile());
    assert.equal(fs.statSync(path.join(stored, "1/model.py")).mode & 0o777, 0o644);
    await host.succeed("remove-model", ["copied"]);
    assert.ok(!fs.existsSync(path.dirname(stored)));
  });

  it("keeps nothing of a model that it cannot store", async () => {
    const entry = { digest: "v1", filesDigest: "f1", config: "" };
    const message = await host.fail("store", [], {
      ...entry,
      ...{ model: "absent", source: path.join(parent, "nowhere") },
    });
    assert.match(message, /not a folder: .*nowhere/);
    assert.ok(!fs.existsSync(path.join(host.directory, "models/store/absent")));
    assert.match(
      await host.fail("store", [], { ...entry, model: "../up", source: parent }),
      /'\.\.\/up' is not a model name/,
    );
  });

  it("replaces a model under traffic without a failed request", async () => {
    const agent = new http.Agent({ keepAlive: true, maxSockets: 32 });
    const failures: string[] = [];
    const seen = new Set<number>();
    const pending = new Set<Promise<void>>();
    let sent = 0;
    // A slow answer does not lower the rate, unless all connections wait for one.
    const timer = setInterval(() => {
      if (pending.size === agent.maxSockets) return;
      const request: Promise<void> = host
        .infer("scale", 1, agent)
        .then(
          (answer) => void seen.add(answer),
          (error: unknown) => void failures.push(String(error)),
        )
        .finally(() => pending.delete(request));
      pending.add(request);
      sent++;
    }, 5);
    try {
      for (const value of [3, 4, 5, 6]) {
        await host.store("scale", `factor${value}`, factor(value));
        await host.activate("scale", `factor${value}`);
        await until(`an answer of factor ${value}`, () => seen.has(value));
      }
    } finally {
      clearInterval(timer);
      await Promise.all(pending);
      agent.destroy();
    }
    assert.deepEqual(failures, []);
    assert.deepEqual([...seen].sort(), [2, 3, 4, 5, 6]);
    assert.ok(sent >= 100, `${sent} requests`);
  });

  const corrupt: readonly (readonly [string, (config: string) => string, string, RegExp])[] = [
    ["code that does not compile", (config) => config, "class (\n", /SyntaxError: invalid syntax/],
    ["a shape that is none", (config) => config.replace("dims: [ -1 ]", "dims: [ 0 ]"), "", /dims|dimension/],
    ["a config that is none", () => "name: {{{", "", /failed to poll|parse|load/],
  ];
  for (const [what, edit, code, reason] of corrupt) {
    it(`keeps what serves when the new version has ${what}`, async () => {
      const source = path.join(parent, "bad");
      fs.cpSync(path.join(fixtures, "scale"), source, { recursive: true });
      if (code) fs.writeFileSync(path.join(source, "1/model.py"), code);
      const link = path.join(host.directory, "models/repository/scale");
      const previous = fs.readlinkSync(link);
      const digest = `bad-${what.replaceAll(" ", "-")}`;
      await host.store("scale", digest, edit, source, `files-${digest}`);
      const message = await host.fail("serve", [], host.wanted("scale", digest));
      assert.match(message, reason);
      assert.match(message, /still serves/);
      assert.equal(fs.readlinkSync(link), previous);
      assert.equal(await host.infer("scale", 1), 6);

      await host.store("fresh", digest, (config) => edit(config), source, `files-${digest}`);
      assert.match(await host.fail("serve", [], host.wanted("fresh", digest)), reason);
      assert.ok(!fs.existsSync(path.join(host.directory, "models/repository/fresh")));
      await host.succeed("remove-model", ["fresh"]);
      assert.equal((await host.request("GET", "/v2/health/ready")).status, 200);
      assert.equal(await host.infer("scale", 1), 6);
      assert.deepEqual(
        (await host.describe()).models.map(({ name, ready }) => [name, ready]),
        [["scale", true]],
      );
    });
  }

  it("serves a good version after a bad one", async () => {
    await host.store("scale", "factor9", factor(9));
    await host.activate("scale", "factor9");
    assert.equal(await host.infer("scale", 1), 9);
    assert.equal((await host.describe()).models[0]?.reason, "");
  });

  it("serves the same models after a crash, however often", async () => {
    await host.store("other", "v1", priority(-3));
    await host.activate("other", "v1");
    for (const round of [1, 2]) {
      const pid = (await host.describe()).pid;
      assert.ok(pid);
      process.kill(pid, "SIGKILL");
      await until(
        `serving after crash ${round}`,
        async () => (await host.serves("scale")) && (await host.serves("other")),
      );
      assert.equal(await host.infer("scale", 1), 9);
      assert.deepEqual(
        (await host.describe()).models.map(({ name, priority: value }) => [name, value]),
        [
          ["other", -3],
          ["scale", 100],
        ],
      );
      // One region for each of the two models; the ones of the killed server are gone.
      assert.equal(host.sharedMemory().length, 2);
    }
  });

  it("lets nobody but the deployment change what it runs, over HTTP and gRPC", async () => {
    const before = (await host.describe()).models.map(({ name }) => name);
    const answer = await host.infer("scale", 1);
    const config = JSON.stringify({ backend: "python", max_batch_size: 0 });
    const code = Buffer.from("import os; os.abort()").toString("base64");
    const attack = { parameters: { config, "file:1/model.py": code } };
    for (const [target, body] of [
      ["/v2/repository/models/evil/load", attack],
      ["/v2/repository/models/scale/load", attack],
      ["/v2/repository/models/scale/unload", {}],
      ["/v2/repository/index", {}],
      ["/v2/logging", { log_file: "/tmp/evil.log" }],
      ["/v2/trace/setting", { trace_file: "/tmp/evil.trace" }],
      ["/v2/systemsharedmemory/region/evil/register", { key: "/evil", byte_size: 1 }],
    ] as const) {
      assert.equal((await host.request("POST", target, body)).status, 403, target);
    }
    // Only the model's name, in field 2: the other fields make no difference to whom Triton lets in.
    const model = Buffer.from([0x12, 5, ...Buffer.from("scale")]);
    for (const method of ["RepositoryModelLoad", "RepositoryModelUnload", "RepositoryIndex", "LogSettings"]) {
      assert.match(await host.callGrpc(method, model), /restricted/, method);
    }
    assert.deepEqual(
      (await host.describe()).models.map(({ name }) => name),
      before,
    );
    assert.equal(await host.infer("scale", 1), answer);
    // The key is on the host, for the same user alone, and no list of processes shows it.
    const file = path.join(host.directory, "server/control-key");
    const key = fs.readFileSync(file, "utf8").trim();
    assert.equal(fs.statSync(file).mode & 0o777, 0o600);
    const { pid } = await host.describe();
    assert.ok(!fs.readFileSync(`/proc/${pid}/cmdline`, "utf8").includes(key));
    const log = fs.readFileSync(path.join(host.directory, "server/logs/triton.log"), "utf8");
    assert.ok(!log.includes(key));
  });

  it("keeps models, logs, locks and tensors from other users of the machine", async () => {
    assert.equal(fs.statSync(host.directory).mode & 0o777, 0o700);
    assert.ok(host.sharedMemory().length > 0);
    // Where the system allows it, the folder is the server's own; elsewhere its files are closed.
    const open = (): string[] =>
      host
        .sharedMemory()
        .filter((file) => (fs.statSync(file).mode & fs.statSync(path.dirname(file)).mode & 0o077) !== 0);
    await until("shared memory for the user alone", () => open().length === 0);
  });

  it("deactivates and removes a model, and only that", async () => {
    assert.match(await host.fail("remove-model", ["other"]), /still active/);
    await host.activate("other", undefined);
    await host.activate("other", undefined);
    assert.equal(await host.serves("other"), false);
    await host.succeed("remove-model", ["other"]);
    await host.succeed("remove-model", ["other"]);
    assert.deepEqual(fs.readdirSync(path.join(host.directory, "models/store")), ["scale"]);
    assert.equal(await host.infer("scale", 1), 9);
  });

  /** Triton finishes the process of a model that was unloaded in its own time. */
  const oneServer = (): Promise<void> =>
    until("a server and the process of its model", () => processesBelow(runtime).length === 2);

  it("loads a model again whose process has ended, and does not touch the server", async () => {
    await oneServer();
    const { pid } = await host.describe();
    const [process_ = 0] = processesBelow(runtime).filter((id) => id !== pid);
    process.kill(process_, "SIGKILL");
    await until("the model serves again", async () => {
      try {
        return (await host.infer("scale", 1)) === 9;
      } catch {
        return false;
      }
    });
    assert.equal((await host.describe()).pid, pid);
    await oneServer();
    assert.ok(!alive(process_));
  });

  it("copes with a supervisor that was killed", async () => {
    const { pid } = await host.describe();
    process.kill(supervisorPid(host.directory), "SIGKILL");
    await sleep(300);
    assert.equal(await host.infer("scale", 1), 9);
    // Another supervisor takes the server over.
    assert.equal(await host.start(), pid);
    assert.ok(alive(supervisorPid(host.directory)));
    assert.equal(await host.infer("scale", 1), 9);
    await oneServer();
  });

  it("starts one server when two ask at the same time", async () => {
    process.kill(supervisorPid(host.directory), "SIGKILL");
    const pids = await Promise.all([host.start(), host.start(), host.start()]);
    assert.equal(new Set(pids).size, 1);
    await oneServer();
  });

  it("restarts for a changed setting, with the models", async () => {
    const { pid } = await host.describe();
    assert.notEqual(await host.start({ exitTimeoutSeconds: 6 }), pid);
    assert.equal(await host.infer("scale", 1), 9);
  });

  it("is drained before the machine stops, and resumed with its models", async () => {
    await host.succeed("drain", ["100"]);
    assert.equal((await host.describe()).running, false);
    assert.equal(processesBelow(runtime).length, 0);
    await host.succeed("drain", ["100"]);
    await host.succeed("resume-host");
    assert.equal(await host.infer("scale", 1), 9);
    const { pid } = await host.describe();
    await host.succeed("resume-host");
    assert.equal((await host.describe()).pid, pid);
  });

  it("reports in Prometheus format whether it and each model are ready", async () => {
    const [port = 0] = await freePorts(1);
    const exporter = spawn(path.join(host.directory, "bin/agent"), ["serve-metrics", String(port)]);
    const metrics = async (): Promise<string> => {
      const answer = await fetch(`http://127.0.0.1:${port}/metrics.txt`).catch(() => undefined);
      if (answer?.ok) assert.match(answer.headers.get("content-type") ?? "", /^text\/plain/);
      return answer?.ok ? answer.text() : "";
    };
    try {
      await until("metrics", async () => (await metrics()).includes("xsched_triton_ready 1"));
      assert.match(
        await metrics(),
        /^# TYPE xsched_triton_model_ready gauge\nxsched_triton_model_ready{model="scale"} 1$/m,
      );
      await host.succeed("ask", ["POST", "/v2/repository/models/scale/unload"]);
      let said = "";
      await until(
        () => said,
        async () => (said = await metrics()).includes("xsched_triton_ready 0"),
      );
      assert.match(said, /^xsched_triton_model_ready{model="scale"} 0$/m);
      await host.succeed("resume-host");
      await until("ready again", async () => (await metrics()).includes("xsched_triton_ready 1"));
    } finally {
      exporter.kill();
    }
  });

  it("goes back to the previous settings when Triton refuses the new ones", async () => {
    const message = await host.fail("start", [], host.settings({}, ["--no-such-flag=1"]));
    assert.match(message, /no-such-flag/);
    // The last lines of the stopped server would hide the reason.
    assert.doesNotMatch(message, /Signal \(15\)|supervisor: stopped/);
    assert.match(message, /runs again with its previous settings/);
    assert.equal(await host.infer("scale", 1), 9);
    const { pid } = await host.describe();
    assert.equal(await host.start({ exitTimeoutSeconds: 6 }), pid);
  });

  it("names each port that is taken and the program that holds it, and keeps serving", async () => {
    const listen = async () => {
      const server = net.createServer();
      await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
      return { server, port: (server.address() as net.AddressInfo).port };
    };
    const foreign = [await listen(), await listen()] as const;
    const [grpcPort, metricsPort] = [foreign[0].port, foreign[1].port];
    const { pid } = await host.describe();
    const message = await host.fail("start", [], host.settings({ grpcPort, metricsPort }));
    const taken = (port: number, key: string) =>
      `the port ${port} \\(${key}\\) is in use by process ${process.pid}: \\S*node[^;\n]{0,120}`;
    assert.match(
      message,
      new RegExp(`^error: ${taken(grpcPort, "grpcPort")}; ${taken(metricsPort, "metricsPort")}$`, "m"),
    );
    assert.match(message, /choose free ports: server\.grpcPort, server\.metricsPort$/m);
    assert.equal((await host.describe()).pid, pid);
    for (const { server } of foreign) await new Promise((resolve) => server.close(resolve));
  });

  it("never mistakes another server at its address for its own", async () => {
    const { pid } = await host.describe();
    process.kill(supervisorPid(host.directory), "SIGKILL");
    process.kill(Number(pid), "SIGKILL");
    const stranger = http.createServer((_, response) => response.end("{}"));
    await until("the port to be free", async () => {
      await new Promise((resolve) => {
        stranger.once("error", resolve).listen(host.ports[0], "127.0.0.1", () => {
          resolve(undefined);
        });
      });
      return stranger.listening;
    });
    assert.equal((await host.describe()).running, false);
    await new Promise((resolve) => stranger.close(resolve));
    await host.start();
  });

  it("never mistakes a foreign process for its own", async () => {
    const stranger = spawn("sleep", ["infinity"], { stdio: "ignore" });
    const file = path.join(host.directory, "server/supervisor");
    const real = fs.readFileSync(file, "utf8");
    const [, start, boot] = real.trim().split(" ");
    process.kill(supervisorPid(host.directory), "SIGKILL");
    fs.writeFileSync(file, `${String(stranger.pid)} ${String(start)} ${String(boot)}\n`);
    try {
      await host.start();
      assert.ok(stranger.pid !== undefined && alive(stranger.pid));
    } finally {
      stranger.kill();
    }
  });

  it("keeps the log within its limit, with the last lines", async () => {
    await host.start({ logMegabytes: 1 }, ["--log-verbose=9"]);
    const agent = new http.Agent({ keepAlive: true, maxSockets: 8 });
    const logs = path.join(host.directory, "server/logs");
    await until("the log to be rotated", async () => {
      await Promise.all(Array.from({ length: 64 }, () => host.infer("scale", 1, agent)));
      return fs.existsSync(path.join(logs, "triton.log.1"));
    });
    agent.destroy();
    const size = (): number =>
      fs.readdirSync(logs).reduce((sum, file) => sum + fs.statSync(path.join(logs, file)).size, 0);
    // The supervisor has to look at what came last.
    await until(
      () => `${size()} bytes`,
      () => size() <= 1024 * 1024,
    );
    assert.deepEqual(fs.readdirSync(logs).sort(), ["triton.log", "triton.log.1"]);
    await host.start();
  });

  it("stops without a trace, also after a failed reload", async () => {
    const memory = host.sharedMemory();
    assert.notEqual(memory.length, 0);
    assert.match(await host.fail("remove"), /still deployed/);
    const pids = [supervisorPid(host.directory), ...processesBelow(runtime)];
    await host.succeed("stop");
    await host.succeed("stop");
    assert.deepEqual(pids.filter(alive), []);
    assert.deepEqual(
      memory.map((file) => path.basename(file)).filter((file) => fs.existsSync(`/dev/shm/${file}`)),
      [],
    );
    assert.ok(!fs.existsSync(path.join(host.directory, "server")));
    assert.equal((await host.describe()).running, false);
  });

  it("leaves nothing behind when a first start fails", async () => {
    const message = await host.fail("start", [], host.settings({}, ["--no-such-flag=1"]));
    assert.match(message, /does not start with these settings/);
    assert.ok(!fs.existsSync(path.join(host.directory, "server")));
    assert.deepEqual(processesBelow(runtime), []);
  });

  it("removes models while no server runs, and finally the host directory", async () => {
    await host.succeed("unserve");
    await host.succeed("remove-model", ["scale"]);
    fs.writeFileSync(path.join(host.directory, "notes.txt"), "the user's own");
    await host.succeed("remove");
    assert.deepEqual(fs.readdirSync(host.directory), ["notes.txt"]);
  });
});

describe("the agent as an unprivileged user", () => {
  it("installs, serves and cleans up", async function () {
    const asNobody = [
      "setpriv",
      "--reuid=65534",
      "--regid=65534",
      "--clear-groups",
      "env",
      "HOME=/nonexistent",
    ];
    // Only root can become another user; anybody else runs all tests above as a normal user anyway.
    if (process.getuid?.() !== 0) this.skip();
    const parent = fs.realpathSync(fs.mkdtempSync(path.join(os.tmpdir(), "xsched-nobody-")));
    try {
      fs.chmodSync(parent, 0o755);
      const host = new Host(parent, await freePorts(3), asNobody);
      fs.chownSync(host.directory, 65534, 65534);
      await host.setUp();
      await host.install();
      await host.start();
      await host.store("scale", "v1");
      await host.activate("scale", "v1");
      assert.equal(await host.infer("scale", 2), 4);
      const pid = (await host.describe()).pid ?? 0;
      assert.match(fs.readFileSync(`/proc/${pid}/status`, "utf8"), /^Uid:\t65534\t/m);
      // We can see that another user's program has our port, but not which program.
      const foreign = net.createServer();
      await new Promise<void>((resolve) => foreign.listen(0, "127.0.0.1", resolve));
      const { port } = foreign.address() as net.AddressInfo;
      assert.match(
        await host.fail("start", [], host.settings({ httpPort: port })),
        new RegExp(`port ${port} \\(httpPort\\) is in use by a process of another user`),
      );
      await new Promise((resolve) => foreign.close(resolve));
      await host.succeed("stop");
      assert.deepEqual(processesBelow(host.directory), []);
      await host.succeed("unserve");
      await host.succeed("remove-model", ["scale"]);
    } finally {
      fs.rmSync(parent, { recursive: true, force: true });
    }
  });
});
