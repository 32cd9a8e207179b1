import * as assert from "node:assert/strict";

import { LogLevel, renderServerOptions } from "../../../components/server/serverArguments";
import { parsed } from "../settings/context";

const SERVER_DEFAULTS = { ...parsed({}).server, drainSeconds: 0, schedulerRequired: "onGpu" } as const;

describe("renderServerOptions", () => {
  it("writes one value a line, then tritonserver's arguments", () => {
    assert.equal(
      renderServerOptions({ ...SERVER_DEFAULTS, extraFlags: ["--buffer-manager-thread-count=2"] }),
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

  it("has a line for the drain only where there is one", () => {
    const lines = renderServerOptions({ ...SERVER_DEFAULTS, drainSeconds: 15 }).split("\n");
    assert.deepEqual(
      lines.filter((line) => line.startsWith("drain")),
      ["drainSeconds 15"],
    );
  });

  it("turns a log level into Triton's flags", () => {
    const flags = (logLevel: LogLevel) =>
      renderServerOptions({ ...SERVER_DEFAULTS, logLevel })
        .split("\n")
        .filter((line) => line.startsWith("arg "));
    assert.deepEqual(flags(LogLevel.Warning), [
      "arg --log-error=true",
      "arg --log-warning=true",
      "arg --log-info=false",
    ]);
    assert.ok(flags(LogLevel.Verbose).includes("arg --log-verbose=1"));
  });
});
