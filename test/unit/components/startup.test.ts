import * as assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import * as path from "node:path";

const ROOT = path.resolve(__dirname, "../../..");

/** Runs a program and returns the Pulumi packages that it loads. */
function loadedBy(program: string): string[] {
  const script = `
    const pulumi = require("@pulumi/pulumi");
    const mocks = { newResource: ({ inputs, name }) => ({ id: name, state: inputs }), call: () => ({}) };
    (async () => {
      await pulumi.runtime.setMocks(mocks, "project", "stack", true);
      ${program}
      await pulumi.runtime.disconnect();
      const found = Object.keys(require.cache).map((file) => /node_modules\\/@pulumi\\/([a-z-]+)\\//.exec(file)?.[1]);
      console.log([...new Set(found)].filter((name) => name !== undefined).sort().join(" "));
    })();`;
  const words = ["-r", "ts-node/register/transpile-only", "-e", script];
  return execFileSync("node", words, { cwd: ROOT, encoding: "utf8" }).trim().split(" ");
}

describe("a program", () => {
  it("loads neither the SDK of AWS nor that of TLS without a host on AWS", () => {
    const loaded = loadedBy(`
      const { TritonStack } = require("./components");
      new TritonStack("edge", { models: [] });
    `);
    assert.ok(loaded.includes("command"), loaded.join());
    assert.deepEqual(
      loaded.filter((name) => name === "aws" || name === "tls"),
      [],
    );
  }).timeout(120_000);

  it("loads them with one", () => {
    const loaded = loadedBy(`
      const { AwsGpuHost } = require("./components");
      new AwsGpuHost("gpu", { instanceType: "g5.xlarge", adminCidrs: ["203.0.113.7/32"] });
    `);
    assert.ok(loaded.includes("aws") && loaded.includes("tls"), loaded.join());
  }).timeout(120_000);
});
