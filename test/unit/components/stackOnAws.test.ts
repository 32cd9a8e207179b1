import * as assert from "node:assert/strict";
import * as fs from "node:fs";
import * as path from "node:path";

import * as pulumi from "@pulumi/pulumi";
import { parse } from "yaml";

import { RELEASES } from "../../../components/image/tritonReleases";
import { readSettings, type Settings, thisMachine } from "../../../components/settings";
import { HOST_KEY, PRIVATE_KEY } from "../settings/context";
import { PARTITION } from "../aws/mocks";

const ROOT = path.resolve(__dirname, "../../..");
const ADMIN = { adminCidrs: ["203.0.113.7/32"] };
const KNOWN = { host: ADMIN, monitoring: { notify: ["ops@example.com"] } };
const URL = "111122223333.dkr.ecr.us-east-1.amazonaws.com/registry";

/** The settings of one of this project's stacks, with the values that only its user knows. */
function settingsOf(stack: string, known: Record<string, object>): Settings {
  const text = fs.readFileSync(path.join(ROOT, `Pulumi.${stack}.yaml`), "utf8");
  const { config } = parse(text) as { config: Record<string, object> };
  const raw = Object.entries(config)
    .filter(([key]) => key.startsWith("xsched-triton:"))
    .map(([key, value]) => [key.replace("xsched-triton:", ""), value] as const)
    .map(([key, value]) => [key, Array.isArray(value) ? value : { ...value, ...known[key] }]);
  const context = {
    origin: "config" as const,
    stack,
    projectDirectory: ROOT,
    secretKeys: new Set<string>(),
    files: thisMachine,
    inform: () => undefined,
  };
  return readSettings(Object.fromEntries(raw), context);
}

/** The answers of AWS and the host. */
function made(type: string, name: string): object {
  switch (type) {
    case "aws:ecr/repository:Repository":
      return { repositoryUrl: URL, arn: "arn:aws:ecr:us-east-1:111122223333:repository/registry" };
    case "command:local:Command":
      return { stdout: JSON.stringify({ digest: `sha256:${"1".repeat(64)}` }) };
    case "docker-build:index:Image":
      return { digest: `sha256:${"0".repeat(64)}` };
    case "aws:ec2/instance:Instance":
      return { publicIp: "203.0.113.9", ami: "ami-0123456789abcdef0" };
    case "tls:index/privateKey:PrivateKey":
      return { privateKeyOpenssh: PRIVATE_KEY, publicKeyOpenssh: HOST_KEY };
    case "aws:ec2/eip:Eip":
      return { publicIp: "203.0.113.9" };
    case "aws:ssm/parameter:Parameter":
      return { arn: "arn", region: "us-east-1" };
    case "command:remote:Command":
      return {
        stdout: name.endsWith("-directory")
          ? "/srv/triton"
          : `xsched-triton-result {"gpus":[],"docker":true,"version":"2.23.0"}`,
      };
    default:
      return {};
  }
}

describe("the stacks on AWS", () => {
  it("differ only in config, and are safe without changes", () => {
    const dev = settingsOf("dev", { host: ADMIN }).host;
    assert.ok(dev.kind === "aws");
    assert.deepEqual(
      [dev.instanceType, dev.spot, dev.protect, dev.clientCidrs],
      ["g4dn.xlarge", true, false, []],
    );
    const settings = settingsOf("prod", KNOWN);
    const prod = settings.host;
    assert.ok(prod.kind === "aws");
    assert.deepEqual(
      [prod.instanceType, prod.spot, prod.protect, prod.clientCidrs],
      ["g5.xlarge", false, true, []],
    );
    assert.equal(settings.scheduler.required, true);
    const { host, runtime } = settingsOf("current", { host: ADMIN });
    assert.ok(host.kind === "aws" && runtime.kind === "container");
    assert.deepEqual(
      [host.instanceType, host.spot, host.protect, host.clientCidrs],
      ["g6e.xlarge", false, false, []],
    );
    assert.deepEqual(
      [runtime.build?.variant, runtime.build?.base],
      ["hooked", `nvcr.io/nvidia/tritonserver:${RELEASES.at(-1)}-py3`],
    );
  });

  for (const [stack, variant] of [
    ["dev", "patched"],
    ["prod", "patched"],
    ["current", "hooked"],
  ] as const) {
    it(`push their image to a repository of their own, and pull it by the instance's role: ${stack}`, async () => {
      const inputs = new Map<string, Record<string, unknown>>();
      const commands = new Map<string, string>();
      await pulumi.runtime.setMocks(
        {
          newResource: ({ type, name, inputs: given }) => {
            inputs.set(type, given as Record<string, unknown>);
            commands.set(name, String((given as { stdin?: string }).stdin));
            return { id: name, state: { ...(given as object), ...made(type, name) } };
          },
          call: () => ({
            ...{ userName: "AWS", password: "token", insecureValue: "ami-0123456789abcdef0" },
            ...PARTITION,
          }),
        },
        "project",
        stack,
      );
      const { TritonStack } = await import("../../../components");
      const settings = settingsOf(stack, KNOWN);
      const { host } = settings;
      assert.ok(host.kind === "aws");
      new TritonStack("triton", settings);
      await pulumi.runtime.disconnect();
      assert.match(commands.get("triton-server-image") ?? "", /"login":"role"/);
      const { tags, registries } = inputs.get("docker-build:index:Image") ?? {};
      assert.match((tags as string[])[0] ?? "", new RegExp(`^${URL}:${variant}-[0-9a-f]{16}-`));
      // The key that marks a secret on its way to the engine.
      assert.match(JSON.stringify(registries), /4dabf18193072939515e22adb298388d/);
      assert.match(
        JSON.stringify(registries),
        /"address":"111122223333\.dkr\.ecr\.us-east-1\.amazonaws\.com"/,
      );
      assert.equal(inputs.get("aws:ecr/repository:Repository")?.forceDelete, !host.protect);
    });
  }
});
