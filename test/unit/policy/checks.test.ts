import * as assert from "node:assert/strict";
import * as fs from "node:fs";
import * as path from "node:path";

import {
  broadPolicy,
  encryption,
  metadataService,
  missingTags,
  openBuckets,
  publicIngress,
  type Resource,
  secretInUserData,
  supportedGpu,
  type Violations,
} from "../../../policy/checks";
import { record, type Registered } from "../aws/mocks";
import { HOST_KEY, PRIVATE_KEY } from "../settings/context";

const INSTANCE = "aws:ec2/instance:Instance";

const CHECKS: Readonly<Record<string, (resource: Resource) => Violations>> = {
  publicIngress: (resource) => publicIngress(resource, []),
  metadataService,
  encryption,
  supportedGpu,
  missingTags,
  secretInUserData,
  broadPolicy,
};

const resource = (type: string, props: Resource["props"]): Resource => ({ type, name: "r", props });

const group = (...ingress: object[]): Resource =>
  resource("aws:ec2/securityGroup:SecurityGroup", { ingress });

describe("the policy pack", () => {
  for (const [what, given, expected] of [
    [
      "SSH from the internet",
      group({ fromPort: 22, toPort: 22, cidrBlocks: ["0.0.0.0/0"] }),
      [/^port 22 is open to 0\.0\.0\.0\/0: allow only the ranges/],
    ],
    [
      "half of the internet",
      group({ fromPort: 8000, toPort: 8002, cidrBlocks: ["10.0.0.0/8", "128.0.0.0/1"] }),
      [/^ports 8000 to 8002 are open to 128\.0\.0\.0\/1/],
    ],
    [
      "everything over IPv6",
      group({ protocol: "-1", fromPort: 0, toPort: 0, ipv6CidrBlocks: ["::/0"] }),
      [/^every port is open to ::\/0/],
    ],
    [
      "a private network",
      group({ fromPort: 22, toPort: 22, cidrBlocks: ["10.0.0.0/8", "203.0.113.7/32"] }),
      [],
    ],
    [
      "a separate rule resource",
      resource("aws:vpc/securityGroupIngressRule:SecurityGroupIngressRule", {
        ...{ fromPort: 22, toPort: 22, cidrIpv4: "0.0.0.0/0" },
      }),
      [/^port 22/],
    ],
    [
      "outbound traffic",
      resource("aws:ec2/securityGroupRule:SecurityGroupRule", {
        ...{ type: "egress", fromPort: 0, toPort: 0, cidrBlocks: ["0.0.0.0/0"] },
      }),
      [],
    ],
  ] as const) {
    it(`sees ${what}`, () => {
      const found = publicIngress(given, []);
      assert.equal(found.length, expected.length, found.join());
      expected.forEach((message, index) => {
        assert.match(found[index]!, message);
      });
    });
  }

  it("allows only the ports that are meant to be open", () => {
    const open = group({ fromPort: 22, toPort: 22, cidrBlocks: ["0.0.0.0/0"] });
    assert.deepEqual(publicIngress(open, [22]), []);
    assert.equal(publicIngress(open, [8000]).length, 1);
    assert.equal(
      publicIngress(group({ fromPort: 20, toPort: 22, cidrBlocks: ["0.0.0.0/0"] }), [22]).length,
      1,
    );
  });

  it("requires IMDSv2, and no access from containers", () => {
    assert.equal(metadataService(resource(INSTANCE, {})).length, 2);
    const options = { httpTokens: "required", httpPutResponseHopLimit: 2 };
    const [message, ...more] = metadataService(resource(INSTANCE, { metadataOptions: options }));
    assert.match(message!, /httpPutResponseHopLimit to 1/);
    assert.deepEqual(more, []);
  });

  it("requires encrypted disks, images and secrets", () => {
    const disks = { rootBlockDevice: { encrypted: true }, ebsBlockDevices: [{ encrypted: false }] };
    assert.match(encryption(resource(INSTANCE, disks))[0]!, /set ebsBlockDevices\.encrypted to true/);
    assert.match(encryption(resource(INSTANCE, {}))[0]!, /set rootBlockDevice\.encrypted/);
    assert.equal(encryption(resource("aws:ecr/repository:Repository", {})).length, 3);
    assert.equal(encryption(resource("aws:ebs/volume:Volume", {})).length, 1);
    const key = { name: "/x/ssh-host-key", type: "String" };
    assert.match(encryption(resource("aws:ssm/parameter:Parameter", key))[0]!, /SecureString/);
    const plain = { name: "/x/region", type: "String" };
    assert.deepEqual(encryption(resource("aws:ssm/parameter:Parameter", plain)), []);
  });

  it("agrees with the settings about GPUs", () => {
    const of = (instanceType: string): Violations => supportedGpu(resource(INSTANCE, { instanceType }));
    assert.deepEqual([of("g4dn.xlarge"), of("g5.xlarge"), of("p4d.24xlarge")], [[], [], []]);
    assert.match(of("t3.micro")[0]!, /^t3\.micro has no NVIDIA GPU/);
    assert.match(of("g4ad.xlarge")[0]!, /^g4ad\.xlarge has AMD GPUs/);
  });

  it("reports missing tags", () => {
    assert.deepEqual(missingTags(resource("aws:sns/topic:Topic", { tags: { Name: "a" } })), [
      "tags are missing: xsched-triton:project, xsched-triton:stack",
    ]);
    assert.deepEqual(missingTags(resource("aws:iam/rolePolicy:RolePolicy", {})), []);
  });

  it("finds keys in user data, also in Base64", () => {
    assert.equal(secretInUserData(resource(INSTANCE, { userData: PRIVATE_KEY })).length, 1);
    const userDataBase64 = Buffer.from(PRIVATE_KEY).toString("base64");
    assert.equal(secretInUserData(resource(INSTANCE, { userDataBase64 })).length, 1);
    assert.deepEqual(secretInUserData(resource(INSTANCE, { userData: "#cloud-config" })), []);
  });

  it("refuses policies that allow whole services", () => {
    const allowing = (statement: object): Violations =>
      broadPolicy(
        resource("aws:iam/rolePolicy:RolePolicy", {
          policy: JSON.stringify({ Statement: [{ Effect: "Allow", ...statement }] }),
        }),
      );
    assert.equal(allowing({ Action: ["s3:*"] }).length, 1);
    assert.equal(allowing({ Action: "*" }).length, 1);
    assert.equal(allowing({ NotAction: ["iam:PassRole"] }).length, 1);
    assert.deepEqual(allowing({ Action: ["s3:GetObject", "s3:GetObjectVersion"] }), []);
    assert.deepEqual(allowing({ Effect: "Deny", Action: "s3:*" }), []);
  });

  it("reports what a bucket lacks", () => {
    const bucket = { type: "aws:s3/bucket:Bucket", name: "files", props: { bucket: "files-1" } };
    assert.deepEqual(
      openBuckets([bucket]).map(({ name }) => name),
      ["files", "files", "files"],
    );
  });

  it("accepts what the components create", async () => {
    const outputs = ({ type, name }: Registered): Record<string, unknown> => ({
      arn: `arn:aws:x:::${name}`,
      ...(type === "aws:s3/bucket:Bucket" && { bucket: `${name}-1` }),
      ...(type === "tls:index/privateKey:PrivateKey" && {
        ...{ privateKeyOpenssh: PRIVATE_KEY, publicKeyOpenssh: HOST_KEY },
      }),
      ...(type === "aws:ec2/eip:Eip" && { publicIp: "203.0.113.1" }),
      ...(type === "aws:ssm/parameter:Parameter" && { region: "us-east-1" }),
    });
    const { resources } = await record(false, outputs, async () => {
      const { AwsGpuHost, AwsMonitoring, EcrRepository, ModelBucket } = await import("../../../components");
      const host = new AwsGpuHost("machine", { instanceType: "g5.xlarge", adminCidrs: ["203.0.113.7/32"] });
      new EcrRepository("images");
      new ModelBucket("files");
      new AwsMonitoring("watch", {
        ...{ instanceId: "i-0123456789abcdef0", instanceType: "g5.xlarge", region: "us-east-1" },
        ...{ roleName: "a-role", directory: "/srv", ssh: host.ssh, models: [], notify: ["a@example.com"] },
      });
    });
    const seen = resources
      .filter(({ type }) => type.startsWith("aws:"))
      .map(({ type, name, inputs }) => ({ type, name, props: inputs }));
    for (const type of [
      INSTANCE,
      "aws:ecr/repository:Repository",
      "aws:s3/bucket:Bucket",
      "aws:sns/topic:Topic",
    ]) {
      assert.ok(
        seen.some((each) => each.type === type),
        type,
      );
    }
    const violations = seen.flatMap((each) =>
      Object.entries(CHECKS).flatMap(([name, check]) =>
        check(each).map((text) => `${name}: ${each.name}: ${text}`),
      ),
    );
    assert.deepEqual(violations, []);
    const named = seen.map((each) =>
      each.type === "aws:s3/bucket:Bucket"
        ? { ...each, props: { ...each.props, bucket: `${each.name}-1` } }
        : each,
    );
    assert.deepEqual(openBuckets(named), []);
  });

  it("checks every taggable type that the components create", () => {
    const sources = fs
      .readdirSync(path.resolve(__dirname, "../../../components"), { recursive: true, encoding: "utf8" })
      .filter((file) => file.endsWith(".ts"))
      .map((file) => fs.readFileSync(path.resolve(__dirname, "../../../components", file), "utf8"));
    const checks = fs.readFileSync(path.resolve(__dirname, "../../../policy/checks.ts"), "utf8");
    const made = new Set(
      sources.flatMap((text) =>
        [...text.matchAll(/new sdk\.(\w+)\.(\w+)\(/g)].map(([, module, name]) => `${module}/${name}`),
      ),
    );
    const untagged = new Set([
      ...["cloudwatch/Dashboard", "cloudwatch/EventTarget", "ecr/LifecyclePolicy", "iam/RolePolicy"],
      ...["sns/TopicSubscription", "tls/PrivateKey", "s3/BucketObjectv2", "s3/BucketPublicAccessBlock"],
      ...["s3/BucketOwnershipControls", "s3/BucketServerSideEncryptionConfiguration", "s3/BucketPolicy"],
      ...["s3/BucketVersioning", "s3/BucketLifecycleConfiguration"],
    ]);
    for (const type of made) {
      const [module = "", name = ""] = type.split("/");
      const token = `aws:${module}/${name.charAt(0).toLowerCase()}${name.slice(1)}:${name}`;
      assert.ok(untagged.has(type) || checks.includes(`"${token}"`), token);
    }
  });
});
