import assert from "node:assert/strict";

import { loadScript } from "./load";

const { modelTable, outsiderLines } = loadScript("server-status.mjs") as {
  readonly modelTable: (models: readonly object[]) => string;
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
