import * as assert from "node:assert/strict";

import { parseFloor, parseWords, setFloor } from "../../../scripts/live/setFloor";
import { modelConfig, StandInServer } from "../triton/standInServer";

const MODELS = [
  { name: "chat", priority: 40 },
  { name: "batch", priority: -255 },
];

describe("set-floor", () => {
  it("changes the floor of a model in the scheduler, loads nothing, and says how to keep it", async () => {
    const server = new StandInServer(MODELS, "explicit");
    const said = await setFloor(server, "batch", 20);
    assert.deepEqual(
      server.queues?.map(({ name, floor_percent }) => [name, floor_percent]),
      [
        ["chat/0", undefined],
        ["batch/0", 20],
      ],
    );
    assert.deepEqual(server.loads, []);
    assert.equal(
      said,
      [
        "batch now has a floor of 20 %: changed in the running scheduler, without delaying a request.",
        'The config of the stack "dev" still has 0. The change lasts until the model is reloaded or the server restarts; npm run up puts it back.',
        "To keep it, set in Pulumi.dev.yaml, models[1] (batch):",
        "    floor: 20",
        "and run: npm run up -- dev",
      ].join("\n"),
    );
  });

  it("says when it is the floor in the stack's config", async () => {
    const server = new StandInServer(MODELS, "explicit");
    const config = modelConfig("batch", -255);
    server.deploy({ ...config, parameters: { ...config.parameters, xsched_floor: { string_value: "20" } } });
    assert.match(
      await setFloor(server, "batch", 20),
      /This is also the floor in the config of the stack "dev"\.$/,
    );
  });

  it("refuses where nothing is scheduled, what the scheduler refuses, and a model that the stack lacks", async () => {
    await assert.rejects(setFloor(new StandInServer(MODELS), "batch", 20), {
      message: /^nothing is scheduled on the host \(this server runs as a process\)\nfix: a floor needs/,
    });
    await assert.rejects(setFloor(new StandInServer(MODELS, "transparent"), "batch", 20), {
      message: "xsched-ctl floor batch 20: no queue is called batch",
    });
    await assert.rejects(setFloor(new StandInServer(MODELS), "chta", 1), {
      message: 'the stack "dev" has no model "chta"\nfix: use one of its models: chat, batch',
    });
  });

  it("accepts an integer, with or without a stack", () => {
    assert.deepEqual(parseWords(["chat", "0"]), { stack: "local", model: "chat", floor: 0 });
    assert.deepEqual(parseWords(["dev", "chat", "50"]), { stack: "dev", model: "chat", floor: 50 });
    for (const text of ["51", "-1", "1.5", "", "max", "0x10"]) {
      assert.throws(() => parseFloor(text), {
        message: `"${text}" is not a floor\nfix: give an integer from 0 (none) to 50, in percent of the GPU's time`,
      });
    }
    for (const words of [[], ["chat"], ["a", "b", "1", "2"]])
      assert.throws(() => parseWords(words), /npm run set-floor/);
  });
});
