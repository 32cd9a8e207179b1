import * as assert from "node:assert/strict";
import * as fs from "node:fs";
import * as http from "node:http";
import type { AddressInfo } from "node:net";
import * as path from "node:path";

import { BALANCING, refuseGroupInUse, REGISTRATIONS, targetsOf } from "../../fixtures/standInCloud/balancing";
import type { Properties } from "../../fixtures/standInCloud/values";
import { remember } from "../../fixtures/standInCloud/world";

const BALANCER = "aws:lb/loadBalancer:LoadBalancer";
const TARGETS = "aws:lb/targetGroup:TargetGroup";
const LISTENER = "aws:lb/listener:Listener";
const ATTACHMENT = "aws:lb/targetGroupAttachment:TargetGroupAttachment";
const CERTIFICATE = "aws:acm/certificate:Certificate";
const VALIDATION = "aws:acm/certificateValidation:CertificateValidation";
const RECORD = "aws:route53/record:Record";
const GROUP = "aws:ec2/securityGroup:SecurityGroup";
const SUBNET = "aws:ec2/subnet:Subnet";
const INSTANCE = "aws:ec2/instance:Instance";
const GIVEN = "arn:aws:acm:us-east-1:111122223333:certificate/01234567-89ab-cdef-0123-456789abcdef";
const FRONT = {
  loadBalancerType: "network",
  name: "front",
  internal: true,
  subnets: ["s-1"],
  securityGroups: ["sg-1"],
};

