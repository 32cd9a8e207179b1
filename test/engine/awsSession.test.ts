import * as assert from "node:assert/strict";
import * as fs from "node:fs";
import * as path from "node:path";

import { fullAccount } from "../fixtures/standInCloud/api";
import { until } from "../until";
import { AwsStack, changed } from "./awsStack";
import { EXAMPLES } from "./examples";
import { skipWithout } from "./needs";
import { freePorts } from "./ports";
import { requireSuccess } from "./workspace";

const INSTANCE = "aws:ec2/instance:Instance";
const GROUP = "aws:ec2/securityGroup:SecurityGroup";
const GROUP_OF_DEFAULT = "aws:ec2/defaultSecurityGroup:DefaultSecurityGroup";
const SUBNET = "aws:ec2/subnet:Subnet";
const PLUGIN = "session-manager-plugin";

/** The services of AWS that a stack has endpoints for. */
function services(stack: AwsStack): string[] {
  return stack
    .everything("aws:ec2/vpcEndpoint:VpcEndpoint")
    .map(({ properties }) => (properties.serviceName as string).replace("com.amazonaws.us-east-1.", ""))
    .sort();
}

/** The process of Triton, as `status` says. */
async function tritonOf(stack: AwsStack): Promise<string> {
  const { code, output } = await stack.npm("status");
  requireSuccess({ code, output });
  return /\(process \d+\)/.exec(output)?.[0] ?? output;
}

/** Command lines of the tunnels that are open to a stack's machines. */
function tunnels(): string[] {
  return fs
    .readdirSync("/proc")
    .filter((name) => /^\d+$/.test(name))
    .map((pid) => {
      try {
        return fs.readFileSync(`/proc/${pid}/cmdline`, "utf8").replaceAll("\0", " ");
      } catch {
        return "";
      }
    })
    .filter((line) => line.includes(PLUGIN) && line.includes(" 10022"));
}

/** A tunnel ends by itself once SSH has: its process has yet to hear of it. */
async function untilNoTunnelIsOpen(): Promise<void> {
  await until(tunnels, () => tunnels().length === 0);
}

