import * as assert from "node:assert/strict";
import * as path from "node:path";

import type { Account } from "../../../scripts/preflight/account";
import type { RegionalAccount } from "../../../scripts/preflight/checks";
import { preflight, type PreflightInput, type StackConfig } from "../../../scripts/preflight/main";
import type { StateResource } from "../../../scripts/preflight/wanted";

const ROOT = path.resolve(__dirname, "../../..");
const KEY = "arn:aws:kms:us-east-1:111122223333:key/01234567-89ab-cdef-0123-456789abcdef";
const HOST = { kind: "aws", instanceType: "g5.xlarge", adminCidrs: ["203.0.113.7/32"] };

/** An account that lacks nothing, except for what a test says. */
function account(changes: Partial<Account> = {}): RegionalAccount {
  return {
    region: "us-east-1",
    identity: () => Promise.resolve({ account: "111122223333", arn: "arn:aws:iam::111122223333:user/ci" }),
    zones: () => Promise.resolve(["us-east-1a", "us-east-1b"]),
    zonesOffering: () => Promise.resolve(["us-east-1a", "us-east-1b"]),
    vcpus: () => Promise.resolve(4),
    running: () => Promise.resolve([]),
    quota: () => Promise.resolve({ name: "Running On-Demand G and VT instances", value: 8 }),
    addresses: () => Promise.resolve(0),
    vpcs: () => Promise.resolve(1),
    defaultVpc: () => Promise.resolve("vpc-1"),
    defaultSubnetZones: () => Promise.resolve(["us-east-1a", "us-east-1b"]),
    subnet: () => Promise.resolve({ zone: "us-east-1a", vpcId: "vpc-2", freeAddresses: 100 }),
    gatewayEndpoint: () => Promise.resolve(undefined),
    endpointZones: (services) =>
      Promise.resolve(Object.fromEntries(services.map((service) => [service, ["us-east-1a", "us-east-1b"]]))),
    image: () => Promise.resolve({ architecture: "x86_64", state: "available" }),
    parameter: () => Promise.resolve("ami-0123456789abcdef0"),
    key: () => Promise.resolve({ state: "Enabled", symmetric: true }),
    spotGrant: () => Promise.resolve("possible"),
    registryLogin: () => Promise.resolve(),
    repository: () => Promise.resolve(true),
    bucket: () => Promise.resolve("readable"),
    sessions: () => Promise.resolve(true),
    loadBalancers: () => Promise.resolve(0),
    certificate: () => Promise.resolve({ status: "ISSUED", names: ["triton.example.com"] }),
    hostedZone: () => Promise.resolve({ name: "example.com", private: false }),
    ...changes,
  };
}

const failing = (name: string): (() => Promise<never>) => {
  const error = Object.assign(new Error("User: ci is not authorized"), { name });
  return () => Promise.reject(error);
};

interface Question {
  readonly host?: Readonly<Record<string, unknown>>;
  readonly config?: Readonly<Record<string, unknown>>;
  readonly resources?: readonly StateResource[];
  readonly account?: Partial<Account>;
  /** What `aws:maxRetries` is; 7 by default. */
  readonly retries?: string | undefined;
}

async function ask(question: Question = {}): Promise<{ text: string; kind: string }> {
  const { host = {}, config = {}, resources = [], account: changes } = question;
  const retries = "retries" in question ? question.retries : "7";
  const keys = { "xsched-triton:host": { ...HOST, ...host }, ...config };
  const values = Object.entries(keys).map(([key, value]) => [key, { objectValue: value, secret: false }]);
  const input: PreflightInput = {
    stack: "dev",
    projectDirectory: ROOT,
    config: {
      ...(Object.fromEntries(values) as StackConfig),
      "aws:region": { value: "us-east-1", secret: false },
      ...(retries !== undefined && { "aws:maxRetries": { value: retries, secret: false } }),
    },
    resources,
  };
  return preflight(input, () => Promise.resolve(account(changes)));
}

/** The faults of an answer, each with its fix. */
const faultsOf = (text: string): string[] => text.match(/^ {2}\S.*\n {4}fix: .+$/gm) ?? [];

/** The only fault. */
async function fault(question: Question): Promise<string> {
  const { text, kind } = await ask(question);
  const [only, ...others] = faultsOf(text);
  assert.deepEqual([kind, others], ["refused", []], text);
  return only ?? "";
}

