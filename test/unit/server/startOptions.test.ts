import * as assert from "node:assert/strict";

import { renderStartOptions } from "../../../components/server/startOptions";
import { LogLevel, type ServerOptions } from "../../../components/settings";
import { parsed } from "../settings/context";

const DEFAULTS = {
  ...parsed({}).server,
  gateway: false,
  drainSeconds: 0,
  memoryGiB: undefined,
  writablePaths: [],
  schedulerRequired: undefined,
  schedulerDomain: undefined,
};
const IMAGE = `registry.example/triton@sha256:${"0".repeat(64)}`;

describe("renderStartOptions", () => {
  const rendered = (changes: Partial<ServerOptions>, image?: string) =>
    JSON.parse(renderStartOptions({ ...DEFAULTS, ...changes }, image)) as Record<string, unknown>;

  it("has each setting, and tritonserver's further arguments", () => {
    assert.deepEqual(rendered({ extraFlags: ["--buffer-manager-thread-count=2"] }, IMAGE), {
      kind: "container",
      image: IMAGE,
      httpPort: 8000,
      grpcPort: 8001,
      metricsPort: 8002,
      address: "127.0.0.1",
      gateway: false,
      exitTimeoutSeconds: 30,
      drainSeconds: 0,
      writablePaths: [],
      logMegabytes: 20,
      loadTimeoutSeconds: 300,
      schedulerRequired: "onGpu",
      arguments: [
        "--log-error=true",
        "--log-warning=true",
        "--log-info=true",
        "--buffer-manager-thread-count=2",
      ],
    });
  });

  it("limits the memory of a container if it is told to, in the unit of the agent", () => {
    assert.equal(rendered({ memoryGiB: 3 }, IMAGE).memoryMegabytes, 3072);
    assert.ok(!("memoryMegabytes" in rendered({}, IMAGE)));
  });

  it("requires the scheduler as the runtime allows", () => {
    const requirement = (schedulerRequired: boolean | undefined, image?: string) =>
      rendered({ schedulerRequired }, image).schedulerRequired;
    assert.equal(requirement(undefined, IMAGE), "onGpu");
    assert.equal(requirement(true, IMAGE), "always");
    assert.equal(requirement(false, IMAGE), "never");
    assert.equal(requirement(undefined), "never");
    assert.equal(rendered({}).kind, "process");
  });

  it("names the scheduling domain of a container if it is to be another than its own", () => {
    assert.equal(rendered({ schedulerDomain: "shared" }, IMAGE).schedulerDomain, "shared");
    assert.ok(!("schedulerDomain" in rendered({}, IMAGE)));
    assert.ok(!("schedulerDomain" in rendered({ schedulerDomain: "shared" })));
  });

  it("turns a log level into Triton's flags", () => {
    const flags = (logLevel: LogLevel) => rendered({ logLevel }).arguments;
    assert.deepEqual(flags(LogLevel.Warning), ["--log-error=true", "--log-warning=true", "--log-info=false"]);
    assert.ok((flags("verbose") as string[]).includes("--log-verbose=1"));
  });
});
