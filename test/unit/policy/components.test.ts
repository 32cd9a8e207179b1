import * as assert from "node:assert/strict";
import * as fs from "node:fs";
import * as path from "node:path";

import { broadPermissions, openToEveryone } from "../../../policy/iam";
import { metadataService, publicAddress, secretInUserData, supportedGpu } from "../../../policy/machines";
import { plainGateways, plainListeners, plainTritonGateways, publicIngress } from "../../../policy/network";
import type { Check } from "../../../policy/resource";
import { encryption, openBuckets } from "../../../policy/storage";
import { missingTags, TAGGED } from "../../../policy/tags";
import { record, type Registered } from "../aws/mocks";
import { HOST_KEY, PRIVATE_KEY } from "../settings/context";
import { brief, resource, stackResource } from "./resources";

const INSTANCE = "aws:ec2/instance:Instance";

const PROOF = {
  resourceRecordName: "_a.triton.example.com.",
  resourceRecordType: "CNAME",
  resourceRecordValue: "_b.acm-validations.aws.",
};

const CHECKS: Readonly<Record<string, Check>> = {
  publicIngress: (given) => publicIngress(given, []),
  publicAddress,
  metadataService,
  encryption,
  supportedGpu,
  missingTags,
  secretInUserData,
  broadPermissions: (given) => broadPermissions(given, { unscopedActions: [], managedPolicies: [] }),
  openToEveryone,
  plainGateways: (given) => plainGateways(given, []),
  plainTritonGateways: (given) => plainTritonGateways(given, []),
};