/** Engine tests rely on it: what AWS would refuse must not be made, and nobody is healthy who is not reached. */
describe("load balancers of the stand-in for AWS", () => {
  let world: string;

  beforeEach(() => {
    world = fs.mkdtempSync(path.join(process.env.TMPDIR ?? "/tmp", "xsched-triton-balancing-"));
    process.env.STAND_IN_CLOUD = world;
    remember(GROUP, "sg-1", { vpcId: "vpc-1" });
    for (const [id, zone] of [
      ["s-1", "a"],
      ["s-2", "b"],
      ["s-3", "a"],
    ] as const) {
      remember(SUBNET, id, { vpcId: "vpc-1", availabilityZone: zone });
    }
  });

  afterEach(() => {
    delete process.env.STAND_IN_CLOUD;
    fs.rmSync(world, { recursive: true });
  });

  /** Makes a resource, as its provider does. */
  async function make(type: string, inputs: Properties): Promise<string> {
    const { id, ...outputs } = (await BALANCING[type]?.create(inputs)) ?? { id: "" };
    remember(type, id, { ...inputs, ...outputs });
    return id;
  }

  const refused = (type: string, inputs: Properties, reason: RegExp): Promise<void> =>
    assert.rejects(make(type, inputs), reason);

  it("are not where AWS would not make them", async () => {
    await refused(BALANCER, { ...FRONT, name: "a".repeat(33) }, /longer than '32'/);
    await refused(BALANCER, { ...FRONT, subnets: [] }, /At least one subnet/);
    await refused(BALANCER, { ...FRONT, subnets: ["s-1", "s-3"] }, /multiple subnets in one zone/);
    await refused(BALANCER, { ...FRONT, internal: false }, /s-1 has no route to an internet gateway/);
    await refused(BALANCER, { ...FRONT, securityGroups: ["sg-2"] }, /InvalidSecurityGroup/);
    remember(GROUP, "sg-2", { vpcId: "vpc-2" });
    await refused(BALANCER, { ...FRONT, securityGroups: ["sg-2"] }, /does not belong to the VPC/);
    await make(BALANCER, { ...FRONT, subnets: ["s-1", "s-2"] });
    assert.throws(() => {
      refuseGroupInUse("sg-1");
    }, /DependencyViolation/);
  });

  it("are not deleted while they are protected, nor get a group later", async () => {
    const rules = BALANCING[BALANCER];
    const id = await make(BALANCER, FRONT);
    assert.throws(() => rules?.remove?.(id, { enableDeletionProtection: true }), /OperationNotPermitted/);
    assert.throws(
      () => rules?.update?.(id, { securityGroups: ["sg-1"] }, {}),
      /was made without security groups/,
    );
  });

  it("have listeners with certificates that are proved", async () => {
    const [loadBalancerArn, targetGroupArn] = [
      await make(BALANCER, FRONT),
      await make(TARGETS, { name: "t", protocol: "TCP" }),
    ];
    const listener = { loadBalancerArn, port: 8000, protocol: "TLS", defaultActions: [{ targetGroupArn }] };
    const zone = { zoneId: "Z1", type: "CNAME" };
    const certificateArn = await make(CERTIFICATE, { domainName: "triton.example.com" });
    await refused(VALIDATION, { certificateArn }, /timeout/);
    await refused(LISTENER, { ...listener, certificateArn }, /UnsupportedCertificate/);
    await refused(LISTENER, { ...listener, certificateArn: "arn:aws:iam:a" }, /CertificateNotFound/);
    const file = fs.readdirSync(path.join(world, "resources")).find((name) => name.includes("certificate"));
    const { properties } = JSON.parse(fs.readFileSync(path.join(world, "resources", file ?? ""), "utf8")) as {
      properties: { domainValidationOptions: { resourceRecordName: string; resourceRecordValue: string }[] };
    };
    const [wanted] = properties.domainValidationOptions;
    assert.ok(wanted);
    const proof = { ...zone, name: wanted.resourceRecordName, records: [wanted.resourceRecordValue] };
    await make(RECORD, proof);
    await refused(RECORD, proof, /already exists/);
    await make(VALIDATION, { certificateArn });
    await make(LISTENER, { ...listener, certificateArn });
    await refused(LISTENER, { ...listener, certificateArn: GIVEN }, /DuplicateListener/);
    assert.throws(() => BALANCING[TARGETS]?.remove?.(targetGroupArn, {}), /ResourceInUse/);
    assert.throws(() => BALANCING[CERTIFICATE]?.remove?.(certificateArn, {}), /ResourceInUse/);
  });

  it("find a target healthy that answers, and that their group is let in to", async () => {
    let status = 200;
    const server = http.createServer((request, response) => {
      response.writeHead(request.url === "/ready" ? status : 404).end();
    });
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    const { port } = server.address() as AddressInfo;
    const healthCheck = { protocol: "HTTP", port: String(port), path: "/ready", matcher: "200" };
    const [loadBalancerArn, targetGroupArn] = [
      await make(BALANCER, FRONT),
      await make(TARGETS, { name: "t", protocol: "TCP", healthCheck }),
    ];
    const defaultActions = [{ targetGroupArn }];
    await make(LISTENER, { loadBalancerArn, port, protocol: "TLS", certificateArn: GIVEN, defaultActions });
    remember(INSTANCE, "i-1", { privateIp: "127.0.0.1", vpcSecurityGroupIds: ["sg-2"] });
    const target = { targetGroupArn, targetId: "i-1", port };
    const rule = { fromPort: port, toPort: port };
    for (const [ingress, answer, found] of [
      [[{ ...rule, securityGroups: ["sg-1"] }], 200, "healthy"],
      [[{ ...rule, securityGroups: ["sg-1"] }], 503, "unhealthy (503)"],
      [[{ ...rule, cidrBlocks: ["0.0.0.0/0"] }], 200, "unhealthy (Target.Timeout)"],
    ] as const) {
      status = answer;
      remember(GROUP, "sg-2", { vpcId: "vpc-1", ingress: [...ingress] as unknown as Properties[] });
      await make(ATTACHMENT, target);
      const lines = fs.readFileSync(path.join(world, REGISTRATIONS), "utf8").trim().split("\n");
      assert.equal(lines.at(-1), `i-1 ${port} ${found}`);
    }
    await refused(ATTACHMENT, { ...target, targetId: "i-2" }, /InvalidTarget/);
    assert.equal(targetsOf(targetGroupArn)?.length, 3);
    assert.equal(targetsOf("gone"), undefined);
    server.close();
  });
});
