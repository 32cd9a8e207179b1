import * as assert from "node:assert/strict";
import { spawn } from "node:child_process";
import * as fs from "node:fs";
import * as os from "node:os";
import * as path from "node:path";

import { ARMS, configFor, type Contender, type PhaseRun, phasesOf } from "../../../scripts/bench/arms/arms";
import { ArmSwitch, restore, type Server } from "../../../scripts/bench/arms/armSwitch";
import { isRunning, Journal } from "../../../scripts/bench/arms/journal";
import { configuredPriority, type ModelConfig } from "../../../scripts/triton/modelConfig";
import { Scheduler } from "../../../scripts/triton/scheduler";
import { setPriority } from "../../../scripts/live/setPriority";
import { DeployedApi } from "../../../scripts/triton/tritonApi";
import { modelConfig, StandInServer } from "../triton/standInServer";

const CONTENDERS: readonly Contender[] = [
  { model: "chat", role: "high" },
  { model: "batch", role: "low" },
];
const MODELS = [
  { name: "chat", priority: 40 },
  { name: "batch", priority: -255 },
  { name: "other", priority: 3 },
];

describe("switching arms", () => {
  let folder: string;

  beforeEach(() => {
    folder = fs.mkdtempSync(path.join(os.tmpdir(), "bench-arms-"));
  });

  afterEach(() => {
    fs.rmSync(folder, { recursive: true });
  });

  const serverOf = (standIn: StandInServer): Server => ({
    api: new DeployedApi(standIn),
    ...(standIn.queues && { scheduler: new Scheduler(standIn) }),
    stack: standIn.stack,
    journal: new Journal(path.join(folder, "journals"), "here"),
  });

  /** Triton with its own model control: it keeps a configuration that was given to it while the files are the same. */
  class UnchangedFiles extends DeployedApi {
    public override async reload(model: string, config?: ModelConfig): Promise<void> {
      if (config !== undefined) await super.reload(model, config);
    }
  }

  it("makes Triton load the whole model, even one whose priorities are those of the setting", () => {
    const standIn = new StandInServer([{ name: "chat", priority: 255 }, ...MODELS.slice(1)], undefined);
    const own = standIn.config("chat");
    const parametersFor = (setting: "none" | "cuda") => configFor(setting, "high", own)?.parameters;
    assert.deepEqual(parametersFor("none"), {
      ...own.parameters,
      xsched_benchmark: { string_value: "none" },
    });
    assert.notDeepEqual(parametersFor("cuda"), parametersFor("none"));
  });

  it("restores a server that is no stack's", async () => {
    const standIn = new StandInServer(MODELS, undefined);
    const before = MODELS.map(({ name }) => standIn.config(name));
    const arms = await ArmSwitch.begin(
      { ...serverOf(standIn), api: new UnchangedFiles(standIn) },
      CONTENDERS,
    );
    for (const setting of ["none", "own", "cuda"] as const) await arms.use(setting);
    assert.deepEqual(await arms.restore(), []);
    assert.deepEqual(
      MODELS.map(({ name }) => standIn.config(name)),
      before,
    );
  });

  it("loads what was deployed without a load, so that its own arm has what the stack says", async () => {
    const standIn = new StandInServer(MODELS, "explicit");
    const [{ model }] = CONTENDERS as [Contender];
    standIn.deployWithoutLoad(model, 33);
    const arms = await ArmSwitch.begin(serverOf(standIn), CONTENDERS);
    assert.equal(arms.priorityOf(model).xsched, 33);
    assert.deepEqual(standIn.loads, [model]);
    for (const setting of ["none", "own"] as const) await arms.use(setting);
    assert.deepEqual(await arms.restore(), []);
    assert.deepEqual(
      [configuredPriority(standIn.config(model)).xsched, standIn.queuePriority(model)],
      [33, 33],
    );
  });

  const priorities = (standIn: StandInServer) =>
    CONTENDERS.map(({ model }) => configuredPriority(standIn.config(model)));

  for (const mode of [undefined, "explicit", "transparent"] as const) {
    describe(`on a server that is ${mode === undefined ? "not scheduled" : `scheduled, ${mode} mode`}`, () => {
      let standIn: StandInServer;
      let server: Server;
      let before: ModelConfig[];
      let queues: (number | undefined)[];

      beforeEach(() => {
        standIn = new StandInServer(MODELS, mode);
        server = serverOf(standIn);
        before = MODELS.map(({ name }) => standIn.config(name));
        queues = MODELS.map(({ name }) => standIn.queuePriority(name));
      });

      const assertAsBefore = (): void => {
        assert.deepEqual(
          MODELS.map(({ name }) => standIn.config(name)),
          before,
        );
        assert.deepEqual(
          MODELS.map(({ name }) => standIn.queuePriority(name)),
          queues,
        );
        assert.equal(server.journal.read(), undefined);
      };

      it("isolates each setting and changes only the two models", async () => {
        const arms = await ArmSwitch.begin(server, CONTENDERS);
        await arms.use("none");
        assert.deepEqual(priorities(standIn), [
          { cuda: "PRIORITY_DEFAULT", xsched: 255 },
          { cuda: "PRIORITY_DEFAULT", xsched: 255 },
        ]);
        await arms.use("cuda");
        assert.deepEqual(priorities(standIn), [
          { cuda: "PRIORITY_MAX", xsched: 255 },
          { cuda: "PRIORITY_MIN", xsched: 255 },
        ]);
        if (mode !== undefined) {
          assert.deepEqual(
            CONTENDERS.map(({ model }) => standIn.queuePriority(model)),
            [255, 255],
            "the scheduler has no say where CUDA's priorities are measured",
          );
        }
        await arms.use("own");
        assert.deepEqual(priorities(standIn), [
          { cuda: "PRIORITY_MAX", xsched: 40 },
          { cuda: "PRIORITY_MIN", xsched: -255 },
        ]);
        assert.deepEqual(
          CONTENDERS.map(({ model }) => standIn.queuePriority(model)),
          queues.slice(0, 2),
        );
        assert.deepEqual(
          standIn.loads.filter((load) => load.startsWith("other")),
          [],
        );
        assert.deepEqual(await arms.restore(), []);
        assertAsBefore();
      });

      for (const setting of ["none", "cuda", "own"] as const) {
        it(`restores everything from "${setting}"`, async () => {
          const arms = await ArmSwitch.begin(server, CONTENDERS);
          await arms.use("cuda");
          await arms.use(setting);
          assert.deepEqual(await arms.restore(), []);
          assertAsBefore();
        });

        it(`restores everything from "${setting}" by the journal alone`, async () => {
          const arms = await ArmSwitch.begin(server, CONTENDERS);
          await arms.use("none");
          await arms.use(setting);
          const left = server.journal.read();
          assert.ok(left);
          assert.deepEqual(await restore(server, left), []);
          assertAsBefore();
        });
      }

      it("restores what a switch changed before it failed", async () => {
        const arms = await ArmSwitch.begin(server, CONTENDERS);
        standIn.failingLoad = 2;
        await assert.rejects(arms.use("none"), /out of memory/);
        assert.deepEqual(await arms.restore(), []);
        assertAsBefore();
      });

      it("keeps a priority that was changed live", async () => {
        if (mode === "transparent") return; // There, a live change is a change of the configuration.
        await setPriority(standIn, "batch", 12);
        before = MODELS.map(({ name }) => standIn.config(name));
        queues = MODELS.map(({ name }) => standIn.queuePriority(name));
        const arms = await ArmSwitch.begin(server, CONTENDERS);
        await arms.use("none");
        await arms.use("cuda");
        assert.deepEqual(await arms.restore(), []);
        assertAsBefore();
      });

      it("notices that a model was deployed meanwhile, and leaves it alone", async () => {
        const arms = await ArmSwitch.begin(server, CONTENDERS);
        await arms.use("none");
        const deployed = modelConfig("batch", -100);
        standIn.deploy(deployed);
        await assert.rejects(
          arms.check(),
          /"batch" is no longer the one that the benchmark loaded; was it deployed, or the server restarted, meanwhile/,
        );
        assert.deepEqual(await arms.restore(), [
          'the model "batch" was deployed meanwhile; it keeps the stack\'s new configuration',
        ]);
        assert.deepEqual(standIn.config("batch"), deployed);
        assert.deepEqual(standIn.config("chat"), before[0]);
      });
    });
  }

  it("ranks a middle model between the others, and changes several low ones alike", async () => {
    const standIn = new StandInServer(MODELS);
    const arms = await ArmSwitch.begin(serverOf(standIn), [
      { model: "chat", role: "high" },
      { model: "other", role: "middle" },
      { model: "batch", role: "low" },
    ]);
    const cuda = () => MODELS.map(({ name }) => configuredPriority(standIn.config(name)).cuda);
    await arms.use("cuda");
    assert.deepEqual(cuda(), ["PRIORITY_MAX", "PRIORITY_MIN", "PRIORITY_DEFAULT"]);
    await arms.use("none");
    assert.deepEqual(cuda(), ["PRIORITY_DEFAULT", "PRIORITY_DEFAULT", "PRIORITY_DEFAULT"]);
    assert.deepEqual(await arms.restore(), []);
    assert.deepEqual(cuda(), ["PRIORITY_MAX", "PRIORITY_MIN", "PRIORITY_MAX"]);
  });

  it("refuses a server that another benchmark is using", async () => {
    const server = serverOf(new StandInServer(MODELS));
    const other = spawn(process.execPath, [
      ...["-r", path.resolve(__dirname, "../../../components/compile.cjs"), "-e"],
      `const { Journal } = require(${JSON.stringify(path.resolve(__dirname, "../../../scripts/bench/arms/journal.ts"))});
       new Journal(${JSON.stringify(path.join(folder, "journals"))}, "here").write({ place: "here", configs: {}, queues: {} });
       console.log("written"); setInterval(() => {}, 1000);`,
    ]);
    await new Promise((resolve) => other.stdout.once("data", resolve));
    try {
      await assert.rejects(
        ArmSwitch.begin(server, CONTENDERS),
        new RegExp(`another benchmark .* \\(process ${other.pid}\\)`),
      );
    } finally {
      const ended = new Promise((resolve) => other.once("close", resolve));
      other.kill("SIGKILL");
      await ended;
    }
    const left = server.journal.read();
    assert.ok(left && !isRunning(left));
  });

  it("starts each round with another phase, and runs each phase once per round", () => {
    const comparison = { arms: ARMS, middle: {}, lows: [{ model: "a" }, { model: "b" }] };
    const titles = (runs: readonly PhaseRun[]) =>
      runs.map(({ phase, lows }) => `${phase}${phase === "low alone" ? ` ${lows.join()}` : ""}`);
    const all = titles(phasesOf(0, comparison));
    assert.deepEqual(all, [
      ...["low alone a", "low alone b", "middle alone", "middle behind high"],
      ...["standalone", "triton", "triton+priority", "xsched"],
    ]);
    const rounds = all.map((_, round) => titles(phasesOf(round, comparison)));
    assert.deepEqual([...new Set(rounds.map(([first]) => first))].sort(), [...all].sort());
    for (const round of rounds) assert.deepEqual([...round].sort(), [...all].sort());
  });
});
