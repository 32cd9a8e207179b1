import * as assert from "node:assert/strict";
import * as fs from "node:fs";
import * as path from "node:path";

import * as pulumi from "@pulumi/pulumi";
import { parse } from "yaml";

import { parseSettings, type Settings } from "../../../components/settings";
import { thisMachine } from "../../../components/settings/thisMachine";

const ROOT = path.resolve(__dirname, "../../..");
const ADMIN = { adminCidrs: ["203.0.113.7/32"] };
const URL = "111122223333.dkr.ecr.us-east-1.amazonaws.com/registry";

/** The settings of a stack of this project, with what only its user knows. */
function settingsOf(stack: string, known: Record<string, object>): Settings {
  const text = fs.readFileSync(path.join(ROOT, `Pulumi.${stack}.yaml`), "utf8");
  const { config } = parse(text) as { config: Record<string, object> };
  const raw = Object.entries(config)
    .filter(([key]) => key.startsWith("xsched-triton:"))
    .map(([key, value]) => [key.replace("xsched-triton:", ""), value] as const)
    .map(([key, value]) => [key, Array.isArray(value) ? value : { ...value, ...known[key] }]);
  const context = { stack, projectDirectory: ROOT, secretKeys: new Set<string>(), files: thisMachine };
  return parseSettings(Object.fromEntries(raw), context);
}

describe("the stacks on AWS", () => {
  it("differ in config only, and are safe as they stand", () => {
    const dev = settingsOf("dev", { host: ADMIN }).host;
    assert.ok(dev.kind === "aws");
    assert.deepEqual(
      [dev.instanceType, dev.spot, dev.protect, dev.clientCidrs],
      ["g4dn.xlarge", true, false, []],
    );
    const settings = settingsOf("prod", { host: ADMIN, monitoring: { notify: ["ops@example.com"] } });
    const prod = settings.host;
    assert.ok(prod.kind === "aws");
    assert.deepEqual(
      [prod.instanceType, prod.spot, prod.protect, prod.clientCidrs],
      ["g5.xlarge", false, true, []],
    );
    assert.equal(settings.scheduler.required, "always");
  });

  it("push their image to a repository of their own, and pull it by the instance's role", async () => {
    const inputs = new Map<string, Record<string, unknown>>();
    await pulumi.runtime.setMocks(
      {
        newResource: ({ type, name, inputs: given }) => {
          inputs.set(type, given as Record<string, unknown>);
          const made = type === "aws:ecr/repository:Repository" ? { repositoryUrl: URL, arn: "arn" } : {};
          return { id: name, state: { ...(given as object), ...made, digest: `sha256:${"0".repeat(64)}` } };
        },
        call: () => ({ userName: "AWS", password: "token" }),
      },
      "project",
      "dev",
    );
    const { imageRegistry, runtimeImage } = await import("../../../components/image");
    const { serverArgs } = await import("../../../components/server");
    const settings = settingsOf("dev", { host: ADMIN });
    const registry = imageRegistry("registry", settings);
    const image = runtimeImage("image", settings.runtime, registry);
    const { registryByRole, registry: login } = serverArgs(settings, image);
    await pulumi.runtime.disconnect();
    assert.deepEqual([registryByRole, login], [true, undefined]);
    const { tags, registries } = inputs.get("docker-build:index:Image") ?? {};
    assert.match((tags as string[])[0] ?? "", new RegExp(`^${URL}:patched-[0-9a-f]{16}-`));
    // The key that marks a secret on its way to the engine.
    assert.match(JSON.stringify(registries), /4dabf18193072939515e22adb298388d/);
    assert.match(JSON.stringify(registries), /"address":"111122223333\.dkr\.ecr\.us-east-1\.amazonaws\.com"/);
    assert.equal(inputs.get("aws:ecr/repository:Repository")?.forceDelete, true);
  });
});