const INSTANCE = (inputs: object = {}): StateResource => ({
  type: "aws:ec2/instance:Instance",
  id: "i-0123456789abcdef0",
  inputs: { instanceType: "g5.xlarge", ...inputs },
  outputs: { rootBlockDevice: { kmsKeyId: KEY } },
});

describe("the preflight of a stack on AWS", () => {
  it("says so if nothing is missing", async () => {
    assert.deepEqual(await ask(), {
      text: 'AWS can create the stack "dev" for arn:aws:iam::111122223333:user/ci in us-east-1.',
      kind: "possible",
    });
  });

  describe("with a load balancer", () => {
    const certificateArn =
      "arn:aws:acm:us-east-1:111122223333:certificate/01234567-89ab-cdef-0123-456789abcdef";
    const hostedZoneId = "Z0123456789ABCDEFGHIJ";
    const config = {
      "xsched-triton:server": { address: "0.0.0.0" },
      "xsched-triton:gateway": { tls: "off" },
    };
    const host = (changes: object = {}, balancer: object = { certificateArn }): object => ({
      ...{ clientCidrs: ["10.0.0.0/16"], ...changes },
      loadBalancer: { domainName: "triton.example.com", ...balancer },
    });
    const asked = (question: Question): Question => ({
      config,
      host: host() as Question["host"],
      ...question,
    });

    it("names what AWS would refuse of it, with the fix", async () => {
      const certificate = (status: string, ...names: string[]) => ({
        certificate: () => Promise.resolve({ status, names }),
      });
      assert.match(
        await fault(asked({ account: certificate("PENDING_VALIDATION", "*.example.com") })),
        /is PENDING_VALIDATION\n {4}fix: make the DNS record that it asks for: aws acm describe-certificate/,
      );
      assert.match(
        await fault(asked({ account: certificate("EXPIRED", "triton.example.com") })),
        /is EXPIRED\n {4}fix: correct host\.loadBalancer\.certificateArn/,
      );
      assert.match(
        await fault(asked({ account: certificate("ISSUED", "*.triton.example.com", "example.com") })),
        /is for \*\.triton\.example\.com, example\.com, and not for triton\.example\.com\n {4}fix: correct/,
      );
      assert.match(
        await fault(asked({ account: { certificate: () => Promise.resolve(undefined) } })),
        /there is no certificate arn:aws:acm/,
      );
      const elsewhere = host({}, { certificateArn: certificateArn.replace("us-east-1", "eu-west-1") });
      assert.match(
        await fault({ config, host: elsewhere as Question["host"] }),
        /is in eu-west-1, and the stack in us-east-1/,
      );
      assert.match(
        await fault(asked({ account: { loadBalancers: () => Promise.resolve(8) } })),
        /all 8 network load balancers of the quota \(L-69A177A2\) are there\n {4}fix: delete one, or: aws service-quotas/,
      );
    });

    it("looks at the hosted zone, which must be public where a certificate is to be made", async () => {
      const inZone = host({}, { hostedZoneId }) as Question["host"];
      const zone = (name: string, isPrivate: boolean) => ({
        hostedZone: () => Promise.resolve({ name, private: isPrivate }),
      });
      assert.match(
        await fault({ config, host: inZone, account: zone("example.com", true) }),
        /is private, so that AWS finds no record in it that proves triton\.example\.com\n {4}fix: set host\.loadBalancer\.certificateArn/,
      );
      assert.match(
        await fault({ config, host: inZone, account: zone("ample.com", false) }),
        /is ample\.com, which triton\.example\.com is not in/,
      );
      assert.match(
        await fault({ config, host: inZone, account: { hostedZone: () => Promise.resolve(undefined) } }),
        /there is no hosted zone Z0123456789ABCDEFGHIJ/,
      );
      const both = host({}, { hostedZoneId, certificateArn }) as Question["host"];
      assert.equal((await ask({ config, host: both, account: zone("example.com", true) })).kind, "possible");
    });

    it("asks for it alone where the instance is there, and for nothing once it is there, too", async () => {
      const instance = [INSTANCE()];
      const noLaunch = { vcpus: failing("Asked"), image: failing("Asked"), defaultVpc: failing("Asked") };
      const { text, kind } = await ask(asked({ resources: instance, account: noLaunch }));
      assert.deepEqual([kind, text.includes("not checked")], ["possible", false], text);
      const there = [...instance, { type: "aws:lb/loadBalancer:LoadBalancer" }];
      assert.equal((await ask(asked({ resources: there, account: noLaunch }))).kind, "nothing");
    });
  });

  it("says how long a launch without capacity would be silent", async () => {
    const { text, kind } = await ask({ retries: undefined });
    assert.equal(kind, "possible");
    assert.match(
      text,
      /aws:maxRetries is not set: .* after some 50 minutes only\n {4}fix: pulumi config set --stack dev aws:maxRetries 7$/,
    );
  });

  it("asks nothing of AWS for another host, for settings with faults, and for an instance that stays", async () => {
    const refuse = { identity: failing("Asked") };
    const local = await ask({ config: { "xsched-triton:host": { kind: "local" } }, account: refuse });
    assert.equal(local.kind, "nothing");
    const wrong = await ask({ host: { instanceType: "m5.large" }, account: refuse });
    assert.equal(wrong.kind, "settings");
    assert.match(wrong.text, /1 fault in the settings of stack dev; nothing was changed/);
    const there = await ask({ resources: [INSTANCE({ ami: "ami-an-older-one" })], account: refuse });
    assert.equal(there.kind, "nothing");
    const encrypted = await ask({ host: { kmsKeyId: KEY }, resources: [INSTANCE()], account: refuse });
    assert.equal(encrypted.kind, "nothing");
  });

  it("lists all that is wrong at once, each with what mends it", async () => {
    const { text, kind } = await ask({
      host: { zone: "us-east-1c", ami: "ami-0fedcba9876543210", kmsKeyId: KEY },
      config: {
        "xsched-triton:runtime": {
          kind: "container",
          build: { repository: "111122223333.dkr.ecr.us-east-1.amazonaws.com/triton" },
        },
        "xsched-triton:models": [
          { name: "a", source: "s3://nobody-has-this/a" },
          { name: "b", source: "s3://somebody-else-has-this/b" },
        ],
      },
      account: {
        quota: (_, code) =>
          Promise.resolve({
            name: "Running On-Demand G and VT instances",
            value: code === "L-0263D0A3" ? 5 : 0,
          }),
        addresses: () => Promise.resolve(5),
        defaultVpc: () => Promise.resolve(undefined),
        image: () => Promise.resolve(undefined),
        key: () => Promise.resolve({ state: "Disabled", symmetric: true }),
        registryLogin: failing("AccessDeniedException"),
        repository: () => Promise.resolve(false),
        bucket: (name) => Promise.resolve(name.startsWith("nobody") ? "missing" : "denied"),
      },
    });
    assert.equal(kind, "refused");
    assert.equal(
      text,
      `10 faults on AWS for arn:aws:iam::111122223333:user/ci in us-east-1 for the stack "dev"; nothing was created.

  g5.xlarge needs 4 vCPUs, but of the 0 of the quota "Running On-Demand G and VT instances" (L-DB2E81BA), 0 are in use
    fix: aws service-quotas request-service-quota-increase --service-code ec2 --quota-code L-DB2E81BA --desired-value 4 --region us-east-1
  g5.xlarge is not offered in us-east-1c of us-east-1, whose zones for you are us-east-1a, us-east-1b
    fix: set host.zone to us-east-1a, us-east-1b, or remove it
  there is no default VPC in us-east-1, and host.subnetId is not set
    fix: set host.subnetId to one of yours, or: aws ec2 create-default-vpc --region us-east-1
  there is no AMI ami-0fedcba9876543210 in us-east-1 that this account may use
    fix: remove host.ami, which takes AWS's own image, or correct it: each region has its own ids
  all 5 elastic addresses of the quota (L-0263D0A3) are allocated
    fix: set host.publicIp to dynamic, release one, or: aws service-quotas request-service-quota-increase --service-code ec2 --quota-code L-0263D0A3 --desired-value 6 --region us-east-1
  the key ${KEY} is Disabled
    fix: aws kms enable-key --region us-east-1 --key-id ${KEY}
  ECR gives no login to push the image with: ecr:GetAuthorizationToken is denied
    fix: let who deploys do it: https://docs.aws.amazon.com/AmazonECR/latest/userguide/image-push-iam.html
  there is no repository triton on ECR in us-east-1
    fix: aws ecr create-repository --region us-east-1 --repository-name triton, or remove runtime.build.repository
  there is no bucket nobody-has-this
    fix: correct the model's source, or: aws s3 mb s3://nobody-has-this
  S3 denies access to the bucket somebody-else-has-this, or it belongs to another account
    fix: let who deploys list and read it (s3:ListBucket, s3:GetObject), or correct the model's source`,
    );
    assert.equal(faultsOf(text).length, 10);
  });

  it("counts the instance that serves until the new one has booted", async () => {
    const running = [
      { id: "i-0123456789abcdef0", instanceType: "g5.xlarge", spot: false, vcpus: 4 },
      // Those of other quotas do not count.
      { id: "i-1", instanceType: "g5.xlarge", spot: true, vcpus: 4 },
      { id: "i-2", instanceType: "m5.large", spot: false, vcpus: 2 },
      { id: "i-3", instanceType: "p4d.24xlarge", spot: false, vcpus: 96 },
    ];
    const larger: Question = {
      host: { instanceType: "g5.2xlarge" },
      resources: [INSTANCE()],
      account: { running: () => Promise.resolve(running), vcpus: () => Promise.resolve(8) },
    };
    assert.match(
      await fault(larger),
      /g5\.2xlarge needs 8 vCPUs, but of the 8 of the quota .*, 4 are in use, 4 of them by i-0123456789abcdef0, which serves until the new instance has booted\n.* --desired-value 12 /,
    );
    const enough = { ...larger.account, vcpus: () => Promise.resolve(4) };
    assert.equal((await ask({ ...larger, account: enough })).kind, "possible");
  });

  for (const [what, inputs, host] of [
    ["type", { instanceType: "g4dn.xlarge" }, {}],
    ["zone", {}, { zone: "us-east-1b" }],
    ["subnet", {}, { subnetId: "subnet-01234567" }],
    ["market", { instanceMarketOptions: { marketType: "spot" } }, {}],
    ["image", { ami: "ami-01234567" }, { ami: "ami-76543210" }],
    ["key", {}, { kmsKeyId: KEY.replace("01234567", "76543210") }],
  ] as const) {
    it(`asks for a new instance of another ${what}`, async () => {
      assert.equal((await ask({ resources: [INSTANCE(inputs)], host })).kind, "possible");
    });
  }

  describe("with several choices", () => {
    const lists = {
      instanceType: undefined,
      instanceTypes: ["g5.xlarge", "g6.xlarge"],
      zones: ["us-east-1a", "us-east-1b"],
    };

    it("names those that AWS will refuse, and goes on with the others", async () => {
      const { text, kind } = await ask({
        host: lists,
        account: {
          zonesOffering: (type) => Promise.resolve(type === "g5.xlarge" ? ["us-east-1a"] : ["us-east-1b"]),
        },
      });
      assert.equal(kind, "possible");
      assert.deepEqual(text.split("\n").slice(1), [
        "  one choice less: g5.xlarge is not offered in us-east-1b of us-east-1",
        "  one choice less: g6.xlarge is not offered in us-east-1a of us-east-1",
      ]);
    });

    it("lists what is wrong with each if none is left", async () => {
      const { text, kind } = await ask({
        host: lists,
        account: {
          zonesOffering: (type) => Promise.resolve(type === "g5.xlarge" ? ["us-east-1c"] : ["us-east-1b"]),
          vcpus: (type) => Promise.resolve(type === "g6.xlarge" ? 16 : 4),
        },
      });
      assert.equal(kind, "refused");
      assert.deepEqual(
        faultsOf(text).map((each) => each.trim().split("\n    fix: ")),
        [
          [
            "g5.xlarge is not offered in us-east-1a of us-east-1",
            "set host.zones to us-east-1c, or remove it",
          ],
          [
            "g5.xlarge is not offered in us-east-1b of us-east-1",
            "set host.zones to us-east-1c, or remove it",
          ],
          [
            'g6.xlarge needs 16 vCPUs, but of the 8 of the quota "Running On-Demand G and VT instances" (L-DB2E81BA), 0 are in use',
            "aws service-quotas request-service-quota-increase --service-code ec2 --quota-code L-DB2E81BA --desired-value 16 --region us-east-1",
          ],
          [
            "g6.xlarge is not offered in us-east-1a of us-east-1",
            "set host.zones to us-east-1b, or remove it",
          ],
        ],
      );
    });

    it("counts the quota of spot capacity for spot, and that of on demand for what comes after it", async () => {
      const { text, kind } = await ask({
        host: { spot: true, onDemandFallback: true },
        account: {
          quota: (_, code) => Promise.resolve({ name: code, value: code === "L-3819A6DF" ? 0 : 8 }),
        },
      });
      assert.equal(kind, "possible");
      assert.match(text, /one choice less: g5\.xlarge needs 4 vCPUs, but of the 0 of the quota "L-3819A6DF"/);
    });

    it("asks AWS each question once", async () => {
      const asked: string[] = [];
      const { kind } = await ask({
        host: lists,
        account: {
          running: () => {
            asked.push("running");
            return Promise.resolve([]);
          },
          zonesOffering: (type) => {
            asked.push(type);
            return Promise.resolve(["us-east-1a"]);
          },
        },
      });
      assert.equal(kind, "possible");
      assert.deepEqual(asked.sort(), ["g5.xlarge", "g6.xlarge", "running"]);
    });

    it("asks for nothing while the instance is one of them", async () => {
      const refuse = { identity: failing("Asked") };
      const first = INSTANCE({ instanceType: "g6.xlarge", availabilityZone: "us-east-1b" });
      assert.equal((await ask({ host: lists, resources: [first], account: refuse })).kind, "nothing");
      const elsewhere = INSTANCE({ instanceType: "g6.xlarge", availabilityZone: "us-east-1c" });
      assert.equal((await ask({ host: lists, resources: [elsewhere] })).kind, "possible");
    });
  });

  describe("in a network of its own", () => {
    const own = {
      ...{ adminCidrs: undefined, access: "sessionManager", zones: ["us-east-1a", "us-east-1b"] },
      network: { kind: "own" },
    };
    const { PATH } = process.env;

    before(() => {
      process.env.PATH = `${path.join(ROOT, "test/fixtures/standInCloud/cli")}:${PATH}`;
    });

    after(() => {
      process.env.PATH = PATH;
    });

    const vpc = { type: "aws:ec2/vpc:Vpc", id: "vpc-3", inputs: { cidrBlock: "10.90.0.0/16" } };
    const subnet = { type: "aws:ec2/subnet:Subnet", id: "subnet-3" };
    const nat = { type: "aws:ec2/eip:Eip", id: "eipalloc-3", inputs: {} };
    const inside = INSTANCE({ subnetId: "subnet-3", availabilityZone: undefined });
    const there = { ...inside, outputs: { ...inside.outputs, availabilityZone: "us-east-1b" } };

    it("needs no default VPC, but one more network and one more address", async () => {
      const { text, kind } = await ask({
        host: own,
        account: {
          ...{ defaultVpc: () => Promise.resolve(undefined), vpcs: () => Promise.resolve(5) },
          ...{ defaultSubnetZones: () => Promise.resolve([]), addresses: () => Promise.resolve(5) },
          quota: (_, code) => Promise.resolve({ name: code, value: code === "L-DB2E81BA" ? 8 : 5 }),
        },
      });
      assert.equal(kind, "refused");
      assert.deepEqual(
        faultsOf(text).map((each) => each.trim().split("\n    fix: ")),
        [
          [
            "all 5 networks of the quota for VPCs (L-F678F1CE) are there",
            "delete one, set host.subnetId to a subnet of one instead of host.network, or: aws service-quotas request-service-quota-increase --service-code vpc --quota-code L-F678F1CE --desired-value 6 --region us-east-1",
          ],
          [
            "all 5 elastic addresses of the quota (L-0263D0A3) are allocated",
            "set host.network.egress to endpoints, which needs none, release one, or: aws service-quotas request-service-quota-increase --service-code ec2 --quota-code L-0263D0A3 --desired-value 6 --region us-east-1",
          ],
        ],
      );
    });

    it("needs no address with endpoints, or with the one that its gateway has", async () => {
      const full = { addresses: () => Promise.resolve(8) };
      const endpoints = { ...own, network: { kind: "own", egress: "endpoints" } };
      const runtime = { "xsched-triton:runtime": { kind: "container", build: {} } };
      assert.equal((await ask({ host: endpoints, config: runtime, account: full })).kind, "possible");
      assert.equal((await ask({ host: own, resources: [nat], account: full })).kind, "possible");
      const ofInstance = { ...nat, inputs: { instance: "i-0123456789abcdef0" } };
      assert.equal((await ask({ host: own, resources: [ofInstance], account: full })).kind, "refused");
    });

    it("has endpoints of all services only where AWS offers them", async () => {
      const { text, kind } = await ask({
        host: { ...own, network: { kind: "own", egress: "endpoints" } },
        config: {
          "xsched-triton:runtime": { kind: "container", build: {} },
          "xsched-triton:monitoring": { kind: "cloudwatch", notify: ["ops@example.com"] },
        },
        account: {
          endpointZones: (services) => {
            assert.deepEqual(services, ["ssm", "ssmmessages", "ecr.api", "ecr.dkr", "logs", "monitoring"]);
            const zones = services.map((service) => [service, ["us-east-1a"]]);
            return Promise.resolve({
              ...(Object.fromEntries(zones) as Record<string, string[]>),
              ...{ "ecr.dkr": ["us-east-1b", "us-east-1c"], logs: [] },
            });
          },
        },
      });
      assert.equal(kind, "refused");
      assert.deepEqual(
        faultsOf(text).map((each) => each.trim().split("\n    fix: ")),
        [
          [
            "AWS has no endpoint for ecr.dkr in us-east-1a",
            "set host.zones so that it begins with one of us-east-1b, us-east-1c, or set host.network.egress to natGateway",
          ],
          ["AWS has no endpoint for logs in us-east-1", "set host.network.egress to natGateway"],
        ],
      );
    });

    it("asks for nothing while the instance is in it, and for a new one where it is not", async () => {
      const refuse = { identity: failing("Asked") };
      const made = [vpc, subnet, nat, there];
      assert.equal((await ask({ host: own, resources: made, account: refuse })).kind, "nothing");
      for (const [host, resources] of [
        [own, [vpc, subnet, nat, INSTANCE({ availabilityZone: "us-east-1b" })]],
        [{ ...own, network: { kind: "own", cidr: "10.8.0.0/16" } }, made],
        [{ ...own, zones: undefined, network: undefined }, made],
      ] as const) {
        assert.equal((await ask({ host, resources })).kind, "possible");
      }
    });
  });

  it("finds what keeps a subnet from being used", async () => {
    const host = { subnetId: "subnet-01234567" };
    const account_ = { subnet: () => Promise.resolve(undefined) };
    assert.match(
      await fault({ host, account: account_ }),
      /there is no subnet subnet-01234567 in us-east-1\n/,
    );
    const full = { subnet: () => Promise.resolve({ zone: "us-east-1a", vpcId: "vpc-2", freeAddresses: 0 }) };
    assert.match(await fault({ host, account: full }), /subnet-01234567 has no free address\n/);
    const elsewhere = { zonesOffering: () => Promise.resolve(["us-east-1b"]) };
    assert.match(
      await fault({ host, account: elsewhere }),
      /g5\.xlarge is not offered in the zone of subnet-01234567, us-east-1a, of us-east-1\n {4}fix: set host\.subnetId to a subnet in us-east-1b/,
    );
    const endpoint = { gatewayEndpoint: () => Promise.resolve("vpce-1") };
    assert.match(
      await fault({ host: { ...host, createS3Endpoint: true }, account: endpoint }),
      /vpc-2 has an endpoint for S3 already, vpce-1\n/,
    );
  });

  it("finds a region without the instance type, and one without AWS's image", async () => {
    const nowhere = { zonesOffering: () => Promise.resolve([]) };
    assert.match(await fault({ account: nowhere }), /g5\.xlarge is not offered in us-east-1\n/);
    const unpublished = { parameter: () => Promise.resolve(undefined) };
    assert.match(
      await fault({ account: unpublished }),
      /AWS publishes no Deep Learning Base AMI in us-east-1\n/,
    );
    const arm = { image: () => Promise.resolve({ architecture: "arm64", state: "available" }) };
    assert.match(await fault({ account: arm }), /the AMI ami-0123456789abcdef0 is for arm64/);
    const subnets = { defaultSubnetZones: () => Promise.resolve(["us-east-1a"]) };
    assert.match(
      await fault({ host: { zone: "us-east-1b" }, account: subnets }),
      /the default VPC in us-east-1 has no default subnet in us-east-1b\n {4}fix: aws ec2 create-default-subnet --region us-east-1 --availability-zone us-east-1b$/,
    );
  });

  it("finds a key of another region, and one that is to be deleted", async () => {
    const elsewhere = { kmsKeyId: KEY.replace("us-east-1", "eu-west-1") };
    assert.match(await fault({ host: elsewhere }), /is in eu-west-1, and the stack in us-east-1\n/);
    const leaving = { key: () => Promise.resolve({ state: "PendingDeletion", symmetric: true }) };
    assert.match(
      await fault({ host: { kmsKeyId: KEY }, account: leaving }),
      /fix: aws kms cancel-key-deletion /,
    );
  });

  describe("with a key of one's own on spot capacity", () => {
    const host = { kmsKeyId: KEY, spot: true };
    const lacking = { spotGrant: () => Promise.resolve("no role" as const) };

    it("finds that EC2's role for it is not there, or may get no grant", async () => {
      assert.equal(
        await fault({ host, account: lacking }),
        `  EC2's own role for spot capacity, which has to get a grant of host.kmsKeyId, does not exist in this account
    fix: aws iam create-service-linked-role --aws-service-name spot.amazonaws.com`,
      );
      const denied = { spotGrant: () => Promise.resolve("denied" as const) };
      assert.match(await fault({ host, account: denied }), /kms:CreateGrant is denied\n {4}fix: allow it/);
    });

    it("finds it even if the instance may be on demand, which gets the grant all the same", async () => {
      await fault({ host: { ...host, onDemandFallback: true }, account: lacking });
    });

    it("tries no grant where none will be made, or the key itself is at fault", async () => {
      const asked: string[] = [];
      const spotGrant = (key: string): Promise<"possible"> => {
        asked.push(key);
        return Promise.resolve("possible");
      };
      await ask({ host: { kmsKeyId: KEY }, account: { spotGrant } });
      await ask({ host: { spot: true }, account: { spotGrant } });
      const leaving = { key: () => Promise.resolve({ state: "PendingDeletion", symmetric: true }) };
      await fault({ host, account: { spotGrant, ...leaving } });
      assert.deepEqual(asked, []);
      assert.equal((await ask({ host, account: { spotGrant } })).kind, "possible");
      assert.deepEqual(asked, [KEY]);
    });
  });

  it("goes on without what it may not ask, and says so", async () => {
    const { text, kind } = await ask({ account: { quota: failing("AccessDeniedException") } });
    assert.equal(kind, "possible");
    assert.match(
      text,
      /^ {2}not checked: quota for instances: AccessDeniedException: User: ci is not authorized$/m,
    );
    const p5 = await ask({
      host: { instanceType: "p5.48xlarge", spot: true },
      config: {
        "xsched-triton:runtime": {
          kind: "container",
          build: { base: "nvcr.io/nvidia/tritonserver:24.10-py3" },
        },
      },
    });
    assert.match(p5.text, /not checked: quota for instances: .*p5\.48xlarge on spot capacity/);
  });

  for (const [name, message, expected] of [
    [
      "Error",
      "Region is missing",
      /no region is set\n {4}fix: pulumi config set --stack dev aws:region us-east-1/,
    ],
    [
      "CredentialsProviderError",
      "Could not load credentials",
      /this machine has no AWS credentials: Could not/,
    ],
    [
      "ExpiredTokenException",
      "expired",
      /the AWS credentials of this machine have expired\n {4}fix: aws sso login/,
    ],
    ["InvalidClientTokenId", "invalid", /AWS does not accept the credentials of this machine in us-east-1/],
    ["TimeoutError", "no answer\nat all", /AWS cannot be asked: TimeoutError: no answer\n/],
  ] as const) {
    it(`has one fault where AWS cannot be asked: ${name}`, async () => {
      const error = Object.assign(new Error(message), { name });
      assert.match(await fault({ account: { identity: () => Promise.reject(error) } }), expected);
    });
  }
});
