import assert from "node:assert/strict";
import * as fs from "node:fs";
import * as os from "node:os";
import * as path from "node:path";

import { loadScript } from "../../scripts";

const { withoutDebugLogs } = loadScript("debug-log.mjs") as { withoutDebugLogs: (home: string) => void };

describe("Pulumi's debug logs", () => {
  let home: string;

  beforeEach(() => {
    home = fs.mkdtempSync(path.join(os.tmpdir(), "xsched-triton-home-"));
  });
  afterEach(() => {
    fs.rmSync(home, { recursive: true });
  });

  it("have no folder, also where there was one", () => {
    const logs = path.join(home, "logs");
    fs.mkdirSync(logs);
    fs.writeFileSync(path.join(logs, "pulumi-20261130T150726-27700.log"), "");
    withoutDebugLogs(home);
    withoutDebugLogs(home);
    assert.match(fs.readFileSync(logs, "utf8"), /keeps Pulumi from writing a debug log/);
    assert.throws(() => fs.mkdirSync(logs, { recursive: true }), { code: "EEXIST" });
  });
});
