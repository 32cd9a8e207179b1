import * as assert from "node:assert/strict";
import { type ChildProcess, spawn } from "node:child_process";
import * as fs from "node:fs";

import { parse } from "yaml";

import { ARMS } from "../../scripts/bench/arms/arms";
import { freePorts } from "./ports";
import { TritonClient } from "./triton";
import { requireSuccess, Workspace } from "./workspace";

interface ResultsFile {
  readonly plan: { readonly samples: number };
  readonly run: {
    readonly version: string;
    readonly scheduler: { readonly active: boolean };
    readonly batch: Readonly<Record<string, number>>;
  };
  readonly summary: {
    readonly lowAlone: Readonly<Record<string, { readonly value: number }>>;
    readonly server: readonly {
      readonly phase: string;
      readonly model: string;
      readonly requests: number;
      readonly computeMs: { readonly value: number };
    }[];
    readonly arms: readonly {
      readonly arm: string;
      readonly samples: number;
      readonly failed: number;
      readonly latencyMs: Readonly<
        Record<"p50" | "p90" | "p99", { value: number; low: number; high: number }>
      >;
      readonly lows: readonly { readonly model: string; readonly perSecond: { readonly value: number } }[];
    }[];
  };
  readonly measurements: readonly {
    readonly phase: string;
    readonly round: number;
    readonly high?: { readonly intendedMs: readonly number[]; readonly latencyMs: readonly number[] };
  }[];
}

const HIGH = "bert-high";
const LOW = "bert-low";
const SAMPLES = 60;

