import * as assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import * as fs from "node:fs";
import * as os from "node:os";
import * as path from "node:path";

import { scriptBundle } from "../../../components/host/scriptBundle";

const HOST = path.resolve(__dirname, "../../../components/host");

describe("the bundle of host scripts", () => {
  it("names every script once, in order", () => {
    const names = scriptBundle()
      .trimEnd()
      .split("\n")
      .map((line) => line.split(" ")[0]!);
    assert.deepEqual(names, [...new Set(names)].sort());
    for (const name of ["probe-host.sh", "store-model.sh", "activate-model.sh", "start-server.sh"]) {
      assert.ok(names.includes(name), name);
    }
  });

  it("is unpacked by the host's script, which replaces what was there and prints the host's facts", () => {
    const folder = path.join(fs.mkdtempSync(path.join(os.tmpdir(), "bundle-")), "a host");
    try {
      fs.mkdirSync(path.join(folder, "bin"), { recursive: true });
      fs.writeFileSync(path.join(folder, "bin", "old.sh"), "");
      const facts = execFileSync("bash", [path.join(HOST, "unpack-scripts.sh"), folder], {
        input: scriptBundle(),
        encoding: "utf8",
      });
      assert.equal(typeof (JSON.parse(facts) as { docker: unknown }).docker, "boolean");
      assert.ok(!fs.existsSync(path.join(folder, "bin", "old.sh")));
      const script = path.join(folder, "bin", "activate-model.sh");
      assert.equal(
        fs.readFileSync(script, "utf8"),
        fs.readFileSync(path.join(HOST, "../models/scripts/activate-model.sh"), "utf8"),
      );
      assert.equal(fs.statSync(script).mode & 0o777, 0o755);
    } finally {
      fs.rmSync(path.dirname(folder), { recursive: true });
    }
  });
});
