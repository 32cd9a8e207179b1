import * as assert from "node:assert/strict";
import * as fs from "node:fs";
import * as os from "node:os";
import * as path from "node:path";

import { main, type Outcome } from "../../../scripts/bench/main";
import { ServingTriton } from "./servingTriton";

/** The high model computes 2 ms alone and 5 ms next to another one. */
const CHAT = {
  name: "chat",
  priority: 40,
  takes: (others: boolean) => ({
    queue: 100_000,
    compute_input: 200_000,
    compute_infer: others ? 4_500_000 : 1_500_000,
    compute_output: 300_000,
  }),
};
const BATCH = {
  name: "batch",
  priority: 0,
  takes: () => ({ queue: 7_000_000, compute_input: 0, compute_infer: 8_000_000, compute_output: 0 }),
};

describe("a benchmark of a server at an address", () => {
  let folder: string;
  let triton: ServingTriton;
  let said: string[];
  const { log, error } = console;

  beforeEach(async () => {
    folder = fs.mkdtempSync(path.join(os.tmpdir(), "bench-main-"));
    triton = await ServingTriton.start([
      CHAT,
      BATCH,
      { ...BATCH, name: "index", priority: -9 },
      { ...BATCH, name: "search", priority: 7 },
    ]);
    said = [];
    console.log = console.error = (text: string) => said.push(text);
  });

  afterEach(async () => {
    Object.assign(console, { log, error });
    await triton.stop();
    fs.rmSync(folder, { recursive: true });
  });

  const bench = (...words: string[]): Promise<Outcome> =>
    main({
      words: [
        ...["--url", triton.url, "--high", "chat", "--low", "batch", "--out", path.join(folder, "out")],
        ...["--rate", "50", "--samples", "5", "--rounds", "1", "--warm-up", "0.1", ...words],
      ],
      stackGiven: false,
      folder,
    });

  it("returns its results, with Triton's own times over each phase", async () => {
    const { status, results, folder: out } = await bench("--samples", "10", "--rounds", "2");
    assert.equal(status, 0, said.join("\n"));
    assert.equal(out, path.join(folder, "out"));
    assert.ok(results);
    assert.deepEqual(
      results.summary.server.map(({ phase, model }) => `${phase}, ${model}`),
      [
        ...["low alone, batch", "standalone, chat", "triton, chat", "triton, batch"],
        ...["triton+priority, chat", "triton+priority, batch", "xsched, chat", "xsched, batch"],
      ],
    );
    for (const { phase, model, requests, partMs, computeMs, computeRatio } of results.summary.server) {
      const where = `${phase}, ${model}`;
      if (model === "batch") {
        assert.deepEqual([partMs.queue.value, computeMs.value, computeRatio.value], [7, 8, 1], where);
        continue;
      }
      // What was counted before the benchmark, and in its warm-up, belongs to no phase.
      assert.equal(requests, 10, where);
      assert.ok(Math.abs(partMs.queue.value - 0.1) < 1e-9, where);
      assert.ok(Math.abs(partMs.compute_input.value - 0.2) < 1e-9, where);
      assert.ok(Math.abs(partMs.compute_output.value - 0.3) < 1e-9, where);
      if (phase === "standalone") {
        assert.ok(Math.abs(computeMs.value - 2) < 1e-9, where);
      } else {
        // On a busy machine, the low model can be unused for most of the time.
        assert.ok(computeMs.value > 2.2 && computeMs.value <= 5 + 1e-9, where);
        assert.ok(Math.abs(computeRatio.value - computeMs.value / 2) < 1e-9, where);
      }
    }

    const read = (name: string): string => fs.readFileSync(path.join(folder, "out", name), "utf8");
    const json = JSON.parse(read("results.json")) as {
      measurements: {
        phase: string;
        server: Record<string, { requests: number; meanMs: { queue: number } }>;
      }[];
    };
    for (const { phase, server } of json.measurements) {
      if (phase === "low alone") continue;
      assert.equal(server.chat?.requests, 5, phase);
      assert.ok(Math.abs(server.chat.meanMs.queue - 0.1) < 1e-9, phase);
    }
    assert.match(read("summary.csv"), /^standalone,chat,high server compute,mean,ms,2,2,2$/m);
    assert.match(read("summary.csv"), /^low alone,batch,low server queue,mean,ms,7,7,7$/m);
    const text = said.join("\n");
    assert.match(text, /^arm .* compute ms$/m);
    assert.match(text, /^standalone .* 2\.000 \(1\.00×\)$/m);
    assert.match(text, /^standalone, chat +0\.100 +0\.200 +1\.500 +0\.300 +2\.000 .*1\.00×/m);
  });

  it("measures the chosen arms only, and what they are compared with", async () => {
    const { status, results } = await bench("--arms", "triton,standalone");
    assert.equal(status, 0, said.join("\n"));
    assert.ok(results);
    assert.deepEqual([...new Set(results.measurements.map(({ phase }) => phase))].sort(), [
      "low alone",
      "standalone",
      "triton",
    ]);
    assert.deepEqual(
      results.summary.arms.map(({ arm }) => arm),
      ["standalone", "triton"],
    );
    assert.ok(Number.isFinite(results.summary.arms[1]!.ratio.p50.value));
    const files = fs.readdirSync(path.join(folder, "out")).sort();
    assert.deepEqual(files, ["latency.svg", "results.json", "samples.csv", "summary.csv", "throughput.svg"]);
    const svg = fs.readFileSync(path.join(folder, "out", "latency.svg"), "utf8");
    assert.deepEqual(
      [">standalone<", ">triton<", ">xsched<", "NaN"].map((text) => svg.includes(text)),
      [true, true, false, false],
    );
  });

  it("measures the high model alone, without a throughput to draw", async () => {
    const { status, results } = await bench("--arms", "standalone");
    assert.equal(status, 0, said.join("\n"));
    assert.deepEqual(
      results?.measurements.map(({ phase }) => phase),
      ["standalone"],
    );
    assert.ok(!fs.existsSync(path.join(folder, "out", "throughput.svg")));
    assert.doesNotMatch(said.join("\n"), /NaN/);
  });

  it("has no ratio where the arm that it is compared with was left out", async () => {
    const { status, results } = await bench("--arms", "xsched");
    assert.equal(status, 0, said.join("\n"));
    const [xsched] = results?.summary.arms ?? [];
    assert.ok(Number.isFinite(xsched?.latencyMs.p99.value));
    assert.ok(Number.isNaN(xsched?.ratio.p99.value));
    assert.doesNotMatch(said.join("\n"), /NaN/);
  });

  it("measures a middle model with its own open loop, and several low models, each alone and together", async () => {
    const words = [
      "--middle",
      "search",
      "--middle-rate",
      "100",
      "--low",
      "index",
      "--low-concurrency",
      "1,3",
    ];
    const { status, results } = await bench("--samples", "20", ...words);
    assert.equal(status, 0, said.join("\n"));
    assert.ok(results);
    const sent = results.measurements.map(({ phase, high, middle, lows }) =>
      [phase, ...(high ? ["chat"] : []), ...(middle ? ["search"] : []), ...Object.keys(lows)].join(" "),
    );
    assert.deepEqual(sent, [
      ...["low alone batch", "low alone index", "middle alone search", "middle behind high chat search"],
      "standalone chat",
      ...["triton", "triton+priority", "xsched"].map((arm) => `${arm} chat search batch index`),
    ]);
    const schedules = results.measurements.flatMap(({ middle }) => (middle ? [middle.intended] : []));
    const [times] = schedules;
    assert.ok(times && times.length > 20 && times.length < 70, `${times?.length} in 400 ms at 100/s`);
    for (const other of schedules) assert.deepEqual(other, times);
    for (const { phase, samples, failed } of results.summary.middle) {
      assert.deepEqual([samples, failed], [times.length, 0], phase);
    }
    for (const { arm, lows } of results.summary.arms.slice(1)) {
      assert.deepEqual(
        lows.map(({ model, failed }) => [model, failed]),
        [
          ["batch", 0],
          ["index", 0],
        ],
        arm,
      );
    }
    // Each low model gets the concurrency that was given for it.
    assert.deepEqual(
      ["batch", "index"].map((model) => triton.mostInFlight(model)),
      [1, 3],
    );
    const server = results.summary.server.filter(({ phase }) => phase === "xsched").map(({ model }) => model);
    assert.deepEqual(server, ["chat", "search", "batch", "index"]);
    assert.ok(fs.existsSync(path.join(folder, "out", "latency-middle.svg")));
    const rows = fs.readFileSync(path.join(folder, "out", "samples.csv"), "utf8").split("\n");
    assert.equal(rows.filter((row) => row.startsWith("1,xsched,search,")).length, times.length);
    assert.doesNotMatch(said.join("\n"), /NaN|undefined/);
  });

  it("shows an earlier run beside its own, and the ratio of the high model alone in both", async () => {
    const stock = path.join(folder, "stock");
    const arms = ["--arms", "standalone,triton"];
    const earlier = await bench("--out", stock, ...arms);
    assert.equal(earlier.status, 0, said.join("\n"));
    triton.slowdown = 1.5;
    said.length = 0;
    const { status, results } = await bench("--compare", stock, "--arms", "standalone,xsched");
    assert.equal(status, 0, said.join("\n"));
    const text = said.join("\n");
    for (const arm of ["standalone", "xsched", "stock: standalone", "stock: triton"]) {
      assert.match(text, new RegExp(`^${arm} +5 `, "m"));
    }
    assert.match(
      text,
      /^standalone over that of stock \(Triton 2\.51\.0 at \S+, \S+\): (\S+ \/ ){2}\S+, compute 1\.500×$/m,
    );
    const p50 = (of: Outcome) => of.results!.summary.arms[0]!.latencyMs.p50.value;
    const json = JSON.parse(fs.readFileSync(path.join(folder, "out", "results.json"), "utf8")) as {
      compared: { standalone: { name: string; latency: { p50: number }; compute: number } }[];
    };
    const [{ name, latency, compute }] = json.compared.map(({ standalone }) => standalone) as [
      (typeof json.compared)[0]["standalone"],
    ];
    assert.equal(name, "stock");
    assert.ok(Math.abs(compute - 1.5) < 1e-9);
    assert.ok(Math.abs(latency.p50 - p50({ status, results }) / p50(earlier)) < 1e-9);
    const csv = fs.readFileSync(path.join(folder, "out", "summary.csv"), "utf8");
    assert.match(csv, /^standalone,chat,high server compute over stock: standalone,mean,,1\.5,,$/m);
    assert.match(csv, /^stock: triton,chat,high latency,p50,ms,\d/m);
  });

  it("refuses to compare with another load, before it changes anything", async () => {
    const stock = path.join(folder, "stock");
    assert.equal((await bench("--out", stock, "--arms", "standalone")).status, 0);
    const loads = triton.loads.length;
    await assert.rejects(
      bench("--compare", stock, "--rate", "100", "--low-batch", "8"),
      /had another load:\nmilliseconds between its requests: 20 then, 10 now\nlow models: .*"batch":1.* then, .*"batch":8.* now\n/,
    );
    await assert.rejects(
      bench("--compare", folder),
      /the results to compare with can't be read: .*results\.json/,
    );
    const results = path.join(stock, "results.json");
    fs.writeFileSync(results, fs.readFileSync(results, "utf8").replace(/"form": \d+/, '"form": 1'));
    await assert.rejects(bench("--compare", stock), /was not written by this release's benchmark/);
    assert.deepEqual(triton.loads.slice(loads), []);
  });

  it("refuses a middle model that is not between the others", async () => {
    await assert.rejects(
      bench("--middle", "index"),
      /the priority of "index" is -9, which is not above that of "batch", 0\nfix: swap --middle and --low/,
    );
  });

  it("leaves the models as they were, and takes any order of them where their own priorities do not count", async () => {
    const deployed = [triton.config("chat"), triton.config("batch")];
    const { status } = await bench("--arms", "triton", "--high", "index", "--low", "chat");
    assert.equal(status, 0, said.join("\n"));
    assert.deepEqual([triton.config("chat"), triton.config("batch")], deployed);
    await assert.rejects(
      bench("--arms", "standalone,xsched", "--high", "index"),
      /the priority of "index" is -9, which is not above that of "batch", 0/,
    );
  });
});
