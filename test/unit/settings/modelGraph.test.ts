import assert from "node:assert/strict";

import * as fc from "fast-check";

import { modelDependencies } from "../../../components/models/config";
import { context, ensemble, parsed, refusal } from "./context";
import { runs } from "../../properties";

const source = "models/a";
const step = (name: string, more: object = {}): object => ({ name, source, ...more });

/** Priorities as read, and the messages. */
function priorities(models: readonly object[]): readonly [Record<string, number>, readonly string[]] {
  const messages: string[] = [];
  const settings = parsed({ models }, (message) => messages.push(message));
  return [Object.fromEntries(settings.models.map(({ name, priority }) => [name, priority])), messages];
}

describe("priority of an ensemble", () => {
  it("applies to those models of its steps that have none, and says so", () => {
    const models = [
      step("a"),
      step("b", { priority: 0 }),
      { name: "p", source: "models/p", priority: "max" },
      step("other"),
    ];
    assert.deepEqual(priorities(models), [
      { a: 255, b: 0, p: 255, other: 0 },
      ["priority of the ensemble p applies to those models of its steps that have none: a"],
    ]);
  });

  it("of several is the most urgent, also through ensembles without one", () => {
    const models = [
      step("low", { priority: -3, config: ensemble("inner", "own") }),
      step("high", { priority: 7, config: ensemble("inner") }),
      step("inner", { config: ensemble("leaf") }),
      step("leaf"),
      step("own", { priority: 1 }),
    ];
    assert.deepEqual(priorities(models), [
      { low: -3, high: 7, inner: 7, leaf: 7, own: 1 },
      ["priority of the ensemble high applies to those models of its steps that have none: inner, leaf"],
    ]);
  });

  it("is not spoken of where nothing takes it", () => {
    assert.deepEqual(priorities([step("a"), step("b"), { name: "p", source: "models/p" }])[1], []);
    assert.deepEqual(
      priorities([
        step("a", { priority: 1 }),
        step("b", { priority: 2 }),
        { name: "p", source: "models/p", priority: 3 },
      ])[1],
      [],
    );
  });

  it("stays the same when settings are read again", () => {
    const { models } = parsed({
      models: [step("a"), step("b"), { name: "p", source: "models/p", priority: 9 }],
    });
    const again = parsed({ models: models.map((model) => ({ ...model })) });
    assert.deepEqual(again.models, models);
  });
});

describe("the source of an ensemble", () => {
  it("may lack the version folder, which is empty and which Git does not keep", () => {
    const { models } = parsed({ models: [step("a"), { name: "q", source: "models/q" }] });
    assert.equal(models[1]?.source, "/project/models/q");
  });
});

describe("dependencies of models", () => {
  it("are the steps of an ensemble and what the settings name, if the stack has them", () => {
    const served = new Set(["a", "b", "c", "p"]);
    const needed = modelDependencies(
      ensemble("b", "a", "b", "gone"),
      { name: "p", dependsOn: ["c", "a"] },
      served,
    );
    assert.deepEqual(needed, ["a", "b", "c"]);
    assert.deepEqual(modelDependencies('backend: "python"', { name: "a", dependsOn: [] }, served), []);
  });

  it("are refused exactly if they have a circle", () => {
    const name = fc.constantFrom("a", "b", "c", "d", "e");
    const model = fc.record({ name, dependsOn: fc.uniqueArray(name), steps: fc.uniqueArray(name) });
    const stack = fc.uniqueArray(model, { selector: (each) => each.name, maxLength: 5 });
    fc.assert(
      fc.property(stack, (all) => {
        const names = all.map((each) => each.name);
        const models = all.map(({ name: own, dependsOn, steps }) => ({
          name: own,
          source,
          dependsOn: dependsOn.filter((other) => other !== own && names.includes(other)),
          config: ensemble(...steps.filter((other) => names.includes(other))),
        }));
        const edges = new Map(
          all.map(({ name: own, steps }, index) => [
            own,
            [...(models[index]?.dependsOn ?? []), ...steps.filter((other) => names.includes(other))],
          ]),
        );
        if (hasCircle(edges)) assert.match(refusal({ models }).message, /break the circle/);
        else assert.equal(parsed({ models }).models.length, models.length);
      }),
      { numRuns: runs(300) },
    );
  });

  it("of a file that is malformed are not looked at", () => {
    const { models } = parsed({ models: [step("a", { config: 'platform: "ensemble' })] });
    assert.deepEqual(models[0]?.dependsOn, []);
    assert.equal(context.files.text("/project/models/a/config.pbtxt"), undefined);
  });
});

/** Takes away what needs nothing until nothing is left, or a circle. */
function hasCircle(edges: ReadonlyMap<string, readonly string[]>): boolean {
  const left = new Map(edges);
  for (let found = true; found;) {
    found = false;
    for (const [name, needed] of left) {
      if (needed.some((other) => left.has(other))) continue;
      left.delete(name);
      found = true;
    }
  }
  return left.size > 0;
}
