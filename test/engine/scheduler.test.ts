import * as assert from "node:assert/strict";
import { type ChildProcess, spawn } from "node:child_process";
import * as fs from "node:fs";
import * as os from "node:os";
import * as path from "node:path";

import { ArmSwitch, type Server } from "../../scripts/bench/arms/armSwitch";
import { Journal } from "../../scripts/bench/arms/journal";
import { modelCounters } from "../../scripts/bench/schedulerCounters";
import { type Finished } from "../../scripts/triton/deployedServer";
import { type Sample } from "../../scripts/live/sample";
import { Scheduler } from "../../scripts/triton/scheduler";
import { screen } from "../../scripts/live/screen";
import { setFloor } from "../../scripts/live/setFloor";
import { setPriority } from "../../scripts/live/setPriority";
import { setWeight } from "../../scripts/live/setWeight";
import { DeployedApi } from "../../scripts/triton/tritonApi";
import { callAgent, installAgent } from "../agent";
import { StandInServer } from "../unit/triton/standInServer";
import { until } from "../until";
import { execute, requireSuccess } from "./workspace";

const PROJECT = path.resolve(__dirname, "../..");
const PACKAGE = path.join(PROJECT, "native/package.sh");

/**
 * Replaces Docker: the container is this machine, with XSched where the test has put it. Everything else is real: the
 * host's agent, xsched-ctl, the core, and a process whose streams it schedules on the simulated driver.
 */
const DOCKER = `#!/bin/bash
case $1 in
  inspect) echo '{"Id":"1","LogPath":"","State":{"Running":true,"Pid":1,"StartedAt":"now"}}' ;;
  exec) shift 2 && exec "\${@//\\/opt\\/xsched/$XSCHED}" ;;
esac
`;

/** Of a container, which answers on none of its ports. */
const SETTINGS = {
  ...{ kind: "container", image: `image@sha256:${"0".repeat(64)}`, address: "127.0.0.1" },
  ...{ httpPort: 1, grpcPort: 1, metricsPort: 1 },
  ...{ exitTimeoutSeconds: 1, loadTimeoutSeconds: 1, logMegabytes: 1 },
};

/** A server with a real scheduler. */
class ScheduledServer extends StandInServer {
  public constructor(
    private readonly folder: string,
    private readonly environment: NodeJS.ProcessEnv,
  ) {
    super([
      { name: "chat", priority: 255 },
      { name: "batch", priority: -255 },
    ]);
  }

  public override onHost(words: readonly string[], input?: string): Finished {
    if (!["scheduler", "measure"].includes(words[0] ?? "")) return super.onHost(words, input);
    const { status, stdout, stderr, result } = callAgent(this.folder, words, { env: this.environment });
    return { status, stdout: result === undefined ? stdout : JSON.stringify(result), stderr };
  }
}

