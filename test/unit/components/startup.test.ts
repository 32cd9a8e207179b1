import * as assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import * as path from "node:path";

/** Modules that the SDK seldom needs, and how to tell that they have been loaded. */
const SELDOM_NEEDED = `
  const loaded = (...files) => files.map((file) => {
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
  const words = ["-r", "./components/compile.cjs", "-e", script];
  return execFileSync("node", words, { cwd: ROOT, encoding: "utf8" }).trim().split(" ");
}

describe("a program", () => {
  it("loads neither the SDK of AWS nor that of TLS without a host on AWS, nor that of Kubernetes", () => {
    const loaded = loadedBy(`
      const { TritonStack } = require("./components");
      new TritonStack("edge", { models: [] });
    `);
    assert.ok(loaded.includes("command"), loaded.join());
    assert.deepEqual(
      loaded.filter((name) => ["aws", "tls", "kubernetes"].includes(name)),
      [],
    );
  });

  it("loads them with one", () => {
    const loaded = loadedBy(`
      const { AwsGpuHost } = require("./components");
      new AwsGpuHost("gpu", { instanceType: "g5.xlarge", adminCidrs: ["203.0.113.7/32"] });
    `);
    assert.ok(loaded.includes("aws") && loaded.includes("tls"), loaded.join());
  });

  it("loads what serializes functions when it serializes one", () => {
    const script = `
      const path = require("node:path");
      const pulumi = require("@pulumi/pulumi");
      const { TritonStack } = require("./components");
      ${SELDOM_NEEDED}
      const forFunctions = () => loaded(
        "typescript/lib/typescript.js",
        "@pulumi/pulumi/runtime/closure/v8Hooks.js",
        "normalize-package-data/lib/normalize.js",
        "@npmcli/arborist/lib/index.js",
      );
      const captured = 5;
      (async () => {
        await require("@pulumi/pulumi/runtime/closure/v8Hooks").isInitializedAsync();
        const before = forFunctions();
        const { text } = await pulumi.runtime.serializeFunction(() => captured);
        const after = forFunctions();
        // As the SDK imports it: a module that is a function.
        const description = {};
        require("normalize-package-data").default(description);
        const all = forFunctions();
        console.log(JSON.stringify({ stack: typeof TritonStack, before, after, all, id: description._id, text }));
      })();`;
    const words = ["-r", "./components/compile.cjs", "-e", script];
    // To look for the function's modules, the SDK loads all of Node's, deprecated ones among them.
    const env = { ...process.env, NODE_NO_WARNINGS: "1" };
    const result: unknown = JSON.parse(execFileSync("node", words, { cwd: ROOT, encoding: "utf8", env }));
    const { text, ...rest } = result as { text: string };
    assert.deepEqual(rest, {
      stack: "function",
      before: [false, false, false, false],
      after: [true, true, false, false],
      all: [true, true, true, false],
      id: "@",
    });
    assert.match(text, /with\(\{ captured: 5, [^]*return \(\) => captured;/);
  });

  it("loads the automation API and what traces it when it uses them", () => {
    const script = `
      const path = require("node:path");
      const http = require("node:http");
      const pulumi = require("@pulumi/pulumi");
      const tracing = require("@pulumi/pulumi/cmd/run/tracing");
      ${SELDOM_NEEDED}
      const seldom = () => loaded(
        "@pulumi/pulumi/automation/index.js",
        "@opentelemetry/sdk-trace-node/build/src/index.js",
        "@opentelemetry/exporter-zipkin/build/src/index.js",
      );
      const before = [...seldom(), tracing.newSpan("nobody sees it").isRecording()];
      const collector = http.createServer((request, response) => {
        let body = "";
        request.on("data", (part) => (body += part));
        request.on("end", () => {
          response.end();
          collector.close();
          const spans = JSON.parse(body).map(({ name, tags }) => [name, tags["service.name"]]);
          console.log(JSON.stringify({ before, after: [...seldom(), typeof workspace], spans }));
          process.exit();
        });
      });
      const workspace = pulumi.automation.LocalWorkspace.create;
      collector.listen(0, "127.0.0.1", () => {
        tracing.start("http://localhost:" + collector.address().port);
        tracing.newSpan("of the program").end();
      });`;
    const words = ["-r", "./components/compile.cjs", "-e", script];
    assert.deepEqual(JSON.parse(execFileSync("node", words, { cwd: ROOT, encoding: "utf8" })), {
      before: [false, false, false, false],
      after: [true, true, true, "function"],
      spans: [["of the program", "nodejs-runtime"]],
    });
  });

  it("has stacks that say where its TypeScript failed, with the lines of its source if SOURCE_MAPS is set", () => {
    const script = `
      try { require("./components/settings").readSettings(null); } catch (error) { console.log(error.stack); }`;
    for (const maps of [{}, { SOURCE_MAPS: "1" }]) {
      const words = ["-r", "./components/compile.cjs", "-e", script];
      const env = { ...process.env, ...maps };
      const stack = execFileSync("node", words, { cwd: ROOT, encoding: "utf8", env });
      assert.match(stack, /^ {4}at .*components\/settings\/\w+\.ts:\d+:\d+/m);
    }
  });
});
