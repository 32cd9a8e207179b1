import * as assert from "node:assert/strict";

import { parsePriority, parseWords, setPriority } from "../../../scripts/live/setPriority";
import { modelConfig, StandInServer } from "../triton/standInServer";

const MODELS = [
  { name: "chat", priority: 40 },
  { name: "batch", priority: -255 },
];

describe("set-priority", () => {
  it("changes the queues of a model where they are scheduled, and loads nothing", async () => {
    const server = new StandInServer(MODELS, "explicit");
    const said = await setPriority(server, "chat", 90);
    assert.equal(server.queuePriority("chat"), 90);
    assert.equal(server.queuePriority("batch"), -255);
    assert.deepEqual(server.loads, []);
    assert.match(said, /^chat now has priority 90: changed in the running scheduler/);
  });

  it("reloads a model where nothing is scheduled, with both priorities changed and all else unchanged", async () => {
    const server = new StandInServer(MODELS);
    const said = await setPriority(server, "batch", 7);
    assert.deepEqual(server.config("batch"), modelConfig("batch", 7));
    assert.deepEqual(server.config("chat"), modelConfig("chat", 40));
    assert.deepEqual(server.loads, ["batch overridden"]);
    assert.match(
      said,
      /^batch now has priority 7: it was reloaded, because nothing is scheduled on the host/,
    );
  });

  it("reloads a model if the scheduler does not know its queues", async () => {
    const server = new StandInServer(MODELS, "transparent");
    const said = await setPriority(server, "batch", 7);
    assert.match(said, /reloaded, because xsched-ctl priority batch 7: no queue is called batch/);
    assert.equal(server.queuePriority("batch"), 255);
  });

  it("says what to set in the stack's config to keep the change", async () => {
    const said = await setPriority(new StandInServer(MODELS, "explicit"), "batch", 7);
    assert.ok(
      said.endsWith(
        [
          'The config of the stack "dev" still has -255. The change lasts until the model is reloaded or the server restarts; npm run up puts it back.',
          "To keep it, set in Pulumi.dev.yaml, models[1] (batch):",
          "    priority: 7",
          "and run: npm run up -- dev",
        ].join("\n"),
      ),
      said,
    );
  });

  it("says that a model which was reloaded for it gets its own priority back", async () => {
    const said = await setPriority(new StandInServer(MODELS), "batch", 7);
    assert.match(said, /server restarts; npm run up puts it back\.$/m);
  });

  it("goes back to the stack's own configuration with the stack's own priority", async () => {
    const server = new StandInServer(MODELS);
    await setPriority(server, "chat", 90);
    const said = await setPriority(server, "chat", 40);
    assert.deepEqual(server.loads, ["chat overridden", "chat"]);
    assert.match(said, /This is also the priority in the config of the stack "dev"\.$/);
  });

  it("names the models of an ensemble, which runs nothing itself", async () => {
    const server = new StandInServer(MODELS);
    const steps = (...names: string[]) => ({ step: names.map((name) => ({ model_name: name })) });
    server.deploy({ name: "prep" });
    server.deploy({ name: "inner", ensemble_scheduling: steps("chat", "prep") });
    server.deploy({ name: "batch", ensemble_scheduling: steps("prep", "inner", "prep") });
    await assert.rejects(setPriority(server, "batch", 7), {
      message:
        "batch is an ensemble, which has no priority on the GPU\n" +
        "fix: set the priority of the models that it is made of: prep, chat",
    });
    assert.deepEqual(server.loads, []);
  });

  it("lists the models", async () => {
    await assert.rejects(setPriority(new StandInServer(MODELS), "chta", 1), {
      message: 'the stack "dev" has no model "chta"\nfix: use one of its models: chat, batch',
    });
  });

  it("accepts an integer or a name, with or without a stack", () => {
    assert.deepEqual(parseWords(["chat", "-100"]), { stack: "local", model: "chat", priority: -100 });
    assert.deepEqual(parseWords(["dev", "chat", "max"]), { stack: "dev", model: "chat", priority: 255 });
    assert.equal(Object.is(parsePriority("-0"), 0), true);
    for (const text of ["256", "-256", "1.5", "", "high", "0x10", "constructor"]) {
      assert.throws(() => parsePriority(text), {
        message: new RegExp(`^"${text}" is not a priority\nfix: give an integer from -255 to 255`),
      });
    }
    for (const words of [[], ["chat"], ["a", "b", "1", "2"]])
      assert.throws(() => parseWords(words), /npm run set-priority/);
  });
});
