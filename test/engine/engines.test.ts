import assert from "node:assert/strict";
import { type ChildProcess, spawn } from "node:child_process";
import { createHash } from "node:crypto";
import { once } from "node:events";
import * as fs from "node:fs";
import * as path from "node:path";
import * as readline from "node:readline";

import { until } from "../until";
import { contest } from "./contest";
import { TOOLS_HOME } from "./toolchain";
import { changesIn, execute, type Finished, requireSuccess, Workspace } from "./workspace";

const ROOT = path.resolve(__dirname, "../..");
const BUILDER = path.join(ROOT, "test/fixtures/engineBuilder");
const KERNELS = path.join(BUILDER, "image/kernels.py");

/** A host and a model with an engine, whose options come from the stack config. */
const PROGRAM = `import * as pulumi from "@pulumi/pulumi";
import { EnginePrecision, ModelRepository, TritonHost } from "../components";

const config = new pulumi.Config();
const host = new TritonHost("host", { directory: config.require("directory") });
const repository = new ModelRepository("models", {
  directory: host.directory,
  models: [
    {
      name: "bert",
      source: "bert",
      priority: config.getNumber("priority"),
      engine: { precision: config.get("precision") as EnginePrecision },
    },
  ],
});
export const digest = repository.models[0]?.digest;
`;

/** A server's settings on the host, as `start` writes them. */
const SERVER = {
  ...{ kind: "container", image: `registry.example/triton@sha256:${"0".repeat(64)}`, address: "127.0.0.1" },
  ...{ httpPort: 1, grpcPort: 1, metricsPort: 1 },
  ...{ exitTimeoutSeconds: 1, loadTimeoutSeconds: 1, logMegabytes: 1 },
};

/** What `xsched-ctl list --domain --json` tells of a process. */
interface Member {
  readonly pid: number;
  /** The highest priority that it has work of. */
  readonly work: number | null;
  /** The priority of the launch that waits. */
  readonly waits: number | null;
  readonly blocked_by: readonly number[];
}

/** The models of a server: a program on the simulated driver, in the scheduling domain, with a high priority. */
class Models {
  private readonly answers: AsyncIterator<string>;

  private constructor(private readonly process: ChildProcess) {
    assert.ok(process.stdout);
    this.answers = readline.createInterface({ input: process.stdout })[Symbol.asyncIterator]();
  }

  public static async start(xsched: string, environment: NodeJS.ProcessEnv): Promise<Models> {
    const words = ["--priority", "200", "--name", "chat/0", "--", "python3", KERNELS];
    const models = new Models(
      spawn(path.join(xsched, "bin/xsched-run"), words, {
        env: { ...process.env, ...environment },
        stdio: ["pipe", "pipe", process.env.MOCHA_VERBOSE ? "inherit" : "ignore"],
      }),
    );
    assert.equal((await models.answers.next()).value, "ready");
    return models;
  }

  public get pid(): number {
    return this.process.pid ?? 0;
  }

  /** Returns how many kernels of 1 ms they have done. */
  public async say(line: "work" | "rest" | ""): Promise<number> {
    this.process.stdin?.write(`${line}\n`);
    return Number((await this.answers.next()).value);
  }

  public async kill(): Promise<void> {
    const ended = once(this.process, "exit");
    this.process.kill("SIGKILL");
    await ended;
  }
}

