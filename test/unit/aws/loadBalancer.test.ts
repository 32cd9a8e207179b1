import * as assert from "node:assert/strict";
import { spawn } from "node:child_process";
import * as http from "node:http";
import type { AddressInfo } from "node:net";
import * as path from "node:path";

import * as pulumi from "@pulumi/pulumi";

import { fitting } from "../../../components/host/aws/balancerPlace";
import { draining, healthCheck } from "../../../components/loadBalancer/listeners";
import { notServingAlarm, unhealthyAlarm } from "../../../components/observability/alarms";
import { HOST_KEY, PRIVATE_KEY } from "../settings/context";
import { record, type Recording, type Registered } from "./mocks";

const ARN = "arn:aws:acm:us-east-1:111122223333:certificate/01234567-89ab-cdef-0123-456789abcdef";
const ZONE = "Z0123456789ABCDEFGHIJ";
const GROUP = "aws:ec2/securityGroup:SecurityGroup";
const BALANCER = "aws:lb/loadBalancer:LoadBalancer";
const TARGETS = "aws:lb/targetGroup:TargetGroup";
const LISTENER = "aws:lb/listener:Listener";
const TARGET = "aws:lb/targetGroupAttachment:TargetGroupAttachment";
const RECORD = "aws:route53/record:Record";
const SUBNET = "subnet-0123456789abcdef0";
const BASE = {
  ...{ vpcId: "vpc-0123456789abcdef0", subnetIds: [SUBNET], securityGroupId: "sg-0123456789abcdef0" },
  ...{ instanceId: "i-0123456789abcdef0", region: "us-east-1", domainName: "triton.example.com" },
};
const PROOF = {
  resourceRecordName: "_a.triton.example.com.",
  resourceRecordType: "CNAME",
  resourceRecordValue: "_b.acm-validations.aws.",
};

const outputs = ({ type, name }: Registered): Record<string, unknown> => ({
  arn: `arn:aws:x:::${name}`,
  ...(type === BALANCER && { dnsName: "front.elb.us-east-1.amazonaws.com", zoneId: "Z26RNL4JYFTOTI" }),
  ...(type === "aws:acm/certificate:Certificate" && { domainValidationOptions: [PROOF] }),
  ...(type === RECORD && { fqdn: "_a.triton.example.com" }),
  ...(type === "tls:index/privateKey:PrivateKey" && {
    ...{ privateKeyOpenssh: PRIVATE_KEY, publicKeyOpenssh: HOST_KEY },
  }),
  ...(type === "aws:ec2/vpc:Vpc" && { ipv6CidrBlock: "2600:1f18:4a2:7b00::/56" }),
});

const front = (args: object, name = "front"): Promise<Recording> =>
  record(false, outputs, async () => {
    const { AwsLoadBalancer } = await import("../../../components");
    new AwsLoadBalancer(name, { ...BASE, ...args });
  });

const machine = (args: object): Promise<Recording> =>
  record(false, outputs, async () => {
    const { AwsGpuHost } = await import("../../../components");
    new AwsGpuHost("gpu", {
      ...{ instanceType: "g5.xlarge", clientCidrs: ["10.0.0.0/16"] },
      loadBalancer: { domainName: "triton.example.com", certificateArn: ARN },
      ...args,
    });
  });

const tagless = ({ tags, ...inputs }: Record<string, unknown>): Record<string, unknown> => inputs;