describe("a running scheduler", () => {
  let folder: string;
  let host: string;
  let server: ScheduledServer;
  let models: ChildProcess;
  let ended: Promise<number | null>;

  before(async () => {
    folder = fs.mkdtempSync(path.join(os.tmpdir(), "xsched-live-"));
    const xsched = path.join(folder, "xsched");
    const { code, output } = await execute("bash", [PACKAGE, xsched], folder);
    requireSuccess({ code, output });
    const driver = output.trim();

    host = path.join(folder, "host");
    installAgent(host);
    fs.mkdirSync(path.join(host, "server"));
    fs.writeFileSync(path.join(host, "server/settings.json"), JSON.stringify(SETTINGS));
    fs.mkdirSync(path.join(folder, "path"));
    fs.writeFileSync(path.join(folder, "path/docker"), DOCKER, { mode: 0o755 });

    const environment = {
      ...process.env,
      PATH: [path.join(folder, "path"), process.env.PATH].join(path.delimiter),
      XSCHED: xsched,
      XSCHED_TRITON_STATE: path.join(folder, "state"),
      XSCHED_CONTROL_DIR: path.join(folder, "control"),
    };
    models = spawn("python3", [path.join(PROJECT, "test/fixtures/scheduledModels/models.py")], {
      env: {
        ...environment,
        LD_LIBRARY_PATH: path.join(xsched, "lib"),
        XSCHED_CUDA_LIB: driver,
        XSCHED_POLICY: "HPF",
      },
      stdio: ["pipe", "pipe", "inherit"],
    });
    ended = new Promise((resolve) => models.once("close", resolve));
    const said = await Promise.race([
      new Promise<string>((resolve) =>
        models.stdout?.once("data", (text: Buffer) => {
          resolve(text.toString());
        }),
      ),
      ended.then((code) => `ended with ${code}`),
    ]);
    // The line feed may arrive on its own.
    assert.equal(said.trim(), "ready");
    // Written by the image's entrypoint.
    fs.mkdirSync(path.join(folder, "state"));
    fs.writeFileSync(path.join(folder, "state/server"), `${models.pid}\n127.0.0.1\n8000\nON\n-\n`);
    server = new ScheduledServer(host, environment);
  });

  after(async () => {
    models.stdin?.end();
    assert.equal(await ended, 0);
    fs.rmSync(folder, { recursive: true });
  });

  const sample = (): Sample => JSON.parse(server.onHost(["measure"]).stdout) as Sample;
  const rest = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));
  const priorityOf = (model: string): number | undefined =>
    new Scheduler(server).queues().find(({ name }) => name === `${model}/0`)?.priority;

  it("is found through the host's agent", () => {
    const state = new Scheduler(server).state();
    assert.ok(state.active, JSON.stringify(state));
    assert.match(state.status, /^policy +HPF$/m);
    assert.deepEqual([priorityOf("chat"), priorityOf("batch")], [255, -255]);
  });

  it("shows on the screen which models it blocks and which it prefers", async () => {
    let text = "";
    const cells = (model: string) => new RegExp(`^${model} .*$`, "m").exec(text)?.[0].split(/ {2,}/) ?? [];
    // A machine that is busy otherwise may leave them too little time to meet.
    await until(
      () => text,
      async () => {
        const before = sample();
        await rest(1500);
        const now = sample();
        assert.equal(now.noQueues, "");
        const running = {
          ...now.server,
          running: true,
          models: server.models.map((model) => ({ ...model, ready: true, reason: "" })),
        };
        text = screen("test", before, { ...now, server: running });
        return parseFloat(cells("batch")[6] ?? "") > 1 && parseFloat(cells("chat")[7] ?? "") > 1;
      },
    );
    assert.equal(cells("chat")[6], "0 %", text);
  });

  it("applies another priority at once, without a reload", async () => {
    const said = await setPriority(server, "batch", 12);
    assert.match(said, /^batch now has priority 12: changed in the running scheduler/);
    assert.equal(priorityOf("batch"), 12);
    assert.deepEqual(server.loads, []);
    await setPriority(server, "batch", -255);
  });

  it("applies a floor at once, shows what the model has of it, and refuses more than there is", async () => {
    const floorOf = (model: string): number | undefined =>
      new Scheduler(server).queues().find(({ name }) => name === `${model}/0`)?.floor_percent;
    const said = await setFloor(server, "batch", 20);
    assert.match(said, /^batch now has a floor of 20 %: changed in the running scheduler/);
    assert.deepEqual([floorOf("chat"), floorOf("batch")], [0, 20]);
    assert.deepEqual(server.loads, []);
    const now = sample();
    const served = server.models.map((model) => ({ ...model, floor: 0, ready: true, reason: "" }));
    const text = screen("test", undefined, {
      ...now,
      server: { ...now.server, running: true, models: served },
    });
    assert.match(text, /^batch +-255 +[\d.]+ of 20 % \(config: 0 %\) +yes/m);
    await setFloor(server, "chat", 50);
    await assert.rejects(
      setFloor(server, "batch", 41),
      /"batch" can't have a floor of 41 %: .* leave it 40 % on device 0/,
    );
    await setFloor(server, "batch", 0);
    await setFloor(server, "chat", 0);
    assert.deepEqual([floorOf("chat"), floorOf("batch")], [0, 0]);
  });

  it("applies a weight at once, and shows it", async () => {
    const weights = (): readonly (number | undefined)[] => {
      const queues = new Scheduler(server).queues();
      return ["chat", "batch"].map((model) => queues.find(({ name }) => name === `${model}/0`)?.weight);
    };
    const said = await setWeight(server, "batch", 3);
    assert.match(said, /^batch now has weight 3: changed in the running scheduler/);
    assert.deepEqual(weights(), [0, 3]);
    assert.deepEqual(server.loads, []);
    const now = sample();
    const served = server.models.map((model) => ({ ...model, weight: 0, ready: true, reason: "" }));
    const text = screen("test", undefined, {
      ...now,
      server: { ...now.server, running: true, models: served },
    });
    assert.match(text, /^batch +-255 +3 \(config: 0\) +yes/m);
    await setWeight(server, "batch", 0);
    assert.deepEqual(weights(), [0, 0]);
  });

  it("blocks nobody where the benchmark measures without it, and does so again afterwards", async () => {
    const scheduler = new Scheduler(server);
    const journal = new Journal(path.join(folder, "journals"), "here");
    const target: Server = { api: new DeployedApi(server), scheduler, journal };
    const blocked = async (): Promise<number> => {
      const before = modelCounters(scheduler.queues(), "batch");
      await rest(1000);
      return modelCounters(scheduler.queues(), "batch").since(before).blocked;
    };
    const arms = await ArmSwitch.begin(target, [
      { model: "chat", role: "high" },
      { model: "batch", role: "low" },
    ]);
    await arms.use("cuda");
    assert.deepEqual([priorityOf("chat"), priorityOf("batch")], [255, 255]);
    // What waited before counts once it goes on, which may take a moment.
    await until("nobody is blocked", async () => (await blocked()) === 0);
    assert.deepEqual(await arms.restore(), []);
    assert.deepEqual([priorityOf("chat"), priorityOf("batch")], [255, -255]);
    await until("it is blocked again", async () => (await blocked()) > 0);
  });

  it("says why it does not know a model", () => {
    assert.throws(() => {
      new Scheduler(server).setPriority("nobody", 1);
    }, /nobody/);
    const settings = path.join(host, "server/settings.json");
    fs.writeFileSync(settings, JSON.stringify({ ...SETTINGS, kind: "process" }));
    try {
      const state = new Scheduler(server).state();
      assert.ok(!state.active && state.reason.includes("runs as a process"), JSON.stringify(state));
      assert.match(sample().noQueues, /runs as a process/);
    } finally {
      fs.writeFileSync(settings, JSON.stringify(SETTINGS));
    }
    fs.renameSync(path.join(folder, "state"), path.join(folder, "no-state"));
    try {
      const state = new Scheduler(server).state();
      assert.ok(
        !state.active && state.reason === "the image of this container has no XSched",
        JSON.stringify(state),
      );
    } finally {
      fs.renameSync(path.join(folder, "no-state"), path.join(folder, "state"));
    }
  });
});
