import * as assert from "node:assert/strict";

import { renderStartOptions } from "../../../components/server/startOptions";
import { LogLevel } from "../../../components/settings";
import { parsed } from "../settings/context";

const DEFAULTS = { ...parsed({}).server, drainSeconds: 0, schedulerRequired: undefined };

describe("renderStartOptions", () => {
  it("writes one value per line, then tritonserver's arguments", () => {
    assert.equal(
      renderStartOptions({ ...DEFAULTS, extraFlags: ["--buffer-manager-thread-count=2"] }, true),
      [
        "httpPort 8000",
        "grpcPort 8001",
        "metricsPort 8002",
        "address 127.0.0.1",
        "exitTimeoutSeconds 30",
        "logMegabytes 20",
        "loadTimeoutSeconds 300",
        "schedulerRequired onGpu",
        "arg --log-error=true",
        "arg --log-warning=true",
        "arg --log-info=true",
        "arg --buffer-manager-thread-count=2",
        "",
      ].join("\n"),
    );
  });

  it("requires the scheduler as the runtime allows", () => {
    const requirement = (schedulerRequired: boolean | undefined, container: boolean): string | undefined =>
      /^schedulerRequired (.*)$/m.exec(
        renderStartOptions({ ...DEFAULTS, schedulerRequired }, container),
      )?.[1];
    assert.equal(requirement(undefined, true), "onGpu");
    assert.equal(requirement(true, true), "always");
    assert.equal(requirement(false, true), "never");
    assert.equal(requirement(undefined, false), "never");
  });

  it("has a line for the drain only if there is one", () => {
    const lines = renderStartOptions({ ...DEFAULTS, drainSeconds: 15 }, true).split("\n");
    assert.deepEqual(
      lines.filter((line) => line.startsWith("drain")),
      ["drainSeconds 15"],
    );
  });

  it("turns a log level into Triton's flags", () => {
    const flags = (logLevel: LogLevel) =>
      renderStartOptions({ ...DEFAULTS, logLevel }, true)
        .split("\n")
        .filter((line) => line.startsWith("arg "));
    assert.deepEqual(flags(LogLevel.Warning), [
      "arg --log-error=true",
      "arg --log-warning=true",
      "arg --log-info=false",
    ]);
    assert.ok(flags("verbose").includes("arg --log-verbose=1"));
  });
});