describe("a load balancer on AWS", () => {
  it("has TLS on both ports, and passes them on to the gateway's by the same version of HTTP", async () => {
    const program = await front({ certificateArn: ARN });
    assert.deepEqual(tagless(program.inputs(BALANCER)), {
      ...{ loadBalancerType: "network", internal: true, ipAddressType: "ipv4", subnets: [SUBNET] },
      ...{ securityGroups: ["sg-0123456789abcdef0"] },
      ...{ enableCrossZoneLoadBalancing: true, enableDeletionProtection: false },
    });
    for (const [what, port, alpnPolicy] of [
      ["http", 8000, "HTTP1Only"],
      ["grpc", 8001, "HTTP2Only"],
    ] as const) {
      assert.deepEqual(tagless(program.inputs(LISTENER, `front-${what}`)), {
        ...{
          loadBalancerArn: "arn:aws:x:::front-nlb",
          protocol: "TLS",
          port,
          alpnPolicy,
          certificateArn: ARN,
        },
        sslPolicy: "ELBSecurityPolicy-TLS13-1-2-2021-06",
        defaultActions: [{ type: "forward", targetGroupArn: `arn:aws:x:::front-${what}` }],
      });
      const { protocol, port: at, healthCheck: check } = program.inputs(TARGETS, `front-${what}`);
      assert.deepEqual([protocol, at], ["TLS", port]);
      assert.deepEqual(check, healthCheck(8000, true));
      assert.deepEqual(program.inputs(TARGET, `front-${what}`), {
        ...{ targetGroupArn: `arn:aws:x:::front-${what}`, targetId: BASE.instanceId, port },
      });
    }
    assert.deepEqual(program.names("aws:route53"), []);
    assert.deepEqual(program.names("aws:acm"), []);
  });

  it("has names that AWS takes, however long its own is", async () => {
    for (const name of ["inference-of-research", "inference.eu"]) {
      const program = await front({ certificateArn: ARN }, name);
      const own = [program.inputs(BALANCER), program.inputs(TARGETS, `${name}-grpc`)];
      assert.deepEqual(
        own.map(({ namePrefix }) => namePrefix),
        ["triton", "triton"],
      );
    }
  });

  it("asks the gateway whether its server is ready, by TLS if the gateway has it", async () => {
    const { protocol, port, path: asked, matcher } = healthCheck(8000, false);
    assert.deepEqual([protocol, port, asked, matcher], ["HTTP", "8000", "/v2/health/ready", "200"]);
    assert.equal(healthCheck(8000, true).protocol, "HTTPS");
    const program = await front({ certificateArn: ARN, tls: false, metrics: true });
    assert.deepEqual(program.names(TARGETS), ["front-grpc", "front-http", "front-metrics"]);
    assert.equal(program.inputs(TARGETS, "front-metrics").protocol, "TCP");
  });

  it("gives requests in flight their time, and then ends the connections that are left", () => {
    assert.deepEqual(draining(90), {
      ...{ connectionTermination: true, deregistrationDelay: 90 },
      targetHealthStates: [{ enableUnhealthyConnectionTermination: false, unhealthyDrainingInterval: 90 }],
    });
  });

  it("has a name, and a certificate that AWS issues for it, in a hosted zone", async () => {
    const program = await front({ hostedZoneId: ZONE, scheme: "internetFacing", protect: true });
    const { internal, enableDeletionProtection } = program.inputs(BALANCER);
    assert.deepEqual([internal, enableDeletionProtection], [false, true]);
    assert.deepEqual(program.inputs(RECORD, "front-alias"), {
      ...{ zoneId: ZONE, name: "triton.example.com", type: "A" },
      aliases: [
        {
          ...{ name: "front.elb.us-east-1.amazonaws.com", zoneId: "Z26RNL4JYFTOTI" },
          evaluateTargetHealth: false,
        },
      ],
    });
    assert.deepEqual(program.inputs(RECORD, "front-proof"), {
      ...{ zoneId: ZONE, name: PROOF.resourceRecordName, type: "CNAME", ttl: 300, allowOverwrite: true },
      records: [PROOF.resourceRecordValue],
    });
    // The one that is issued, so that no listener asks for it before.
    assert.equal(program.inputs(LISTENER, "front-grpc").certificateArn, "arn:aws:x:::front-certificate");
    const issued = program.inputs("aws:acm/certificateValidation:CertificateValidation");
    assert.deepEqual(issued.validationRecordFqdns, ["_a.triton.example.com"]);
  });

  it("stays what it is while nobody knows yet which instance takes over", async () => {
    const program = await record(true, outputs, async () => {
      const { AwsLoadBalancer } = await import("../../../components");
      class Instance extends pulumi.CustomResource {}
      const { id: instanceId } = new Instance("aws:ec2/instance:Instance", "new", {});
      new AwsLoadBalancer("front", { ...BASE, certificateArn: ARN, instanceId });
    });
    assert.equal(program.inputs(TARGETS, "front-http").port, 8000);
    assert.deepEqual(program.inputs(BALANCER).subnets, [SUBNET]);
    assert.notEqual(typeof program.inputs(TARGET, "front-http").targetId, "string");
  });

  it("is the only one that its instance lets in as clients", async () => {
    const program = await machine({ adminCidrs: ["203.0.113.7/32"] });
    const rules = program.inputs(GROUP, "gpu-access").ingress as Record<string, unknown>[];
    assert.deepEqual(
      rules.map(({ fromPort, cidrBlocks, securityGroups }) => [fromPort, cidrBlocks, securityGroups]),
      [
        [22, ["203.0.113.7/32"], undefined],
        [8000, undefined, ["gpu-clients-id"]],
        [8001, undefined, ["gpu-clients-id"]],
      ],
    );
    const { ingress, egress } = program.inputs(GROUP, "gpu-clients") as Record<
      string,
      Record<string, unknown>[]
    >;
    assert.deepEqual(
      ingress?.map(({ fromPort, cidrBlocks }) => [fromPort, cidrBlocks]),
      [
        [8000, ["10.0.0.0/16"]],
        [8001, ["10.0.0.0/16"]],
      ],
    );
    assert.deepEqual(
      egress?.map(({ fromPort, toPort }) => [fromPort, toPort]),
      [
        [8000, 8000],
        [8001, 8001],
      ],
    );
  });

  it("has public subnets in a network of its own only where the internet is to reach it", async () => {
    const own = { access: "sessionManager", zones: ["us-east-1b", "us-east-1a"], network: { kind: "own" } };
    const publicSubnets = async (scheme?: string): Promise<string[]> => {
      const loadBalancer = { domainName: "triton.example.com", certificateArn: ARN, scheme };
      const program = await machine({ ...own, zone: undefined, instanceTypes: undefined, loadBalancer });
      return program.names("aws:ec2/subnet:Subnet").filter((name) => name.includes("-public-"));
    };
    assert.deepEqual(await publicSubnets(), ["gpu-public-us-east-1b"]);
    assert.deepEqual(await publicSubnets("internetFacing"), [
      "gpu-public-us-east-1a",
      "gpu-public-us-east-1b",
    ]);
  });

  it("takes no subnets that its instance could not be reached from", () => {
    const subnet = (id: string, zone: string, vpcId = "vpc-1") => ({ id, vpcId, availabilityZone: zone });
    const own = subnet("subnet-own", "a");
    assert.deepEqual(fitting(own, [subnet("subnet-2", "b"), subnet("subnet-1", "a")]), [
      "subnet-2",
      "subnet-1",
    ]);
    for (const [given, what] of [
      [[subnet("subnet-1", "a", "vpc-2")], "subnet-1 is in vpc-2, and the instance's subnet-own in vpc-1"],
      [
        [subnet("subnet-1", "b")],
        "no subnet of the load balancer is in a, the zone of the instance's subnet-own",
      ],
      [
        [subnet("subnet-1", "a"), subnet("subnet-2", "a")],
        "subnet-2 is the second subnet in a, and a load balancer has one a zone",
      ],
    ] as const) {
      assert.throws(
        () => fitting(own, given),
        new RegExp(`^.*${what}\nfix: correct host\\.loadBalancer\\.subnetIds`),
      );
    }
  });

  it("has an alarm that tells people, unless the instance may be stopped on purpose", () => {
    const watched = { loadBalancer: "net/front/1", targetGroup: "targetgroup/front/2" };
    const options = { topic: "arn:topic", notReadyMinutes: 4 };
    const alarm = unhealthyAlarm(options, watched);
    assert.deepEqual(
      [alarm.metricName, alarm.dimensions, alarm.evaluationPeriods, alarm.treatMissingData],
      [
        "UnHealthyHostCount",
        { LoadBalancer: "net/front/1", TargetGroup: "targetgroup/front/2" },
        ...[4, "notBreaching"],
      ],
    );
    assert.deepEqual(alarm.alarmActions, ["arn:topic"]);
    assert.deepEqual(unhealthyAlarm({ ...options, stops: true }, watched).alarmActions, []);
    const composite = notServingAlarm(options, "stopped", "not-ready", "unhealthy");
    assert.equal(composite.alarmRule, 'ALARM("not-ready") OR ALARM("unhealthy")');
    assert.equal(composite.actionsSuppressor.alarm, "stopped");
    assert.match(
      composite.alarmDescription,
      /silent, or the load balancer finds the gateway unhealthy, for 4 min/,
    );
  });
});

