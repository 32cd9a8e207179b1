import * as assert from "node:assert/strict";

import { parsed, refusal } from "./context";

const aws = { kind: "aws", instanceType: "g5.xlarge", adminCidrs: ["203.0.113.7/32"] };
const watched = (monitoring: object): unknown => ({
  host: aws,
  runtime: { kind: "container", build: {} },
  monitoring: { kind: "cloudwatch", notify: ["ops@example.com"], ...monitoring },
});

describe("monitoring in the stack config", () => {
  it("has defaults for everything but the recipients", () => {
    assert.deepEqual(parsed(watched({})).monitoring, {
      kind: "cloudwatch",
      notify: ["ops@example.com"],
      diskPercent: 85,
      gpuMemoryPercent: 95,
      notReadyMinutes: 3,
      logDays: 30,
      dashboard: true,
    });
    assert.deepEqual(parsed({}).monitoring, { kind: "none" });
  });

  it("says what to type if there are no recipients", () => {
    const [fault, ...more] = refusal(watched({ notify: undefined })).faults;
    assert.deepEqual(more, []);
    assert.equal(fault?.path, "monitoring.notify");
    assert.equal(fault.fix, "pulumi config set --path 'xsched-triton:monitoring.notify[0]' you@example.com");
  });

  for (const [given, path, fix] of [
    [{ notify: ["ops"] }, "monitoring.notify[0]", "give one address, for example ops@example.com"],
    [{ notify: ["a@b"] }, "monitoring.notify[0]", "give one address, for example ops@example.com"],
    [
      { notify: ["http://pager.example.com"] },
      "monitoring.notify[0]",
      "use https: alarms name your machines",
    ],
    [{ logDays: 31 }, "monitoring.logDays", "give 60"],
    [{ logDays: 9999 }, "monitoring.logDays", "give 30"],
    [{ diskPercent: 100 }, "monitoring.diskPercent", "give an integer from 1 to 99, for example 85"],
    [{ notReadyMinutes: 0 }, "monitoring.notReadyMinutes", "give an integer from 1 to 60, for example 3"],
    [{ notfy: [] }, "monitoring.notfy", "did you mean notify?"],
  ] as const) {
    it(`refuses ${JSON.stringify(given)}`, () => {
      const { faults } = refusal(watched(given));
      assert.deepEqual(
        faults.map((fault) => [fault.path, fault.fix]),
        [[path, fix]],
      );
    });
  }
});
