import * as assert from "node:assert/strict";

import { parseWeight, parseWords, setWeight } from "../../../scripts/live/setWeight";
import { modelConfig, StandInServer } from "../triton/standInServer";

const MODELS = [
  { name: "chat", priority: 40 },
  { name: "batch", priority: 40 },
];

describe("set-weight", () => {
  it("changes the weight of a model in the scheduler, loads nothing, and says how to keep it", async () => {
    const server = new StandInServer(MODELS, "explicit");
    const said = await setWeight(server, "batch", 3);
    assert.deepEqual(
      server.queues?.map(({ name, weight }) => [name, weight]),
      [
        ["chat/0", undefined],
        ["batch/0", 3],
      ],
    );
    assert.deepEqual(server.loads, []);
    assert.equal(
      said,
      [
        "batch now has weight 3: changed in the running scheduler, without delaying a request.",
        'The config of the stack "dev" still has 0. The change lasts until the model is reloaded or the server restarts; npm run up puts it back.',
        "To keep it, set in Pulumi.dev.yaml, models[1] (batch):",
        "    weight: 3",
        "and run: npm run up -- dev",
      ].join("\n"),
    );
    assert.match(
      await setWeight(server, "batch", 0),
      /^batch now has no weight: .*\nThis is also the weight in/,
    );
  });

  it("says when it is the weight in the stack's config", async () => {
    const server = new StandInServer(MODELS, "explicit");
    const config = modelConfig("batch", 40);
    server.deploy({ ...config, parameters: { ...config.parameters, xsched_weight: { string_value: "3" } } });
    assert.match(
      await setWeight(server, "batch", 3),
      /This is also the weight in the config of the stack "dev"\.$/,
    );
  });

  it("refuses where nothing is scheduled", async () => {
    await assert.rejects(setWeight(new StandInServer(MODELS), "batch", 3), {
      message: /^nothing is scheduled on the host \(this server runs as a process\)\nfix: a weight needs/,
    });
  });

  it("accepts an integer, with or without a stack", () => {
    assert.deepEqual(parseWords(["chat", "0"]), { stack: "local", model: "chat", weight: 0 });
    assert.deepEqual(parseWords(["dev", "chat", "100"]), { stack: "dev", model: "chat", weight: 100 });
    for (const text of ["101", "-1", "1.5", "", "max", "3:1"]) {
      assert.throws(() => parseWeight(text), {
        message: `"${text}" is not a weight\nfix: give an integer from 0 (none) to 100; models of equal priority share the GPU's time in the ratio of their weights`,
      });
    }
    for (const words of [[], ["chat"], ["a", "b", "1", "2"]])
      assert.throws(() => parseWords(words), /npm run set-weight/);
  });
});
