import * as assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import * as path from "node:path";

/** Packages that the SDK needs only to serialize functions, and how to tell that they have been loaded. */
const FOR_FUNCTIONS = `
  const loaded = () => ["typescript/lib/typescript.js", "@npmcli/arborist/lib/index.js"].map((file) => {
    const found = require.cache[path.resolve("node_modules", file)];
    return found !== undefined && !require("node:util").types.isProxy(found.exports);
  });`;

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

  it("loads what serializes functions when it serializes one", () => {
    const script = `
      const path = require("node:path");
      const pulumi = require("@pulumi/pulumi");
      const { TritonStack } = require("./components");
      ${FOR_FUNCTIONS}
      const captured = 5;
      (async () => {
        const before = loaded();
        const { text } = await pulumi.runtime.serializeFunction(() => captured);
        console.log(JSON.stringify({ stack: typeof TritonStack, before, after: loaded(), text }));
      })();`;
    const words = ["-r", "./components/compile.cjs", "-e", script];
    // To look for the function's modules, the SDK loads all of Node's, deprecated ones among them.
    const env = { ...process.env, NODE_NO_WARNINGS: "1" };
    const result: unknown = JSON.parse(execFileSync("node", words, { cwd: ROOT, encoding: "utf8", env }));
    const { text, ...rest } = result as { text: string };
    assert.deepEqual(rest, { stack: "function", before: [false, false], after: [true, false] });
    assert.match(text, /with\(\{ captured: 5, [^]*return \(\) => captured;/);
  }).timeout(120_000);
});
