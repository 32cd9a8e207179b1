import assert from "node:assert/strict";

import { loadScript } from "./load";

const { outsiderLines } = loadScript("server-status.mjs") as {
  readonly outsiderLines: (server: {
    outsiders?: readonly { pid: number; name: string }[] | null;
  }) => string[];
};

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