describe("await-targets.cjs", () => {
  const SCRIPT = path.resolve(__dirname, "../../../components/loadBalancer/await-targets.cjs");
  const instance = "i-0123456789abcdef0";
  let server: http.Server;
  let answers: string[];

  before(async () => {
    // Each answer once, the last one from then on.
    server = http.createServer((request, response) => {
      request.resume().on("end", () => {
        const state = (answers.length > 1 ? answers.shift() : answers[0]) ?? "";
        const gone = state === "gone";
        const target = `<member><Target><Id>${instance}</Id></Target><TargetHealth><State>${state}</State><Description>why</Description></TargetHealth></member>`;
        const found = `<DescribeTargetHealthResponse><DescribeTargetHealthResult><TargetHealthDescriptions>${state === "none" ? "" : target}</TargetHealthDescriptions></DescribeTargetHealthResult></DescribeTargetHealthResponse>`;
        const error =
          "<ErrorResponse><Error><Code>TargetGroupNotFound</Code><Message>gone</Message></Error></ErrorResponse>";
        response.writeHead(gone ? 400 : 200, { "content-type": "text/xml" }).end(gone ? error : found);
      });
    });
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  });

  after(() => server.close());

  function run(
    wanted: string,
    states: string[],
    more: NodeJS.ProcessEnv = {},
  ): Promise<{ code: number | null; said: string }> {
    answers = states;
    const { port } = server.address() as AddressInfo;
    const env = {
      ...process.env,
      ...{ GROUPS: '["arn:group"]', INSTANCE: instance, AWS_REGION: "us-east-1", DELAY_SECONDS: "600" },
      ...{ AWS_ACCESS_KEY_ID: "testing", AWS_SECRET_ACCESS_KEY: "testing", POLL_MS: "1" },
      AWS_ENDPOINT_URL_ELASTIC_LOAD_BALANCING_V2: `http://127.0.0.1:${port}`,
      ...more,
    };
    return new Promise((resolve) => {
      const child = spawn(process.execPath, [SCRIPT, wanted], { env });
      let said = "";
      child.stderr.setEncoding("utf8").on("data", (text: string) => (said += text));
      child.on("close", (code) => {
        resolve({ code, said });
      });
    });
  }

  it("waits until the instance is healthy, and says what it waits for", async () => {
    const { code, said } = await run("healthy", ["initial", "initial", "unhealthy", "healthy"]);
    assert.equal(code, 0, said);
    assert.equal(
      said,
      `To the load balancer, ${instance} is initial (why); waiting …\nTo the load balancer, ${instance} is unhealthy (why); waiting …\n`,
    );
  });

  it("fails where it does not become healthy, so that what serves is kept", async () => {
    const { code, said } = await run("healthy", ["unhealthy"], { HEALTHY_SECONDS: "0" });
    assert.equal(code, 1);
    assert.match(
      said,
      new RegExp(
        `error: the load balancer does not find ${instance} healthy: unhealthy \\(why\\)\nfix: npm run status`,
      ),
    );
  });

  it("waits until it is drained, or the target group is gone", async () => {
    const { code, said } = await run("drained", ["draining", "none"]);
    assert.deepEqual([code, said], [0, `To the load balancer, ${instance} is draining (why); waiting …\n`]);
    assert.deepEqual(await run("drained", ["gone"]), { code: 0, said: "" });
  });

  it("waits for the whole delay where AWS does not say", async () => {
    const { code, said } = await run("drained", ["none"], {
      ...{
        AWS_ENDPOINT_URL_ELASTIC_LOAD_BALANCING_V2: "http://127.0.0.1:1",
        DELAY_SECONDS: "0",
        AWS_MAX_ATTEMPTS: "1",
      },
    });
    assert.equal(code, 0);
    assert.match(said, new RegExp(`^AWS does not say when ${instance} is drained: `));
  });
});