describe("the benchmark on the local stack", () => {
  let workspace: Workspace;
  let triton: TritonClient;
  let deployed: Readonly<Record<string, unknown>>;

  const configs = async (): Promise<Record<string, unknown>> => {
    const found: Record<string, unknown> = {};
    for (const model of [HIGH, "bert-norm", LOW]) {
      found[model] = JSON.parse((await triton.request("GET", `/v2/models/${model}/config`)).body);
    }
    return found;
  };

  const journals = (): string[] => {
    const folder = workspace.file(".local", "bench", "journals");
    return fs.existsSync(folder) ? fs.readdirSync(folder) : [];
  };

  /** Starts a benchmark that takes minutes, and waits until it has changed the models. */
  const startLongRun = async (): Promise<{
    child: ChildProcess;
    ended: Promise<number | null>;
    output: () => string;
  }> => {
    const words = [
      "scripts/bench.mjs",
      "--high",
      HIGH,
      "--low",
      LOW,
      "--samples",
      "3000",
      "--warm-up",
      "0.2",
    ];
    const child = spawn(process.execPath, words, {
      cwd: workspace.directory,
      stdio: ["ignore", "pipe", "pipe"],
    });
    let output = "";
    for (const stream of [child.stdout, child.stderr])
      stream.on("data", (text: Buffer) => (output += text.toString()));
    const ended = new Promise<number | null>((resolve) => child.on("close", resolve));
    for (const end = Date.now() + 300_000; !(await changed());) {
      if (Date.now() > end || child.exitCode !== null) {
        // Or the tests that follow would find it at work.
        child.kill("SIGKILL");
        assert.fail(`the models are not changed: ${output}`);
      }
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
    return { child, ended, output: () => output };
  };

  const changed = async (): Promise<boolean> => {
    try {
      assert.deepEqual(await configs(), deployed);
      return false;
    } catch {
      return true;
    }
  };

  before(async () => {
    workspace = await Workspace.create();
    await workspace.installTriton();
    const [httpPort, grpcPort, metricsPort] = await freePorts(3);
    workspace.edit("local", (config) => {
      for (const [key, port] of Object.entries({ httpPort, grpcPort, metricsPort })) {
        config.setIn(["config", "xsched-triton:server", key], port);
      }
      const example = fs.readFileSync(workspace.file("examples/serving/models.local.yaml"), "utf8");
      for (const [key, value] of Object.entries(parse(example) as object))
        config.setIn(["config", key], value);
    });
    triton = new TritonClient(httpPort!);
    const { code, output } = await workspace.npm("up");
    requireSuccess({ code, output });
    deployed = await configs();
  });

  after(async () => {
    triton.close();
    await workspace.npm("down");
    workspace.remove();
  });

  it("measures four arms, writes its files, and leaves the stack unchanged", async () => {
    const words = [
      "--samples",
      String(SAMPLES),
      "--rounds",
      "2",
      // Less than a busy machine can serve: requests that wait for each other are another measurement.
      "--rate",
      "8",
      "--warm-up",
      "0.3",
      "--out",
      "result",
    ];
    const { code, output } = await workspace.npm("bench", "--", "--high", HIGH, "--low", LOW, ...words);
    requireSuccess({ code, output });
    assert.deepEqual(await configs(), deployed);
    assert.deepEqual(journals(), []);

    const read = (name: string): string => fs.readFileSync(workspace.file("result", name), "utf8");
    const results = JSON.parse(read("results.json")) as ResultsFile;
    assert.equal(results.run.scheduler.active, false);
    assert.deepEqual(
      results.summary.arms.map(({ arm }) => arm),
      [...ARMS],
    );
    const schedules = new Map<number, readonly number[]>();
    for (const { phase, round, high } of results.measurements) {
      if (phase === "low alone") continue;
      assert.equal(high?.latencyMs.length, SAMPLES / 2, phase);
      assert.deepEqual(
        high.intendedMs,
        schedules.get(round) ?? high.intendedMs,
        "every arm has the same arrivals",
      );
      schedules.set(round, high.intendedMs);
    }
    for (const { arm, samples, failed, latencyMs, lows } of results.summary.arms) {
      assert.deepEqual([samples, failed], [SAMPLES, 0], arm);
      const { p50, p90, p99 } = latencyMs;
      // However long they wait for each other on a machine that is too busy.
      const ordered = 0 < p50.value && p50.value <= p90.value && p90.value <= p99.value;
      assert.ok(ordered && Number.isFinite(p99.value), `${arm}: ${JSON.stringify(latencyMs)}`);
      for (const { value, low: least, high: most } of [p50, p90, p99])
        assert.ok(least <= value && value <= most);
      assert.equal(lows.length, arm === "standalone" ? 0 : 1, arm);
    }
    // On a machine that is too busy, the low model may end nothing within an arm.
    assert.ok(results.summary.arms.some(({ lows }) => (lows[0]?.perSecond.value ?? 0) > 0));
    assert.ok((results.summary.lowAlone[LOW]?.value ?? 0) > 0);
    const high = results.summary.server.filter(({ model }) => model === HIGH);
    assert.deepEqual(
      high.map(({ phase }) => phase),
      [...ARMS],
    );
    for (const { phase, requests, computeMs } of high) {
      // Triton counts a request only after it has answered it.
      assert.ok(Math.abs(requests - SAMPLES) <= 2, `${phase}: Triton counted ${requests} requests`);
      const { p99 } = results.summary.arms.find(({ arm }) => arm === phase)!.latencyMs;
      assert.ok(computeMs.value > 0.01 && computeMs.value < p99.value, `${phase}: ${computeMs.value} ms`);
    }

    const rows = read("samples.csv").trimEnd().split("\n").slice(1);
    assert.equal(rows.length, ARMS.length * SAMPLES);
    for (const name of ["latency.svg", "throughput.svg"]) assert.match(read(name), /^<svg[\s\S]*<\/svg>$/);
    assert.match(output, /standalone +60 /);

    // Measured by hand, on the same server: one request after another, each timed.
    const request = await triton.exampleRequest(HIGH);
    const timed = new Float64Array(SAMPLES);
    for (let index = 0; index < SAMPLES; index++) {
      const began = performance.now();
      assert.equal((await triton.infer(HIGH, request)).status, 200);
      timed[index] = performance.now() - began;
    }
    // The machine may be far busier during one of the two, so that requests queue up in the arm: the fastest ones count,
    // and a wrong unit is a factor of 1,000.
    const byHand = Math.min(...timed);
    const alone = Math.min(
      ...results.measurements
        .filter(({ phase }) => phase === "standalone")
        .flatMap(({ high }) => high?.latencyMs ?? []),
    );
    assert.ok(alone < byHand * 100 && byHand < alone * 100, `fastest ${alone} ms, by hand ${byHand} ms`);
  });

  it("measures three models at three priorities, all loaded at once", async () => {
    const words = [
      "--middle",
      "bert-norm",
      "--samples",
      "8",
      "--rounds",
      "1",
      "--rate",
      "4",
      "--warm-up",
      "0.2",
    ];
    const models = ["--high", HIGH, "--low", LOW];
    const { code, output } = await workspace.npm(
      "bench",
      "--",
      ...models,
      ...words,
      "--low-batch",
      "4",
      "--out",
      "three",
    );
    requireSuccess({ code, output });
    assert.deepEqual(await configs(), deployed);
    assert.match(output, /^bert-norm, middle +samples .* over behind high /m);
    for (const phase of ["middle alone", "middle behind high", "triton", "xsched"]) {
      assert.match(output, new RegExp(`^${phase} +\\d+ +\\d`, "m"));
    }
    const { run } = JSON.parse(
      fs.readFileSync(workspace.file("three", "results.json"), "utf8"),
    ) as ResultsFile;
    assert.deepEqual(run.batch, { [HIGH]: 1, "bert-norm": 1, [LOW]: 4 });
  });

  it("measures over gRPC by address, without a stack", async () => {
    const { http, grpc } = JSON.parse(
      (await workspace.run(process.execPath, ["-e", PRINT_ENDPOINTS])).output,
    ) as Record<string, string>;
    const words = ["--url", http!.replace("127.0.0.1", "localhost"), "--protocol", "grpc", "--grpc", grpc!];
    const short = [
      "--samples",
      "8",
      "--rounds",
      "1",
      "--rate",
      "20",
      "--warm-up",
      "0.1",
      "--out",
      "by-address",
    ];
    const bench = ["bench", "--", "--high", HIGH, "--low", LOW, ...words, ...short];
    const locked = await workspace.npm(...bench);
    assert.equal(locked.code, 1);
    assert.match(locked.output, /This API is restricted[^]*fix: .*XSCHED_TRITON_CONTROL_KEY/);
    const key = fs.readFileSync(workspace.file(".local/hosts/local/server/control-key"), "utf8").trim();
    const environment = { XSCHED_TRITON_CONTROL_KEY: key };
    const { code, output } = await workspace.run("npm", ["run", "--silent", ...bench], environment);
    requireSuccess({ code, output });
    assert.match(output, /no stack was named/);
    assert.deepEqual(await configs(), deployed);
  });

  it("restores everything when interrupted", async () => {
    const { child, ended, output } = await startLongRun();
    child.kill("SIGINT");
    assert.equal(await ended, 130, output());
    assert.deepEqual(await configs(), deployed, output());
    assert.deepEqual(journals(), []);
  });

  it("after kill -9, `--restore` restores everything, and so would the next run", async () => {
    const { child, ended } = await startLongRun();
    const second = await workspace.npm("bench", "--", "--high", HIGH, "--low", LOW);
    assert.equal(second.code, 1);
    assert.match(
      second.output,
      new RegExp(`a benchmark is using the server at .* \\(process ${child.pid}\\)`),
    );
    child.kill("SIGKILL");
    await ended;
    assert.equal(await changed(), true);
    assert.equal(journals().length, 1);
    const { code, output } = await workspace.npm("bench", "--", "--restore");
    requireSuccess({ code, output });
    assert.deepEqual(await configs(), deployed, output);
    assert.deepEqual(journals(), []);
    assert.match((await workspace.npm("bench", "--", "--restore")).output, /nothing to restore/);
  });

  it("`npm run set-priority` reloads the model where no core runs, and a benchmark keeps its change", async () => {
    const changed = await workspace.npm("set-priority", "--", LOW, "-7");
    requireSuccess(changed);
    assert.match(
      changed.output,
      /^bert-low now has priority -7: it was reloaded, because nothing is scheduled on the host/,
    );
    assert.match(changed.output, /^The config of the stack "local" still has -255\./m);
    assert.deepEqual(await triton.priority(LOW), { triton: "PRIORITY_MIN", xsched: "-7" });
    const live = await configs();
    const short = ["--samples", "4", "--rounds", "1", "--rate", "20", "--warm-up", "0.1", "--out", "live"];
    const measured = await workspace.npm("bench", "--", "--high", HIGH, "--low", LOW, ...short);
    requireSuccess(measured);
    assert.deepEqual(await configs(), live);
    const back = await workspace.npm("set-priority", "--", LOW, "min");
    requireSuccess(back);
    assert.deepEqual(await configs(), deployed);
  });

  it("`npm run status -- --watch` shows the load on each model", async () => {
    const request = await triton.exampleRequest(HIGH);
    const ended = new AbortController();
    const load = (async () => {
      while (!ended.signal.aborted) assert.equal((await triton.infer(HIGH, request)).status, 200);
    })();
    const { code, output } = await workspace.npm("status", "--", "--watch", "1", "--screens", "2");
    ended.abort();
    await load;
    requireSuccess({ code, output });
    const [, first, second] = /^(bert-high .*)$[^]*^(bert-high .*)$/m.exec(output) ?? [];
    assert.match(first ?? "", /^bert-high +255 +yes( +–){5}$/, output);
    const [rate = 0, queue = 0, compute = 0] = (second?.split(/ +/) ?? []).slice(3).map(Number);
    assert.ok(rate > 1 && queue > 0 && compute > 0, output);
    assert.match(output, /^Nothing is scheduled: this server runs as a process/m);
  });

  it("only sends load to a model, and reports how punctually", async () => {
    const { code, output } = await workspace.npm(
      "bench",
      "--",
      "--high",
      HIGH,
      "--load",
      "1",
      "--rate",
      "20",
    );
    requireSuccess({ code, output });
    assert.match(
      output,
      /^20 requests in 0\.9 s, 20 answered\nsent late: P50 \S+, P99 \S+, at most \S+ ms\n/m,
    );
  });

  it("refuses missing models and a wrong order, and changes nothing", async () => {
    const unknown = await workspace.npm("bench", "--", "--high", "bert-hihg", "--low", LOW);
    assert.equal(unknown.code, 1);
    assert.match(
      unknown.output,
      /^error: the model "bert-hihg" is not ready.*\nfix: use a model that is ready: .*bert-high/m,
    );
    const exchanged = await workspace.npm("bench", "--", "--high", LOW, "--low", HIGH);
    assert.equal(exchanged.code, 1);
    assert.match(
      exchanged.output,
      /^error: the priority of "bert-low" is -255, which is not above that of "bert-high", 255$/m,
    );
    assert.deepEqual(await configs(), deployed);
    assert.deepEqual(journals(), []);
  });
});

/** Prints the endpoints of the local stack's server, as the commands find them. */
const PRINT_ENDPOINTS = `import("./scripts/deployed-server.mjs").then(async ({ deployedServer }) => console.log(JSON.stringify((await deployedServer("local")).endpoints)))`;