describe("the stack prod, behind Session Manager, on a stand-in for AWS", function () {
  let stack: AwsStack;

  before(async function () {
    skipWithout(this, AwsStack.missing);
    stack = await AwsStack.create("prod", { RETRY_SECONDS: "0.1" });
    stack.cloud.api.account = { ...fullAccount(), capacity: ({ zone }) => zone === "us-east-1b" };
  });

  after(async () => {
    if (AwsStack.missing === undefined) await stack.stop();
  });

  it("asks for the one value that it needs, and takes no ranges for SSH", async () => {
    stack.set(["xsched-triton:host", "adminCidrs"], ["127.0.0.1/32"]);
    const { code, output } = await stack.npm("preview");
    assert.notEqual(code, 0);
    assert.match(output, /2 faults in the settings of stack prod; nothing was changed/);
    assert.match(output, /fix: remove adminCidrs, or set access to ssh/);
    assert.match(
      output,
      /fix: pulumi config set --path 'xsched-triton:monitoring\.notify\[0\]' you@example\.com/,
    );
    stack.set(["xsched-triton:host", "adminCidrs"], undefined);
    stack.set(["xsched-triton:monitoring", "notify"], ["ops@example.com"]);
    // The stand-in's machines have neither Docker nor a GPU, and nothing leads to PyPI: an image of one's own has Triton.
    stack.set(["xsched-triton:runtime"], { kind: "process" });
    stack.set(["xsched-triton:scheduler"], undefined);
    stack.set(["xsched-triton:host", "ami"], "ami-0123456789abcdef0");
    // awsProd.test.ts has it.
    stack.set(["xsched-triton:host", "protect"], false);
  });

  it("is created through tunnels alone, and serves every model", async () => {
    const { code, output } = await stack.up();
    requireSuccess({ code, output });
    for (const { name, ...priority } of EXAMPLES) {
      assert.ok(await stack.triton.isReady(name), name);
      assert.deepEqual(await stack.triton.priority(name), priority);
    }
    assert.doesNotMatch(output, /command:remote:/);
    await stack.refuseSecrets(output);
  });

  it("has no rule that lets anybody in, and no public address", () => {
    const { publicIp, associatePublicIpAddress, vpcSecurityGroupIds } = stack.properties(INSTANCE);
    const groups = stack.everything(GROUP);
    const [own] = groups.filter(({ id }) => (vpcSecurityGroupIds as string[]).includes(id));
    assert.deepEqual([own?.properties.ingress, publicIp, associatePublicIpAddress], [[], "", false]);
    assert.deepEqual(stack.everything("aws:ec2/eip:Eip"), []);
    const sessions = fs.readFileSync(stack.cloud.file("sessions"), "utf8").trim().split("\n");
    assert.deepEqual([...new Set(sessions)], stack.instances);
  });

  it("is in a network of its own, in the zone that has capacity, with no way out but to AWS", async () => {
    const { vpcId } = stack.properties(GROUP_OF_DEFAULT);
    const subnets = stack.everything(SUBNET).map(({ id, properties }) => {
      assert.equal(properties.vpcId, vpcId);
      return [id, properties.availabilityZone];
    });
    assert.deepEqual(subnets.map(([, zone]) => zone).sort(), ["us-east-1a", "us-east-1b", "us-east-1c"]);
    const { subnetId, availabilityZone } = stack.properties(INSTANCE);
    assert.deepEqual(
      [subnetId, availabilityZone],
      subnets.find(([, zone]) => zone === "us-east-1b"),
    );
    assert.deepEqual(services(stack), ["logs", "monitoring", "s3", "ssm", "ssmmessages"]);
    for (const type of ["route:Route", "internetGateway:InternetGateway", "natGateway:NatGateway"]) {
      assert.deepEqual(stack.everything(`aws:ec2/${type}`), []);
    }
    const { aws } = JSON.parse((await stack.show("output", "--json")).output) as {
      aws: { network: object };
    };
    const [routeTableId] = stack.everything("aws:ec2/routeTable:RouteTable").map(({ id }) => id);
    const byZone = Object.fromEntries(subnets.map(([id, zone]) => [zone, id])) as object;
    assert.deepEqual(aws.network, { vpcId, routeTableId, subnets: byZone });
  });

  it("keeps its instance and its server when it gets another way out", async () => {
    const [instances, triton] = [stack.instances, await tritonOf(stack)];
    stack.set(["xsched-triton:host", "network", "egress"], "natGateway");
    const { code, output } = await stack.up();
    requireSuccess({ code, output });
    assert.deepEqual([stack.instances, await tritonOf(stack)], [instances, triton]);
    assert.deepEqual(services(stack), ["s3"]);
    assert.equal(stack.everything("aws:ec2/natGateway:NatGateway").length, 1);
    assert.equal(stack.everything(GROUP).length, 1);
  });

  it("keeps them when that way moves to another zone", async () => {
    const [instances, triton] = [stack.instances, await tritonOf(stack)];
    const nat = "aws:ec2/natGateway:NatGateway";
    const { allocationId } = stack.properties(nat);
    stack.set(["xsched-triton:host", "zones"], ["us-east-1b", "us-east-1a"]);
    requireSuccess(await stack.up());
    assert.deepEqual([stack.instances, await tritonOf(stack)], [instances, triton]);
    const { subnetId, allocationId: kept } = stack.properties(nat);
    const zones = stack
      .everything(SUBNET)
      .filter(({ id }) => id === subnetId)
      .map(({ properties }) => properties.availabilityZone);
    assert.deepEqual([kept, zones], [allocationId, ["us-east-1b"]]);
    assert.equal(stack.everything(SUBNET).length, 3, "two private ones and a public one");
  });

  it("leaves no tunnel behind", untilNoTunnelIsOpen);

  it("is asked through a tunnel, and changed through one", async () => {
    const status = await stack.npm("status");
    requireSuccess(status);
    assert.match(status.output, /^realtime +1 +255 +yes$/m);
    const change = await stack.workspace.npm("set-priority", "--", "prod", "interactive", "41");
    requireSuccess(change);
    assert.match((await stack.npm("status")).output, /^interactive +1 +41 +yes$/m);
    requireSuccess(await stack.workspace.npm("set-priority", "--", "prod", "interactive", "40"));
    await untilNoTunnelIsOpen();
  });

  it("changes nothing when nothing has changed", async () => {
    const { code, output } = await stack.up();
    requireSuccess({ code, output });
    assert.deepEqual(changed(output), []);
  });

  it("says that its instance was stopped, and serves again after npm run wake", async () => {
    const [id = ""] = stack.instances;
    stack.triton.close();
    await stack.cloud.stopInstance(
      id,
      "Client.UserInitiatedShutdown",
      "User initiated (2026-11-27 18:00:00 GMT)",
    );
    for (const run of [() => stack.npm("status"), () => stack.up()]) {
      const { code, output } = await run();
      assert.notEqual(code, 0);
      assert.match(
        output,
        /^The instance i-\w+ of the stack "prod" is stopped since 2026-11-27 18:00 UTC \(.*\); npm run wake -- prod starts it\.$/m,
      );
      assert.doesNotMatch(output, /TargetNotConnected|there is no way/);
      assert.deepEqual(changed(output), []);
    }
    const { code, output } = await stack.workspace.npm("wake", "--", "prod");
    requireSuccess({ code, output });
    assert.match(output, /^The instance i-\w+ has started; waiting until its models serve …$/m);
    for (const { name, ...priority } of EXAMPLES) {
      assert.match(output, new RegExp(`^${name} +1 +-?\\d+ +yes$`, "m"));
      assert.deepEqual(await stack.triton.priority(name), priority);
    }
  });

  it("says before it changes anything that AWS starts no session", async () => {
    fs.writeFileSync(stack.cloud.file("deny-sessions"), "");
    const { code, output } = await stack.up();
    const status = await stack.npm("status");
    fs.rmSync(stack.cloud.file("deny-sessions"));
    assert.notEqual(status.code, 0);
    assert.match(status.output, /^fix: allow ssm:StartSession on the instance/m);
    assert.notEqual(code, 0);
    assert.match(
      output,
      /the host i-[0-9a-f]+ cannot be reached, so nothing is changed on it: AWS does not let this machine start a session/,
    );
    assert.match(output, /fix: allow ssm:StartSession/);
    assert.deepEqual(changed(output), []);
  });

  it("is removed without a trace", async () => {
    const { code, output } = await stack.down();
    requireSuccess({ code, output });
    assert.deepEqual(stack.everything(), []);
    await untilNoTunnelIsOpen();
  });

  it("is refused before anything is created where the plugin and the permission are missing", async () => {
    const { PATH = "" } = stack.workspace.environment;
    const [cli = "", ...others] = PATH.split(path.delimiter);
    const folder = stack.cloud.file("bin");
    fs.mkdirSync(folder);
    stack.cloud.api.account = { ...fullAccount(), sessions: false };
    fs.writeFileSync(path.join(folder, "aws"), `#!/bin/sh\nexec ${cli}/aws "$@"\n`, { mode: 0o755 });
    stack.workspace.environment.PATH = [folder, ...others].join(path.delimiter);
    try {
      for (const run of [() => stack.workspace.npm("preflight", "--", "prod"), () => stack.up()]) {
        const { code, output } = await run();
        assert.notEqual(code, 0);
        assert.match(output, /^2 faults on AWS/m);
        assert.match(output, /ssm:StartSession is denied/);
        assert.match(output, /this machine has no session-manager-plugin on its PATH/);
        assert.match(output, /fix: install it: https:\/\/docs\.aws/);
      }
      assert.deepEqual(stack.everything(), []);
    } finally {
      stack.workspace.environment.PATH = PATH;
      stack.cloud.api.account = fullAccount();
    }
  });

  describe("that was reached at its address before", () => {
    let instances: string[];
    let triton: string;

    before(async () => {
      stack.cloud.api.account = fullAccount();
      for (const key of ["network", "zones", "ami", "access"])
        stack.set(["xsched-triton:host", key], undefined);
      stack.set(["xsched-triton:host", "publicIp"], "none");
      stack.set(["xsched-triton:host", "subnetId"], "subnet-0123456789abcdef0");
      stack.set(["xsched-triton:host", "adminCidrs"], ["127.0.0.1/32"]);
      requireSuccess(await stack.up());
      instances = stack.instances;
      triton = await tritonOf(stack);
    });

    it("keeps its instance and its server when its access changes", async () => {
      stack.set(["xsched-triton:host", "access"], "sessionManager");
      stack.set(["xsched-triton:host", "adminCidrs"], undefined);
      const preview = await stack.npm("preview");
      assert.notEqual(preview.code, 0);
      assert.match(preview.output, /^fix: npm run up -- prod, which shows what will change, and asks$/m);
      // Pulumi by itself, which would remove the server with its old commands.
      const plain = await stack.pulumi("up", "--yes", "--skip-preview", "--non-interactive");
      assert.notEqual(plain.code, 0);
      assert.equal(await tritonOf(stack), triton);
      const { code, output } = await stack.up();
      requireSuccess({ code, output });
      assert.deepEqual(stack.instances, instances);
      assert.equal(await tritonOf(stack), triton);
      assert.deepEqual(stack.properties(GROUP).ingress, []);
      // What was copied is in the store: the copy has nothing to remove.
      const removed = changed(output).filter((line) => / (deleted|replaced)/.test(line));
      assert.deepEqual(
        removed.filter((line) => !line.endsWith("/files deleted")),
        [],
      );
      const again = await stack.up();
      requireSuccess(again);
      assert.deepEqual(changed(again.output), []);
    });

    it("keeps them on the way back", async () => {
      stack.set(["xsched-triton:host", "access"], "ssh");
      stack.set(["xsched-triton:host", "adminCidrs"], ["127.0.0.1/32"]);
      const { code, output } = await stack.up();
      requireSuccess({ code, output });
      assert.deepEqual(stack.instances, instances);
      assert.equal(await tritonOf(stack), triton);
    });

    it("gets another instance in a network of its own, and leaves nothing in the end", async () => {
      const changes = {
        ...{ adminCidrs: undefined, access: "sessionManager", publicIp: undefined, subnetId: undefined },
        ...{ network: { kind: "own" }, zones: ["us-east-1c"] },
      };
      // The machines share this one's ports.
      const [httpPort, grpcPort, metricsPort] = await freePorts(3);
      stack.set(["xsched-triton:server"], { httpPort, grpcPort, metricsPort });
      for (const [key, value] of Object.entries(changes)) stack.set(["xsched-triton:host", key], value);
      const { code, output } = await stack.up();
      requireSuccess({ code, output });
      const [only, ...others] = stack.instances;
      assert.ok(only && others.length === 0 && !instances.includes(only));
      const { subnetId } = stack.properties(INSTANCE);
      const [subnet] = stack.everything(SUBNET).filter(({ id }) => id === subnetId);
      assert.equal(subnet?.properties.availabilityZone, "us-east-1c");
      const status = await stack.npm("status");
      requireSuccess(status);
      assert.match(status.output, /^realtime +1 +255 +yes$/m);
      requireSuccess(await stack.down());
      assert.deepEqual(stack.everything(), []);
    });
  });
});
