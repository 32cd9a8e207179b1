import * as assert from "node:assert/strict";
import * as fs from "node:fs";

import { parse } from "yaml";

import { fullAccount } from "../fixtures/standInCloud/api";
import { shutDown } from "../fixtures/standInCloud/machine";
import { AwsStack, changed } from "./awsStack";
import { EXAMPLES, MODELS } from "./examples";
import { missingHaproxy } from "./haproxy";
import { freePorts } from "./ports";
import { IMAGE_PROVIDER } from "./toolchain";
import { requireSuccess } from "./workspace";
import { skipWithout } from "./needs";

const INSTANCE = "aws:ec2/instance:Instance";
const GROUP = "aws:ec2/securityGroup:SecurityGroup";
const BALANCER = "aws:lb/loadBalancer:LoadBalancer";

/** Who a security group lets in. */
interface Rule {
  readonly fromPort: number;
  readonly toPort: number;
  readonly cidrBlocks?: readonly string[];
  readonly securityGroups?: readonly string[];
}

/** A machine without the provider says so; CI has it. */
function needImageProvider(test: Mocha.Context): void {
  const missing = "Docker's build provider is missing (`npm test` looks for it)";
  skipWithout(test, fs.existsSync(IMAGE_PROVIDER) ? undefined : missing);
}

