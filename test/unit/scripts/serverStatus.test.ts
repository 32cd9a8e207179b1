import assert from "node:assert/strict";

import { loadScript } from "../../scripts";

const { answerOf, buildLines, modelTable, outsiderLines, placeLines } = loadScript("server-status.mjs") as {
  readonly answerOf: (text: string) => unknown;
  readonly modelTable: (models: readonly object[]) => string;
  readonly placeLines: (outputs: { aws?: object }) => string[];
  readonly buildLines: (server: { builds?: readonly object[] }) => string[];
  readonly outsiderLines: (server: {
    outsiders?: readonly { pid: number; name: string }[] | null;
  }) => string[];
};

describe("the table of models", () => {
  const chat = { name: "chat", version: "1", priority: 40, ready: true, reason: "" };
  const batch = { ...chat, name: "batch", priority: null, ready: false, reason: "no room" };

  it("has the floors where a model has one", () => {
    assert.deepEqual(
      modelTable([
        { ...chat, floor: 0 },
        { ...batch, floor: 20 },
      ]).split("\n"),
      [
        "model  version  priority  floor  ready",
        "─────  ───────  ────────  ─────  ───────────",
        "chat   1        40        –      yes",
        "batch  1        –         20 %   no: no room",
      ],
    );
  });

  it("has the weights where a model has one, beside the floors", () => {
    assert.equal(
      modelTable([
        { ...chat, floor: 20, weight: 0 },
        { ...batch, floor: 0, weight: 3 },
      ])
        .split("\n", 1)
        .join(),
      "model  version  priority  floor  weight  ready",
    );
    assert.match(
      modelTable([{ ...batch, weight: 3 }]),
      /^model {2}version {2}priority {2}weight {2}ready\n.*\n.* 3 +no/,
    );
  });

  it("has no floors where there are none, or where a host of an earlier release does not tell", () => {
    for (const floor of [0, null, undefined]) {
      assert.match(modelTable([{ ...chat, floor }]), /^model {2}version {2}priority {2}ready\n/);
    }
  });
});

describe("what is said of programs on the GPU that nothing holds back", () => {
  it("names each, and the way in", () => {
    const outsiders = [
      { pid: 71, name: "/usr/bin/python3" },
      { pid: 90, name: "/opt/train" },
    ];
    const [first, second] = outsiderLines({ outsiders });
    assert.match(first!, /: \/usr\/bin\/python3 \(process 71\), \/opt\/train \(process 90\)\.$/);
    assert.match(second!, /xsched-run/);
  });

  it("is nothing where there are none, or where a host of an earlier release does not tell", () => {
    assert.deepEqual(outsiderLines({ outsiders: [] }), []);
    assert.deepEqual(outsiderLines({ outsiders: null }), []);
    assert.deepEqual(outsiderLines({}), []);
  });
});

describe("what is said of engines that are being built", () => {
  const build = { model: "bert", version: "3" };

  it("is how long it has taken, and whether models come first", () => {
    assert.deepEqual(
      buildLines({
        builds: [
          { ...build, below: true, seconds: 759 },
          { ...build, model: "gpt", below: false, seconds: 59 },
        ],
      }),
      [
        "Building the engine of bert, version 3, for 12 min: models come first.",
        "Building the engine of gpt, version 3, for 59 s: its builder is in no scheduling domain, so models share the GPU with it.",
      ],
    );
  });

  it("is nothing where none is built, or where a host of an earlier release does not tell", () => {
    assert.deepEqual(buildLines({ builds: [] }), []);
    assert.deepEqual(buildLines({}), []);
  });
});

describe("what is said of the instance on AWS", () => {
  const aws = { instanceId: "i-0123456789abcdef0", instanceType: "g5.xlarge", zone: "us-east-1b" };

  it("is where it is, and why it is not where the settings prefer it to be", () => {
    assert.deepEqual(placeLines({ aws: { ...aws, onSpot: true, passedOver: [] } }), [
      "On AWS: i-0123456789abcdef0, a g5.xlarge in us-east-1b, on spot capacity",
    ]);
    const passedOver = ["g5.xlarge in us-east-1b, on spot capacity: InsufficientInstanceCapacity: none"];
    assert.deepEqual(placeLines({ aws: { ...aws, onSpot: false, passedOver } }), [
      "On AWS: i-0123456789abcdef0, a g5.xlarge in us-east-1b, on demand",
      "AWS had no capacity for what comes first in the settings:",
      "  g5.xlarge in us-east-1b, on spot capacity: InsufficientInstanceCapacity: none",
    ]);
  });

  it("is when it stops on purpose, too", () => {
    const lines = (stops: object): string[] =>
      placeLines({ aws: { ...aws, onSpot: false, passedOver: [], stops } }).slice(1);
    assert.deepEqual(lines({ idleMinutes: 30 }), ["It stops itself after 30 min without a request."]);
    assert.deepEqual(lines({ start: "cron(a)", stop: "cron(b)", timeZone: "UTC" }), [
      "By its schedule, it starts at cron(a) and stops at cron(b), UTC.",
    ]);
    assert.deepEqual(lines({ idleMinutes: 10, stop: "cron(b)", timeZone: "UTC" }), [
      "It stops itself after 10 min without a request.",
      "By its schedule, it stops at cron(b), UTC.",
    ]);
  });

  it("is nothing for another host, or before an up of this release", () => {
    assert.deepEqual(placeLines({}), []);
    assert.deepEqual(placeLines({ aws: { instanceId: "i-0123456789abcdef0" } }), []);
  });
});

describe("the answer of a host's agent", () => {
  it("is what its JSON says", () => {
    assert.deepEqual(answerOf('{"running":true}\n'), { running: true });
  });

  it("is an error for the user where the login shell has ended before", () => {
    const told = (text: RegExp) => (error: { message: string; isForUser?: boolean }) =>
      error.isForUser === true && text.test(error.message);
    assert.throws(() => answerOf(""), told(/^error: the host has not run the command\nfix: .*\.bashrc/));
    assert.throws(() => answerOf("Welcome\n"), told(/its shell has printed: Welcome\nfix: /));
  });
});
