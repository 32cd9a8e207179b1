import * as assert from "node:assert/strict";

import { type Sample } from "../../../scripts/live/sample";
import { screen } from "../../../scripts/live/screen";
import { parseWatch } from "../../../scripts/live/watch";

const GPU = `# TYPE nv_gpu_utilization gauge
nv_gpu_utilization{gpu_uuid="GPU-1"} 0.83
nv_gpu_memory_total_bytes{gpu_uuid="GPU-1"} 16106127360
nv_gpu_memory_used_bytes{gpu_uuid="GPU-1"} 5368709120
nv_gpu_power_usage{gpu_uuid="GPU-1"} 61.2
`;

/** @param requests answered so far, each with 2 ms in the queue and 5 ms of computation */
function sample(seconds: number, requests: number, blockedMs: number, more: Partial<Sample> = {}): Sample {
  const statistics = (name: string, count: number) => ({
    name,
    inference_stats: {
      success: { count, ns: count * 7e6 },
      // Some releases write 64-bit numbers as strings.
      queue: { count, ns: String(count * 2e6) },
      compute_infer: { count, ns: count * 5e6 },
    },
  });
  const model = { ready: true, reason: "" };
  return {
    seconds,
    server: {
      running: true,
      version: "2.23.0",
      http: "127.0.0.1:8000",
      models: [
        { name: "chat", priority: 255, ...model },
        { name: "batch", priority: -255, ...model },
      ],
    },
    statistics: { model_stats: [statistics("chat", requests), statistics("batch", 0)] },
    metrics: GPU,
    queues: {
      queues: [
        {
          id: 1,
          name: "chat/0",
          priority: 255,
          launches: 1,
          blocked: 0,
          blocked_ns: 0,
          preemptions: requests,
        },
        {
          id: 2,
          name: "batch/0",
          priority: -255,
          launches: 1,
          blocked: 1,
          blocked_ns: blockedMs * 5e5,
          preemptions: 0,
        },
        {
          id: 3,
          name: "batch/1",
          priority: -255,
          launches: 1,
          blocked: 1,
          blocked_ns: blockedMs * 5e5,
          preemptions: 0,
        },
      ],
    },
    noQueues: "",
    ...more,
  };
}

/** The cells of a model's row. */
function cells(text: string, model: string): string[] {
  const line = text.split("\n").find((found) => found.startsWith(`${model} `));
  return line?.split(/ {2,}/) ?? [];
}