describe("the stack dev, on a stand-in for AWS", function () {
  let stack: AwsStack;

  before(async function () {
    skipWithout(this, AwsStack.missing);
    stack = await AwsStack.create("dev");
    // The stand-in's machines have neither a GPU nor Docker.
    if (!fs.existsSync(IMAGE_PROVIDER)) stack.set(["xsched-triton:runtime"], { kind: "process" });
  });

  after(async () => {
    if (AwsStack.missing === undefined) await stack.stop();
  });

  it("asks for the one value that it needs", async () => {
    const { code, output } = await stack.npm("preview");
    assert.notEqual(code, 0);
    assert.match(output, /1 fault in the settings of stack dev; nothing was changed/);
    assert.match(output, /fix: pulumi config set --path 'xsched-triton:host\.adminCidrs\[0\]' "\$\(curl/);
    stack.set(["xsched-triton:host", "adminCidrs"], ["127.0.0.1/32"]);
  });

  it("is previewed unchanged, with its own repository for its image", async function () {
    needImageProvider(this);
    const { code, output } = await stack.npm("preview");
    requireSuccess({ code, output });
    assert.match(output, /aws:ecr:Repository\s+triton-registry-repository\s+create/);
    assert.match(output, /docker-build:index:Image\s+triton-image-build\s+create/);
    assert.match(output, /command:remote:Command\s+triton-server-image\s+create/);
    assert.deepEqual(stack.everything(), []);
  });

  it("is previewed like this as the stack current, on a current GPU with a current Triton", async function () {
    needImageProvider(this);
    const { config } = parse(fs.readFileSync(stack.workspace.file("Pulumi.current.yaml"), "utf8")) as {
      config: Record<string, object>;
    };
    const own = fs.readFileSync(stack.workspace.file("Pulumi.dev.yaml"));
    const host = { ...config["xsched-triton:host"], adminCidrs: ["127.0.0.1/32"], user: "root" };
    stack.set(["xsched-triton:host"], host);
    stack.set(["xsched-triton:runtime"], config["xsched-triton:runtime"]);
    try {
      const { code, output } = await stack.npm("preview");
      requireSuccess({ code, output });
      assert.match(output, /docker-build:index:Image\s+triton-image-build\s+create/);
      assert.match(output, /aws:ec2:Instance\s+triton-machine-instance\s+create/);
      assert.doesNotMatch(output, /build.variant/);
      assert.deepEqual(stack.everything(), []);
    } finally {
      fs.writeFileSync(stack.workspace.file("Pulumi.dev.yaml"), own);
    }
  });

  it("is refused before anything is created, with all that AWS lacks for it", async function () {
    needImageProvider(this);
    const own = fs.readFileSync(stack.workspace.file("Pulumi.dev.yaml"));
    const { api } = stack.cloud;
    stack.set(["xsched-triton:host", "zone"], "us-east-1d");
    stack.set(["xsched-triton:host", "ami"], "ami-0fedcba9876543210");
    stack.set(
      ["xsched-triton:host", "kmsKeyId"],
      "arn:aws:kms:us-east-1:111122223333:key/01234567-89ab-cdef-0123-456789abcdef",
    );
    stack.set(["xsched-triton:runtime"], {
      kind: "container",
      build: { repository: "111122223333.dkr.ecr.us-east-1.amazonaws.com/triton" },
    });
    stack.set(
      ["xsched-triton:models"],
      [
        { name: "a", source: "s3://nobody-has-this/a" },
        { name: "b", source: "s3://somebody-else-has-this/b" },
      ],
    );
    api.account = {
      ...fullAccount(),
      ...{ vcpuQuota: 0, addressQuota: 0, defaultVpc: false, images: false, keyState: "Disabled" },
      ...{ registryLogin: false, buckets: { "nobody-has-this": 404, "somebody-else-has-this": 403 } },
    };
    try {
      for (const run of [() => stack.workspace.npm("preflight", "--", "dev"), () => stack.up()]) {
        const { code, output } = await run();
        assert.notEqual(code, 0);
        assert.match(output, /^10 faults on AWS for arn:aws:iam::111122223333:user\/test in us-east-1/m);
        assert.equal(output.match(/^ {2}\S.*\n {4}fix: .+$/gm)?.length, 10, output);
        assert.doesNotMatch(output, /not checked/);
      }
      assert.deepEqual(stack.everything(), []);
      // What AWS was asked for changes nothing.
      for (const operation of api.asked) assert.match(operation, /^(Describe|Get|Head)/);

      api.account = { ...fullAccount(), credentials: false };
      const { code, output } = await stack.up();
      assert.notEqual(code, 0);
      assert.match(output, /^1 fault on AWS for the stack "dev"; nothing was created\.$/m);
      assert.match(output, /AWS does not accept the credentials of this machine in us-east-1/);
    } finally {
      fs.writeFileSync(stack.workspace.file("Pulumi.dev.yaml"), own);
      api.account = fullAccount();
    }
  });

  it("is shown in a preview that creates nothing", async () => {
    // The stand-in's machines have no Docker.
    stack.set(["xsched-triton:runtime"], { kind: "process" });
    const { code, output } = await stack.npm("preview");
    requireSuccess({ code, output });
    assert.match(output, /aws:ec2:Instance\s+triton-machine-instance\s+create/);
    assert.match(output, /command:remote:Command\s+triton-server-models\s+create/);
    assert.deepEqual(stack.everything(), []);
  });

  it("says why a machine does not become ready, without showing a secret", async () => {
    stack.cloud.fail("cloud-init", "status", "");
    const { code, output } = await stack.up();
    stack.cloud.recover();
    assert.notEqual(code, 0);
    assert.match(output, /error: cloud-init has failed/);
    assert.match(output, /fix: mend what it says/);
    await stack.refuseSecrets(output);
  });

  it("goes on from there, and serves every model", async () => {
    const [before] = stack.instances;
    const { code, output } = await stack.up();
    requireSuccess({ code, output });
    assert.deepEqual(stack.instances, [before]);
    for (const { name, ...priority } of EXAMPLES) {
      assert.ok(await stack.triton.isReady(name), name);
      assert.deepEqual(await stack.triton.priority(name), priority);
    }
    assert.match(output, /^realtime +1 +255 +yes$/m);
  });

  it("has an instance that accepts no key but its own", () => {
    const [id = ""] = stack.instances;
    const host = fs.readFileSync(stack.machine(id, "ssh/ssh_host_ed25519_key"), "utf8");
    const [parameter] = stack.everything("aws:ssm/parameter:Parameter");
    assert.equal(host.trim(), (parameter?.properties.value as string).trim());
    const { tags, instanceMarketOptions, metadataOptions } = stack.properties(INSTANCE);
    assert.deepEqual(tags, {
      Name: "xsched-triton-dev-triton-machine",
      "xsched-triton:project": "xsched-triton",
      "xsched-triton:stack": "dev",
    });
    assert.deepEqual(instanceMarketOptions, {
      marketType: "spot",
      spotOptions: { instanceInterruptionBehavior: "stop", spotInstanceType: "persistent" },
    });
    assert.deepEqual(metadataOptions, {
      httpEndpoint: "enabled",
      httpPutResponseHopLimit: 1,
      httpTokens: "required",
      instanceMetadataTags: "disabled",
    });
    const { ingress } = stack.properties("aws:ec2/securityGroup:SecurityGroup");
    assert.deepEqual(ingress, [
      {
        cidrBlocks: ["127.0.0.1/32"],
        description: "SSH",
        fromPort: 22,
        ipv6CidrBlocks: [],
        protocol: "tcp",
        toPort: 22,
      },
    ]);
  });

  it("keeps its keys to itself", async () => {
    const [id = ""] = stack.instances;
    await stack.refuseSecrets(fs.readFileSync(stack.machine(id, "user-data"), "utf8"));
    const state = await stack.show("export");
    assert.equal(state.code, 0);
    await stack.refuseSecrets(state.output);
    const outputs = await stack.show("output");
    assert.match(outputs.output, /ssh -i KEY -N -L/);
    assert.match(outputs.output, /aws ssm start-session --region us-east-1 --target i-[0-9a-f]{17}/);
    await stack.refuseSecrets(outputs.output);
  });

  it("changes nothing when nothing has changed, although there is a newer machine image", async () => {
    const { length } = stack.cloud.api.asked;
    const { code, output } = await stack.up();
    requireSuccess({ code, output });
    assert.deepEqual(changed(output), []);
    assert.match(output, /Resources:\s+\d+ unchanged/);
    assert.equal(stack.cloud.api.asked.length, length, "asks AWS for nothing");
  });

  it("touches only the model whose priority changes", async () => {
    stack.set(["xsched-triton:models", "1", "priority"], 90);
    const { code, output } = await stack.up();
    requireSuccess({ code, output });
    assert.deepEqual(changed(output), ["triton-models-interactive updated", "triton-server-models updated"]);
    assert.deepEqual(await stack.triton.priority("interactive"), { triton: "PRIORITY_MAX", xsched: "90" });
  });

  describe("behind a gateway", function () {
    let instances: string[];
    const open = (): unknown[] => ingressOf("triton-machine-access").map(({ fromPort }) => fromPort);
    const ingressOf = (name: string): Rule[] => {
      const [group] = stack
        .everything(GROUP)
        .filter(({ properties }) => (properties.name as string).startsWith(name));
      return (group?.properties.ingress ?? []) as unknown as Rule[];
    };

    before(function () {
      skipWithout(this, missingHaproxy);
      instances = stack.instances;
    });

    it("lets clients in through that alone, as soon as somebody has decided about TLS", async () => {
      // As a stack had it before there was a gateway.
      stack.set(["xsched-triton:host", "clientCidrs"], ["203.0.113.0/24"]);
      stack.set(["xsched-triton:server", "address"], "0.0.0.0");
      const undecided = await stack.up();
      assert.notEqual(undecided.code, 0);
      assert.match(undecided.output, /1 fault in the settings of stack dev; nothing was changed/);
      assert.match(undecided.output, /gateway\.tls: \(not set\)/);
      assert.deepEqual(open(), [22]);

      const [http, grpc, metrics] = await freePorts(3);
      stack.set(["xsched-triton:gateway"], { tls: "off", upstreamPorts: { http, grpc, metrics } });
      const { code, output } = await stack.up();
      requireSuccess({ code, output });
      assert.deepEqual(
        changed(output).filter((line) => !line.startsWith("triton-server-")),
        [
          "triton-gateway-gateway created",
          "triton-machine-access updated",
          "triton-services-haproxy created",
        ],
      );
      assert.deepEqual(stack.instances, instances);
      assert.equal(open().length, 3);
      for (const model of MODELS) {
        const request = await stack.triton.exampleRequest(model);
        assert.equal((await stack.triton.infer(model, request)).status, 200, model);
      }
      assert.equal((await stack.triton.request("POST", "/v2/repository/index")).status, 404);
      assert.deepEqual(changed((await stack.up()).output), []);
    });

    it("lets in a load balancer alone that is before it, which finds it healthy", async () => {
      stack.set(["xsched-triton:host", "loadBalancer"], {
        domainName: "triton.example.com",
        hostedZoneId: "Z0123456789ABCDEFGHIJ",
      });
      const { code, output } = await stack.up();
      requireSuccess({ code, output });
      assert.deepEqual(
        changed(output).filter((line) => !/^triton-(lb-.*|machine-clients) created$/.test(line)),
        ["triton-machine-access updated"],
      );
      assert.deepEqual(stack.instances, instances);
      const { securityGroups, internal, dnsName } = stack.properties(BALANCER);
      assert.equal(internal, true);
      const [ssh, ...inference] = ingressOf("triton-machine-access");
      assert.deepEqual([ssh?.fromPort, ssh?.securityGroups ?? []], [22, []]);
      const clients = ingressOf("triton-machine-clients");
      const ports = clients.map(({ fromPort }) => fromPort);
      assert.equal(ports.length, 2);
      for (const [index, rule] of inference.entries()) {
        assert.deepEqual([rule.fromPort, rule.toPort], [ports[index], ports[index]]);
        assert.deepEqual([rule.securityGroups, rule.cidrBlocks ?? []], [securityGroups, []]);
      }
      assert.equal(inference.length, 2);
      assert.deepEqual(
        clients.map(({ cidrBlocks }) => cidrBlocks),
        [["203.0.113.0/24"], ["203.0.113.0/24"]],
      );
      const registered = fs.readFileSync(stack.cloud.file("registrations"), "utf8").trim().split("\n").sort();
      assert.deepEqual(registered, ports.map((port) => `${instances[0]} ${port} healthy`).sort());
      const outputs = JSON.parse((await stack.show("output", "--json")).output) as {
        endpoints: object;
        aws: { loadBalancer: object };
      };
      assert.deepEqual(outputs.endpoints, {
        http: `https://triton.example.com:${ports[0]}`,
        grpc: `triton.example.com:${ports[1]}`,
        metrics: "",
      });
      const zoneId = "Z26RNL4JYFTOTI";
      assert.deepEqual(outputs.aws.loadBalancer, { domainName: "triton.example.com", dnsName, zoneId });
      assert.match(output, new RegExp(`behind the gateway at https://triton\\.example\\.com:${ports[0]}`));
    });

    it("keeps its instance and its server without the load balancer", async () => {
      stack.set(["xsched-triton:host", "loadBalancer"], undefined);
      const { code, output } = await stack.up();
      requireSuccess({ code, output });
      assert.deepEqual(
        changed(output).filter((line) => !/^triton-(lb-.*|machine-clients) deleted$/.test(line)),
        ["triton-machine-access updated"],
      );
      assert.deepEqual(stack.instances, instances);
      assert.deepEqual([stack.everything(BALANCER), stack.everything(GROUP).length], [[], 1]);
      assert.equal(ingressOf("triton-machine-access")[1]?.cidrBlocks?.[0], "203.0.113.0/24");
    });

    it("lets nobody in without the gateway", async () => {
      stack.set(["xsched-triton:host", "clientCidrs"], undefined);
      stack.set(["xsched-triton:server", "address"], undefined);
      stack.set(["xsched-triton:gateway"], undefined);
      requireSuccess(await stack.up());
      assert.deepEqual(open(), [22]);
      assert.equal((await stack.triton.request("POST", "/v2/repository/index")).status, 403);
    });
  });

  describe("with another instance type", () => {
    let before: string[];

    it("keeps serving while the quota does not allow both, and reports it", async () => {
      before = stack.instances;
      stack.set(["xsched-triton:host", "instanceType"], "g5.xlarge");
      stack.cloud.api.account.vcpuQuota = 7;
      const { code, output } = await stack.up();
      stack.cloud.api.account.vcpuQuota = 8;
      assert.notEqual(code, 0);
      assert.match(
        output,
        new RegExp(`4 are in use, 4 of them by ${before[0]}, which serves until the new instance has booted`),
      );
      assert.deepEqual(stack.instances, before);
    });

    it("keeps serving while AWS has no capacity, and reports it", async () => {
      before = stack.instances;
      stack.set(["xsched-triton:host", "instanceType"], "g5.xlarge");
      stack.cloud.fail(INSTANCE, "create", "InsufficientInstanceCapacity: we do not have g5.xlarge capacity");
      const { code, output } = await stack.up();
      stack.cloud.recover();
      assert.notEqual(code, 0);
      assert.match(output, /InsufficientInstanceCapacity/);
      await stack.refuseSecrets(output);
      assert.deepEqual(stack.instances, before);
      for (const model of MODELS) assert.ok(await stack.triton.isReady(model), model);
    });

    it("moves to another instance at the same address, with everything on it", async () => {
      const address = stack.properties("aws:ec2/eip:Eip").publicIp;
      const { code, output } = await stack.up();
      requireSuccess({ code, output });
      const [id = ""] = stack.instances;
      assert.equal(stack.instances.length, 1);
      assert.notDeepEqual(stack.instances, before);
      assert.equal(stack.properties("aws:ec2/eip:Eip").publicIp, address);
      assert.ok(fs.existsSync(stack.machine(id, "home/.xsched-triton-dev/bin/agent")));
      for (const model of MODELS) assert.ok(await stack.triton.isReady(model), model);
      const touched = changed(output).filter((line) => /^triton-machine-.* (updated|replaced)$/.test(line));
      assert.deepEqual(touched, [
        "triton-machine-address updated",
        "triton-machine-instance replaced",
        "triton-machine-ready replaced",
        "triton-machine-spot-request replaced",
      ]);
    });

    it("is then left alone", async () => {
      const { code, output } = await stack.up();
      requireSuccess({ code, output });
      assert.deepEqual(changed(output), []);
    });
  });

  // Runs after the suite before it.
  describe("at the end", () => {
    it("leaves nothing after `npm run down`, even if the machine no longer answers", async () => {
      const [id = ""] = stack.instances;
      const request = stack.properties(INSTANCE).spotInstanceRequestId as string;
      await shutDown(id);
      const { code, output } = await stack.down();
      requireSuccess({ code, output });
      assert.deepEqual(stack.everything(), []);
      // The requests of both instances are cancelled, so that AWS starts no others.
      const cancelled = fs.readFileSync(stack.cloud.file("cancelled"), "utf8").trim().split("\n");
      assert.equal(cancelled.length, 2);
      assert.equal(cancelled[1], request);
    });
  });
});