describe("engines from ONNX models, on the real engine with a stand-in builder", () => {
  let workspace: Workspace;
  let folder: string;
  /** What programs on the simulated driver need. */
  let driver: NodeJS.ProcessEnv = {};

  const state = (name: string, text: string): void => {
    fs.writeFileSync(path.join(folder, "builder", name), text);
  };

  const pulumi = (...words: string[]): Promise<Finished> =>
    execute("pulumi", [...words, "--non-interactive"], folder, {
      ...driver,
      PATH: `${BUILDER}:${process.env.PATH ?? ""}`,
      STATE: path.join(folder, "builder"),
      PULUMI_BACKEND_URL: `file://${folder}`,
      PULUMI_CONFIG_PASSPHRASE: "",
      PULUMI_HOME: TOOLS_HOME,
      PULUMI_SKIP_UPDATE_CHECK: "true",
      PULUMI_DISABLE_AUTOMATIC_PLUGIN_ACQUISITION: "true",
    });

  const up = async (): Promise<string> => {
    const { code, output } = await pulumi("up", "--yes", "--skip-preview");
    requireSuccess({ code, output });
    return output;
  };
  const touched = async (): Promise<string[]> => changesIn(await up()).map(({ name }) => name);

  const builds = (): number =>
    fs.readFileSync(path.join(folder, "builder/calls"), "utf8").split("--saveEngine").length - 1;

  /** The stored files that are served. */
  const plan = async (): Promise<string> => {
    const { output } = await pulumi("stack", "output", "digest");
    const stored = path.join(folder, "host/models/store/bert", output.trim());
    assert.deepEqual(fs.readdirSync(stored).sort(), ["1", "config.pbtxt"]);
    assert.match(fs.readFileSync(path.join(stored, "config.pbtxt"), "utf8"), /platform: "tensorrt_plan"/);
    return fs.readFileSync(path.join(stored, "1/model.plan"), "utf8");
  };

  before(async () => {
    workspace = await Workspace.create();
    folder = workspace.file("engines");
    for (const part of ["bert/1", "builder"]) fs.mkdirSync(path.join(folder, part), { recursive: true });
    fs.writeFileSync(path.join(folder, "index.ts"), PROGRAM);
    fs.writeFileSync(path.join(folder, "Pulumi.yaml"), "name: engines\nruntime: nodejs\n");
    // Otherwise the project's own main program would run.
    fs.writeFileSync(path.join(folder, "package.json"), '{ "name": "engines", "main": "index.ts" }\n');
    fs.writeFileSync(path.join(folder, "tsconfig.json"), '{ "extends": "../tsconfig.json" }\n');
    fs.writeFileSync(path.join(folder, "bert/1/model.onnx"), "first\n");
    state("gpus", "Tesla T4, 7.5\n");
    state("environment", "TRT_VERSION=8.2.5.1\n");
    const { code, output } = await pulumi("stack", "init", "dev");
    requireSuccess({ code, output });
    await pulumi("config", "set", "directory", path.join(folder, "host"));
  });

  after(async () => {
    await pulumi("destroy", "--yes", "--skip-preview");
    workspace.remove();
  });

  it("builds the engine once", async () => {
    const output = await up();
    assert.match(output, /building the engine of bert, version 1 on Tesla T4, 7\.5 with TensorRT 8\.2\.5\.1/);
    assert.match(await plan(), /^first$/m);
    assert.deepEqual(await touched(), []);
    assert.equal(builds(), 1);
  });

  it("builds nothing for a priority", async () => {
    await pulumi("config", "set", "priority", "90");
    assert.deepEqual(await touched(), ["models-bert"]);
    assert.equal(builds(), 1);
  });

  it("builds anew for another option, and reuses the old engine without building", async () => {
    await pulumi("config", "set", "precision", "fp16");
    assert.deepEqual(await touched(), ["models-bert/engine", "models-bert"]);
    assert.match(await plan(), /^--fp16$/m);
    await pulumi("config", "rm", "precision");
    assert.match(await up(), /the engine of bert, version 1, is there already/);
    assert.doesNotMatch(await plan(), /^--fp16$/m);
    assert.equal(builds(), 2);
  });

  it("ends with the builder's message and keeps what is stored; the next up succeeds", async () => {
    const before = await plan();
    fs.writeFileSync(path.join(folder, "bert/1/model.onnx"), "broken\n");
    const { code, output } = await pulumi("up", "--yes", "--skip-preview");
    assert.notEqual(code, 0);
    assert.match(
      output,
      /cannot build the engine of bert, version 1: .*While parsing node number 4 \[Einsum\]/,
    );
    assert.equal(await plan(), before);
    fs.writeFileSync(path.join(folder, "bert/1/model.onnx"), "second\n");
    await up();
    assert.match(await plan(), /^second$/m);
  });

  describe("beside a server with a scheduling domain", () => {
    let models: Models;
    let environment: NodeJS.ProcessEnv;
    let settings: string;
    const xsched = (): string => path.join(folder, "builder/xsched");

    const members = async (): Promise<readonly Member[]> => {
      const control = path.join(xsched(), "bin/xsched-ctl");
      const { code, output } = await execute(control, ["list", "--domain", "--json"], folder, environment);
      requireSuccess({ code, output });
      const { devices } = JSON.parse(output) as { devices: { processes: Member[] }[] };
      return devices.flatMap(({ processes }) => processes);
    };
    const others = async (): Promise<readonly Member[]> =>
      (await members()).filter(({ pid }) => pid !== models.pid);

    /** How many kernels the builder has done. */
    const built = (): number => {
      const file = path.join(folder, "builder/kernels");
      // Empty for an instant.
      return fs.existsSync(file) ? Number(fs.readFileSync(file, "utf8")) : 0;
    };

    /** Waits until the builder waits for the models, and checks that it comes after them. */
    const comesSecond = async (): Promise<void> => {
      let seen: readonly Member[] = [];
      await until(
        () => seen,
        async () => {
          seen = await others();
          return seen.some(({ blocked_by }) => blocked_by.includes(models.pid));
        },
      );
      const [builder, ...more] = seen;
      assert.deepEqual(more, []);
      assert.deepEqual([builder?.work, builder?.waits], [-255, -255]);
      await contest(async () => {
        const [before, begin] = [built(), await models.say("")];
        await until("the models work", async () => (await models.say("")) > begin + 200);
        const progress = built() - before;
        // What comes between two launches of the models on a busy machine.
        assert.ok(progress < 100, `${progress} kernels of the builder beside 200 of the models`);
      });
    };

    before(async () => {
      const { code, output } = await execute(
        "bash",
        [path.join(ROOT, "native/package.sh"), xsched()],
        folder,
      );
      requireSuccess({ code, output });
      const host = path.join(folder, "host");
      const identity = createHash("sha256").update(host).digest("hex").slice(0, 12);
      // As the server's start makes it.
      const volume = path.join(folder, "builder/volumes", `xsched-triton-${identity}-domain`);
      fs.mkdirSync(volume, { recursive: true });
      driver = { XSCHED_CUDA_LIB: output.trim(), XSCHED_CONTROL_DIR: path.join(folder, "control") };
      environment = { ...driver, XSCHED_DOMAIN_DIR: path.join(volume, "gpus") };
      settings = path.join(host, "server/settings.json");
      fs.mkdirSync(path.dirname(settings));
      fs.writeFileSync(settings, JSON.stringify(SERVER));
      models = await Models.start(xsched(), environment);
    });

    after(async () => {
      await models.kill();
      fs.rmSync(path.dirname(settings), { recursive: true });
    });

    it("builds below the models, also when the server has started again meanwhile", async () => {
      fs.writeFileSync(path.join(folder, "bert/1/model.onnx"), "kernels\n");
      await models.say("work");
      const building = up();
      await comesSecond();
      const { output: status } = await execute(path.join(folder, "host/bin/agent"), ["status"], folder, {
        PATH: `${BUILDER}:${process.env.PATH ?? ""}`,
        STATE: path.join(folder, "builder"),
      });
      assert.match(status, /"builds":\[\{"model":"bert","version":"1","below":true,"seconds":\d+\}\]/);
      await models.kill();
      models = await Models.start(xsched(), environment);
      await models.say("work");
      await comesSecond();
      await models.say("rest");
      state("enough", "");
      const output = await building;
      assert.match(output, /this can take many minutes, and longer while models are busy, which come first/);
      assert.doesNotMatch(output, /outside the scheduling domain/);
      assert.equal(await plan(), "kernels\n");
      assert.deepEqual(await others(), []);
    });

    it("leaves no claim behind when its builder is killed", async () => {
      const source = path.join(folder, "bert");
      fs.writeFileSync(path.join(source, "1/model.onnx"), "kernels 1000000\n");
      const agent = spawn(path.join(folder, "host/bin/agent"), ["build-engines"], {
        env: {
          ...process.env,
          ...driver,
          PATH: `${BUILDER}:${process.env.PATH ?? ""}`,
          STATE: path.join(folder, "builder"),
        },
        stdio: ["pipe", "ignore", "ignore"],
      });
      const ended = once(agent, "exit");
      const engine = { builder: "nvcr.io/nvidia/tensorrt:22.06-py3", precision: "fp32", workspaceMiB: 4096 };
      agent.stdin.end(JSON.stringify({ model: "bert", filesDigest: "0", source, engine }));
      await until("the builder works", async () => (await others()).some(({ work }) => work === -255));
      agent.kill("SIGKILL");
      await ended;
      await until("the domain has only the models", async () => (await others()).length === 0);
      await models.say("work");
      const begin = await models.say("");
      await until("the models work", async () => (await models.say("")) > begin + 200);
      await models.say("rest");
    });
  });

  describe("removed", () => {
    it("leaves nothing on the host", async () => {
      const { code, output } = await pulumi("destroy", "--yes", "--skip-preview");
      requireSuccess({ code, output });
      assert.equal(fs.existsSync(path.join(folder, "host")), false);
    });
  });
});