describe("the screen of status --watch", () => {
  it("shows what happened between two samples", () => {
    const text = screen("dev", sample(100, 50, 0), sample(104, 90, 1000));
    assert.deepEqual(cells(text, "chat"), ["chat", "255", "yes", "10.0", "2.00", "5.00", "0 %", "10.0"]);
    assert.deepEqual(cells(text, "batch"), ["batch", "-255", "yes", "0.0", "–", "–", "25 %", "0.0"]);
    assert.match(text, /^GPU GPU-1: use 83 %, memory 5\.0 of 15\.0 GiB$/m);
  });

  it("shows no rates at the start", () => {
    assert.deepEqual(cells(screen("dev", undefined, sample(100, 50, 0)), "chat"), [
      "chat",
      "255",
      "yes",
      "–",
      "–",
      "–",
      "–",
      "–",
    ]);
  });

  it("counts a reloaded model from zero", () => {
    assert.deepEqual(cells(screen("dev", sample(100, 50, 0), sample(104, 20, 0)), "chat").slice(3), [
      "5.0",
      "2.00",
      "5.00",
      "0 %",
      "5.0",
    ]);
  });

  it("shows a priority that was changed live, and the configured one", () => {
    const now = sample(104, 90, 0);
    const changed = { queues: now.queues!.queues.map((queue) => ({ ...queue, priority: 7 })) };
    assert.deepEqual(cells(screen("dev", undefined, { ...now, queues: changed }), "batch").slice(0, 2), [
      "batch",
      "7 (config: -255)",
    ]);
  });

  it("shows floors where a model has one: what it has had of it, and the configured one after a change", () => {
    const now = sample(104, 90, 0);
    const models = now.server.models.map((model) => ({ ...model, floor: model.name === "batch" ? 20 : 0 }));
    const withFloors = (floor_percent: number, used_percent?: number) => ({
      ...now,
      server: { ...now.server, models },
      queues: {
        queues: now.queues!.queues.map((queue) =>
          queue.name === "batch/1" ? { ...queue, floor_percent, used_percent } : queue,
        ),
      },
    });
    const shown = (floor: number, used?: number): string[] => {
      const text = screen("dev", undefined, withFloors(floor, used));
      assert.deepEqual(cells(text, "chat").slice(0, 4), ["chat", "255", "–", "yes"]);
      return cells(text, "batch").slice(1, 4);
    };
    assert.deepEqual(shown(20, 12.5), ["-255", "12.5 of 20 %", "yes"]);
    assert.deepEqual(shown(30, 0), ["-255", "0 of 30 % (config: 20 %)", "yes"]);
    // No queue yet, or in a process of its own.
    assert.deepEqual(shown(0), ["-255", "20 %", "yes"]);
    assert.equal(screen("dev", undefined, now).includes("floor"), false);
    assert.equal(screen("dev", undefined, now).includes("weight"), false);
  });

  it("shows weights where a model has one, and the configured one after a change", () => {
    const now = sample(104, 90, 0);
    const shown = (live: number | undefined, inConfig: number): string[] => {
      const models = now.server.models.map((model) => ({
        ...model,
        weight: model.name === "batch" ? inConfig : 0,
      }));
      const queues = now.queues!.queues.map((queue) => ({
        ...queue,
        weight: queue.name.startsWith("batch/") ? live : 0,
      }));
      const text = screen("dev", undefined, {
        ...now,
        server: { ...now.server, models },
        queues: { queues },
      });
      assert.deepEqual(cells(text, "chat").slice(0, 4), ["chat", "255", "–", "yes"]);
      return cells(text, "batch").slice(1, 4);
    };
    assert.deepEqual(shown(3, 3), ["-255", "3", "yes"]);
    assert.deepEqual(shown(0, 3), ["-255", "0 (config: 3)", "yes"]);
    assert.deepEqual(shown(7, 0), ["-255", "7 (config: 0)", "yes"]);
    // A scheduler of an earlier release.
    assert.deepEqual(shown(undefined, 3), ["-255", "3", "yes"]);
  });

  it("says why nothing is scheduled, and that there is no GPU", () => {
    const cpu = { queues: null, noQueues: "this server runs as a process", metrics: "" };
    const text = screen("local", sample(100, 50, 0, cpu), sample(104, 90, 0, cpu));
    assert.match(text, /^Nothing is scheduled: this server runs as a process\.$/m);
    assert.match(text, /^No GPU/m);
    assert.deepEqual(cells(text, "chat").slice(6), ["–", "–"]);
  });

  it("says why a model is not ready, and that no Triton runs", () => {
    const now = sample(104, 90, 0);
    const models = [{ name: "chat", priority: null, ready: false, reason: "out of memory" }];
    const text = screen("dev", undefined, { ...now, queues: null, server: { ...now.server, models } });
    assert.deepEqual(cells(text, "chat").slice(0, 3), ["chat", "–", "no"]);
    assert.match(text, /^chat: out of memory$/m);
    assert.equal(
      screen("dev", undefined, { ...now, server: { ...now.server, running: false } }),
      'No Triton serves on the stack "dev".',
    );
  });

  it("names engines that are being built", () => {
    const now = sample(104, 90, 0);
    const build = { model: "bert", version: "1", below: true };
    const builds = [build, { ...build, version: "2", below: false }];
    const text = screen("dev", undefined, { ...now, server: { ...now.server, builds } });
    assert.match(text, /^The engine of bert, version 1, is being built below the models\.$/m);
    assert.match(text, /^The engine of bert, version 2, is being built beside the models\.$/m);
    assert.doesNotMatch(screen("dev", undefined, now), /engine/);
  });

  it("refreshes every two seconds, or as requested", () => {
    assert.deepEqual(parseWatch(["--watch"]), { seconds: 2 });
    assert.deepEqual(parseWatch(["--watch", "5"]), { seconds: 5 });
    assert.deepEqual(parseWatch(["--watch=0.5", "--screens", "3"]), { seconds: 0.5, screens: 3 });
    for (const words of [
      ["--watch=0"],
      ["--watch", "x"],
      ["--watch="],
      ["--watch", "1", "--screens"],
      ["--watch", "1", "2"],
      ["--watch", "--screens", "0"],
    ]) {
      assert.throws(() => parseWatch(words), /\nfix: /, words.join(" "));
    }
  });
});
