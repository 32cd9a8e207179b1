import * as assert from "node:assert/strict";
import * as fs from "node:fs";
import * as path from "node:path";

import * as pulumi from "@pulumi/pulumi";
import { parse } from "yaml";

import { RELEASES } from "../../../components/image/tritonReleases";
import { readSettings, type Settings, thisMachine } from "../../../components/settings";
import { HOST_KEY, PRIVATE_KEY } from "../settings/context";
import { PARTITION, record } from "../aws/mocks";

const ROOT = path.resolve(__dirname, "../../..");
const ADMIN = { adminCidrs: ["203.0.113.7/32"] };
const KNOWN = { monitoring: { notify: ["ops@example.com"] } };
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

/** What holds data. */
const STORES = [
  "aws:ec2/instance:",
  "aws:ecr/repository:",
  "aws:s3/bucketServerSideEncryptionConfiguration:",
  "aws:ssm/parameter:",
  "aws:cloudwatch/logGroup:",
  "aws:sns/topic:",
];

/** The first choice of `prod`, which has capacity. */
const PLACE = { instanceType: "g5.xlarge", zone: "us-east-1a", spot: false, passedOver: [] };

/** The answers of AWS and the host. */
function answers(type: string, name: string): Record<string, unknown> {
  switch (type) {
    case "aws:ecr/repository:Repository":
      return { repositoryUrl: URL, arn: "arn:aws:ecr:us-east-1:111122223333:repository/registry" };
    case "aws:ec2/vpc:Vpc":
      return { ipv6CidrBlock: "2001:db8:1234:1a00::/56" };
    case "command:local:Command":
      return { stdout: name === "triton-machine-place" ? JSON.stringify(PLACE) : onMachine(name) };
    case "docker-build:index:Image":
      return { digest: `sha256:${"0".repeat(64)}` };
    case "aws:ec2/instance:Instance":
      return {
        id: "i-0123456789abcdef0",
        privateIp: "10.90.4.7",
        publicIp: "203.0.113.9",
        ami: "ami-0123456789abcdef0",
      };
    case "aws:iam/role:Role":
      return { name };
    case "tls:index/privateKey:PrivateKey":
      return { privateKeyOpenssh: PRIVATE_KEY, publicKeyOpenssh: HOST_KEY };
    case "aws:ec2/eip:Eip":
      return { publicIp: "203.0.113.9" };
    case "aws:ssm/parameter:Parameter":
      return { arn: "arn", region: "us-east-1" };
    case "command:remote:Command":
      return { stdout: onMachine(name) };
    default:
      return {};
  }
}

/** What the instance answers, or this machine about an image. */
function onMachine(name: string): string {
  if (name.endsWith("-directory")) return "/srv/triton";
  const result = { gpus: [], docker: true, version: "2.23.0", digest: `sha256:${"1".repeat(64)}` };
  return name.startsWith("triton-image")
    ? JSON.stringify(result)
    : `xsched-triton-result ${JSON.stringify(result)}`;
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
    assert.deepEqual([prod.access, prod.adminCidrs, prod.network.kind], ["sessionManager", undefined, "own"]);
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

  it("have their user's key wherever AWS stores something for them", async () => {
    const key = "arn:aws:kms:us-east-1:111122223333:key/01234567-89ab-cdef-0123-456789abcdef";
    const settings = settingsOf("prod", { ...KNOWN, host: { kmsKeyId: key } });
    const models = settings.models.map((model) => ({ ...model, upload: "s3" as const }));
    const { resources } = await record(
      false,
      ({ type, name }) => answers(type, name),
      async () => {
        const { TritonStack } = await import("../../../components");
        new TritonStack("triton", { ...settings, models });
      },
    );
    const stored = resources.filter(({ type }) => STORES.some((each) => type.startsWith(each)));
    assert.equal(new Set(stored.map(({ type }) => type)).size, STORES.length);
    for (const { name, inputs } of stored) assert.ok(JSON.stringify(inputs).includes(key), name);
  });

  it("stop only where the settings say so, and are then drained by whoever stops them", async () => {
    const made = async (host: object): Promise<{ services: string; kinds: string[] }> => {
      const settings = settingsOf("prod", { ...KNOWN, host });
      const { resources } = await record(
        false,
        ({ type, name }) => ({
          ...answers(type, name),
          ...(type.startsWith("aws:scheduler/scheduleGroup") && { name: "group", arn: "arn:group" }),
        }),
        async () => {
          const { TritonStack } = await import("../../../components");
          new TritonStack("triton", settings);
        },
      );
      const services = resources.find(({ name }) => name === "triton-services-services");
      const words = /install-services.*/.exec(String(services?.inputs.create))?.[0] ?? "";
      const kinds = resources
        .map(({ type }) => type)
        .filter((type) => /scheduler|budgets|composite/.test(type));
      return { services: words.replaceAll("'", ""), kinds };
    };
    assert.deepEqual(await made({}), { services: "install-services boot metrics", kinds: [] });
    const idle = await made({ idleStop: 30 });
    assert.equal(idle.services, "install-services boot metrics idle=30 shutdown");
    assert.deepEqual(idle.kinds, ["aws:cloudwatch/compositeAlarm:CompositeAlarm"]);
    const scheduled = await made({ schedule: { stop: "cron(0 19 ? * MON-FRI *)" } });
    assert.equal(scheduled.services, "install-services boot metrics shutdown");
    assert.deepEqual(scheduled.kinds.sort(), [
      "aws:cloudwatch/compositeAlarm:CompositeAlarm",
      "aws:scheduler/schedule:Schedule",
      "aws:scheduler/scheduleGroup:ScheduleGroup",
    ]);
  });

  it("show on their dashboard what models with a floor or a weight have, and nothing of that without any", async () => {
    const settings = settingsOf("prod", KNOWN);
    const titles = async (shares: readonly object[]): Promise<string[]> => {
      const models = settings.models.map((model, index) => ({ ...model, ...shares[index] }));
      const { resources } = await record(
        false,
        ({ type, name }) => answers(type, name),
        async () => {
          const { TritonStack } = await import("../../../components");
          new TritonStack("triton", { ...settings, models });
        },
      );
      const dashboard = resources.find(({ type }) => type === "aws:cloudwatch/dashboard:Dashboard");
      const { widgets } = JSON.parse(String(dashboard?.inputs.dashboardBody)) as {
        widgets: { properties: { title: string; metrics?: unknown[] } }[];
      };
      return widgets
        .filter(({ properties: { title } }) => title.startsWith("Share of"))
        .map(({ properties: { title, metrics } }) => `${title.split(" ").at(-1)} ${metrics?.length}`);
    };
    assert.deepEqual(await titles([]), []);
    assert.deepEqual(await titles([{ floor: pulumi.output(20) }, { weight: 3 }, { weight: 1 }]), [
      "floor 4",
      "had 4",
    ]);
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
            return { id: name, state: { ...(given as object), ...answers(type, name) } };
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
      const settings = settingsOf(stack, stack === "prod" ? KNOWN : { host: ADMIN });
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