describe("the policy pack", () => {
  it("reports missing tags", () => {
    const topic = (tags: object): string[] => brief(missingTags(resource("aws:sns/topic:Topic", { tags })));
    assert.deepEqual(topic({ Name: "a" }), ["tags: without xsched-triton:project, xsched-triton:stack"]);
    assert.deepEqual(topic({ Name: "a", "xsched-triton:project": "p", "xsched-triton:stack": "s" }), []);
    assert.deepEqual(missingTags(resource("aws:iam/rolePolicy:RolePolicy", {})), []);
  });

  it("accepts what the components create", async () => {
    const outputs = ({ type, name }: Registered): Record<string, unknown> => ({
      arn: `arn:aws:x:::${name}`,
      ...(type === "aws:s3/bucket:Bucket" && { bucket: `${name}-1` }),
      ...(type === "tls:index/privateKey:PrivateKey" && {
        ...{ privateKeyOpenssh: PRIVATE_KEY, publicKeyOpenssh: HOST_KEY },
      }),
      ...(type === "aws:acm/certificate:Certificate" && { domainValidationOptions: [PROOF] }),
      ...(type === "aws:ec2/eip:Eip" && { publicIp: "203.0.113.1" }),
      ...(type === "aws:ssm/parameter:Parameter" && { region: "us-east-1" }),
      ...(type === "aws:ec2/vpc:Vpc" && { ipv6CidrBlock: "2600:1f18:4a2:7b00::/56" }),
    });
    const { resources } = await record(false, outputs, async () => {
      const {
        AwsGpuHost,
        AwsLoadBalancer,
        AwsMonitoring,
        AwsNetworkKind,
        EcrRepository,
        HostAccess,
        LoadBalancerScheme,
        ModelBucket,
        NetworkEgress,
      } = await import("../../../components");
      const host = new AwsGpuHost("machine", { instanceType: "g5.xlarge", adminCidrs: ["203.0.113.7/32"] });
      for (const egress of [NetworkEgress.NatGateway, NetworkEgress.Endpoints]) {
        new AwsGpuHost(egress, {
          ...{ instanceType: "g5.xlarge", access: HostAccess.SessionManager, zone: "us-east-1a" },
          network: { kind: AwsNetworkKind.Own, egress },
        });
      }
      const names = { domainName: "triton.example.com", hostedZoneId: "Z0123456789ABCDEFGHIJ" };
      const scheme = LoadBalancerScheme.InternetFacing;
      new AwsGpuHost("balanced", {
        ...{ instanceType: "g5.xlarge", access: HostAccess.SessionManager, zone: "us-east-1a" },
        ...{ network: { kind: AwsNetworkKind.Own }, clientCidrs: ["10.0.0.0/16"] },
        loadBalancer: { ...names, scheme },
      });
      new AwsLoadBalancer("front", {
        ...{ vpcId: "vpc-0123456789abcdef0", subnetIds: ["subnet-0123456789abcdef0"] },
        ...{ securityGroupId: "sg-0123456789abcdef0", instanceId: "i-0123456789abcdef0" },
        ...{ region: "us-east-1", ...names, scheme },
      });
      new EcrRepository("images");
      new ModelBucket("files");
      new AwsMonitoring("watch", {
        ...{ instanceId: "i-0123456789abcdef0", region: "us-east-1" },
        ...{ roleName: "a-role", directory: "/srv", ssh: host.ssh, models: [], notify: ["a@example.com"] },
      });
    });
    const seen = resources.filter(({ type }) => type.startsWith("aws:"));
    for (const type of [
      INSTANCE,
      "aws:ec2/natGateway:NatGateway",
      "aws:ec2/vpcEndpoint:VpcEndpoint",
      "aws:acm/certificate:Certificate",
      "aws:ecr/repository:Repository",
      "aws:lb/listener:Listener",
      "aws:s3/bucket:Bucket",
      "aws:sns/topic:Topic",
    ]) {
      assert.ok(
        seen.some((each) => each.type === type),
        type,
      );
    }
    const faults = seen.flatMap(({ type, name, inputs }) =>
      Object.entries(CHECKS).flatMap(([check, run]) =>
        brief(run(resource(type, inputs))).map((text) => `${check}: ${name}: ${text}`),
      ),
    );
    assert.deepEqual(faults, []);
    const whole = seen.map(({ type, name, inputs }) =>
      stackResource(
        type,
        name,
        type === "aws:s3/bucket:Bucket" ? { ...inputs, bucket: `${name}-1` } : inputs,
      ),
    );
    assert.deepEqual(openBuckets(whole), []);
    assert.deepEqual(plainListeners(whole, []), []);
  });

  it("checks every taggable type that the components create", () => {
    const sources = fs
      .readdirSync(path.resolve(__dirname, "../../../components"), { recursive: true, encoding: "utf8" })
      .filter((file) => file.endsWith(".ts"))
      .map((file) => fs.readFileSync(path.resolve(__dirname, "../../../components", file), "utf8"));
    const made = new Set(
      sources.flatMap((text) =>
        [...text.matchAll(/new sdk\.(\w+)\.(\w+)\(/g)].map(([, module, name]) => `${module}/${name}`),
      ),
    );
    const untagged = new Set([
      ...[
        "cloudwatch/Dashboard",
        "cloudwatch/EventTarget",
        "ec2/Route",
        "ec2/RouteTableAssociation",
        "ecr/LifecyclePolicy",
        "eks/AccessPolicyAssociation",
        "iam/RolePolicy",
        "iam/RolePolicyAttachment",
        "kms/Grant",
        "scheduler/Schedule",
      ],
      ...["acm/CertificateValidation", "lb/TargetGroupAttachment", "route53/Record"],
      ...["sns/TopicSubscription", "tls/PrivateKey", "s3/BucketObjectv2", "s3/BucketPublicAccessBlock"],
      ...["s3/BucketOwnershipControls", "s3/BucketServerSideEncryptionConfiguration", "s3/BucketPolicy"],
      ...["s3/BucketVersioning", "s3/BucketLifecycleConfiguration"],
    ]);
    for (const type of made) {
      const [module = "", name = ""] = type.split("/");
      const token = `aws:${module}/${name.charAt(0).toLowerCase()}${name.slice(1)}:${name}`;
      assert.ok(untagged.has(type) || TAGGED.has(token), token);
    }
  });
});
