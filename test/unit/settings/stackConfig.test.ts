import assert from "node:assert/strict";
import * as fs from "node:fs";
import * as path from "node:path";

import * as pulumi from "@pulumi/pulumi";
import { parse } from "yaml";

import { renderModelConfig } from "../../../components/models/config";
import { Settings, SettingsError, stackConfig } from "../../../components/settings";
import { SSH } from "./context";

const ROOT = path.resolve(__dirname, "../../..");

describe("stackConfig", () => {
  after(() => {
    pulumi.runtime.setAllConfig({});
  });

  /** Config values as the engine passes them: objects and lists as JSON. */
  function read(values: Readonly<Record<string, unknown>>, secretKeys: string[] = []): Settings {
    const texts = Object.entries(values).map(([key, value]) => [
      key,
      typeof value === "string" ? value : JSON.stringify(value),
    ]);
    pulumi.runtime.setAllConfig(Object.fromEntries(texts) as Record<string, string>, secretKeys);
    return stackConfig(ROOT);
  }

  it("reads the local stack, whose models are the examples", () => {
    const { config } = parse(fs.readFileSync(path.join(ROOT, "Pulumi.local.yaml"), "utf8")) as {
      readonly config: Record<string, unknown>;
    };
    const { host, runtime, models } = read(config);
    assert.deepEqual([host.kind, runtime.kind], ["local", "process"]);
    assert.deepEqual(
      models.map(({ name, source, priority }) => [name, path.relative(ROOT, source), priority]),
      [
        ["realtime", "examples/models/realtime", 255],
        ["interactive", "examples/models/interactive", 40],
        ["batch", "examples/models/batch", -255],
      ],
    );
    for (const model of models) {
      const own = fs.readFileSync(path.join(model.source, "config.pbtxt"), "utf8");
      assert.ok(renderModelConfig(own, model).startsWith(own));
    }
  });

  it("ignores other namespaces, and refuses unknown keys in its own", () => {
    assert.deepEqual(read({ "aws:region": "eu-central-1", "xsched-triton:models": [] }).models, []);
    assert.throws(
      () => read({ "xsched-triton:modles": [] }),
      /modles: \(unknown key\)[^]*did you mean models\?/,
    );
    assert.throws(() => read({ "xsched-triton:server": "{" }), /server: "\{"\n/);
  });

  it("refuses a private key in plain text in the stack config", async () => {
    const { host } = read({ "xsched-triton:host": SSH }, ["xsched-triton:host"]);
    assert.ok(host.kind === "ssh" && (await pulumi.isSecret(host.privateKey)));
    assert.throws(
      () => read({ "xsched-triton:host": SSH }),
      (error) => error instanceof SettingsError && error.faults[0]?.value === "(a key in plain text)",
    );
  });
});
