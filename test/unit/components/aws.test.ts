import * as assert from "node:assert/strict";

import * as pulumi from "@pulumi/pulumi";

import type * as components from "../../../components";
import { PARTITION, valueOf } from "../aws/mocks";

const KEY = "-----BEGIN OPENSSH PRIVATE KEY-----\nc2VjcmV0\n-----END OPENSSH PRIVATE KEY-----\n";
const PUBLIC_KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";
const PARAMETER = "arn:aws:ssm:us-east-1:111122223333:parameter/key";
const OWN_KEY = "arn:aws:kms:us-east-1:111122223333:key/01234567-89ab-cdef-0123-456789abcdef";
const REPOSITORY = "arn:aws:ecr:us-east-1:111122223333:repository/triton";
/** The key that marks a secret on its way to the engine. */
const SECRET = "4dabf18193072939515e22adb298388d";

const ADMIN = "203.0.113.7/32";
const HOST = { instanceType: "g5.xlarge", adminCidrs: [ADMIN] };

interface Registered {
  readonly type: string;
  readonly name: string;
  readonly inputs: Readonly<Record<string, unknown>>;
}

/** What AWS would add to a resource. */
const OUTPUTS: Readonly<Record<string, Record<string, unknown>>> = {
  "tls:index/privateKey:PrivateKey": { privateKeyOpenssh: KEY, publicKeyOpenssh: `${PUBLIC_KEY}\n` },
  "aws:ssm/parameter:Parameter": { arn: PARAMETER, region: "us-east-1" },
  "aws:ec2/instance:Instance": {
    publicIp: "198.51.100.1",
    privateIp: "10.0.0.1",
    spotInstanceRequestId: "sir-1",
  },
  "aws:ec2/eip:Eip": { publicIp: "198.51.100.2" },
  "aws:iam/role:Role": { name: "role" },
  "aws:iam/policy:Policy": { arn: "arn:aws:iam::111122223333:policy/gpu-policy" },
  "aws:ecr/repository:Repository": {
    arn: REPOSITORY,
    repositoryUrl: "111122223333.dkr.ecr.us-east-1.amazonaws.com/triton",
    registryId: "111122223333",
  },
};

const launchOf = (inputs: unknown): string =>
  (inputs as { environment: { LAUNCH: string } }).environment.LAUNCH;

for (const preview of [true, false]) {
  describe(`components on AWS, ${preview ? "in a preview" : "in an update"}`, () => {
    let registered: Registered[];
    let calls: string[];
    let subnetGivesAddresses = true;
    let partition = PARTITION;
    /** What the command that chooses a place has printed. */
    let chosen: object = {};
    let api: typeof components;

    const load = async (): Promise<void> => {
      registered = [];
      calls = [];
      await pulumi.runtime.setMocks(
        {
          newResource: ({ type, name, inputs }) => {
            registered.push({ type, name, inputs: inputs as Record<string, unknown> });
            const printed =
              name === "gpu-place" ? { stdout: JSON.stringify({ ...chosen, launch: launchOf(inputs) }) } : {};
            const made = preview ? {} : { ...OUTPUTS[type], ...printed };
            // In a preview, new resources have no id.
            return { id: preview ? "" : `${name}-id`, state: { ...(inputs as object), ...made } };
          },
          call: ({ token }) => {
            calls.push(token);
            return {
              insecureValue: "ami-0123456789abcdef0",
              ...{ id: "subnet-01234567", vpcId: "vpc-1", mapPublicIpOnLaunch: subnetGivesAddresses },
              ...partition,
              userName: "AWS",
              password: "token",
            };
          },
        },
        "project",
        "stack",
        preview,
      );
      api = await import("../../../components");
    };

    const host = async (args: Partial<components.AwsGpuHostArgs> = {}): Promise<components.AwsGpuHost> => {
      await load();
      const made = new api.AwsGpuHost("gpu", { ...HOST, ...args });
      await pulumi.runtime.disconnect();
      return made;
    };

    const only = (type: string): Registered["inputs"] => {
      const found = registered.filter((resource) => resource.type === type);
      assert.equal(found.length, 1, type);
      return found[0]!.inputs;
    };

    const instance = (): Registered["inputs"] => only("aws:ec2/instance:Instance");

    it("are named after their component, and tagged", async () => {
      await host({ tags: { team: "inference" } });
      assert.deepEqual(registered.map(({ name }) => name).sort(), [
        "gpu",
        "gpu-access",
        "gpu-address",
        "gpu-host-key",
        "gpu-host-key-parameter",
        "gpu-instance",
        "gpu-login",
        "gpu-login-key",
        "gpu-policy",
        "gpu-profile",
        "gpu-ready",
        "gpu-role",
      ]);
      const tags = {
        Name: "project-stack-gpu",
        team: "inference",
        "xsched-triton:project": "project",
        "xsched-triton:stack": "stack",
      };
      // A policy is a part of its role, and has no tags.
      const tagged = registered.filter(({ type }) => type.startsWith("aws:") && !type.includes("rolePolicy"));
      for (const { inputs, name } of tagged) assert.deepEqual(inputs.tags, tags, name);
      assert.deepEqual((instance().rootBlockDevice as { tags: unknown }).tags, tags);
    });

    it("answer metadata only to requests with a token, from the machine itself", async () => {
      await host();
      assert.deepEqual(instance().metadataOptions, {
        httpEndpoint: "enabled",
        httpTokens: "required",
        httpPutResponseHopLimit: 1,
        instanceMetadataTags: "disabled",
      });
    });

    it("encrypt their volume", async () => {
      await host({ volume: { size: 300, throughput: 500 } });
      const { tags, ...volume } = instance().rootBlockDevice as Record<string, unknown>;
      assert.ok(tags);
      assert.deepEqual(volume, {
        volumeType: "gp3",
        volumeSize: 300,
        throughput: 500,
        iops: 3000,
        encrypted: true,
        deleteOnTermination: true,
      });
    });

    it("let in administrators over SSH, and nobody else", async () => {
      await host();
      const { ingress, egress } = only("aws:ec2/securityGroup:SecurityGroup");
      const ssh = { description: "SSH", protocol: "tcp", fromPort: 22, toPort: 22 };
      assert.deepEqual(ingress, [{ ...ssh, cidrBlocks: [ADMIN], ipv6CidrBlocks: [] }]);
      assert.deepEqual(egress, [
        { protocol: "-1", fromPort: 0, toPort: 0, cidrBlocks: ["0.0.0.0/0"], ipv6CidrBlocks: ["::/0"] },
      ]);
    });

    it("let in named clients at the ports for inference", async () => {
      await host({ clientCidrs: ["10.0.0.0/8", "fd00::/8"], clientPorts: pulumi.output([9000]) });
      const { ingress } = only("aws:ec2/securityGroup:SecurityGroup");
      const [, ...clients] = ingress as unknown[];
      assert.deepEqual(clients, [
        {
          description: "inference",
          protocol: "tcp",
          fromPort: 9000,
          toPort: 9000,
          cidrBlocks: ["10.0.0.0/8"],
          ipv6CidrBlocks: ["fd00::/8"],
        },
      ]);
    });

    it("use a key of your own, which AWS may hand on to what it starts", async () => {
      const { volumeKeyId } = await host({ kmsKeyId: OWN_KEY, spot: true });
      assert.equal((instance().rootBlockDevice as { kmsKeyId: string }).kmsKeyId, OWN_KEY);
      assert.equal(only("aws:ssm/parameter:Parameter").keyId, OWN_KEY);
      const { keyId, operations } = only("aws:kms/grant:Grant");
      assert.equal(keyId, OWN_KEY);
      assert.ok((operations as string[]).includes("CreateGrant"));
      const order = registered.map(({ type }) => type);
      assert.ok(order.indexOf("aws:kms/grant:Grant") < order.indexOf("aws:ec2/instance:Instance"));
      if (preview) return;
      assert.equal(await valueOf(volumeKeyId), OWN_KEY);
      assert.equal(
        only("aws:kms/grant:Grant").granteePrincipal,
        "arn:aws:iam::111122223333:role/aws-service-role/spot.amazonaws.com/AWSServiceRoleForEC2Spot",
      );
      const { Statement: statements } = JSON.parse(
        only("aws:iam/rolePolicy:RolePolicy").policy as string,
      ) as {
        Statement: { Sid: string }[];
      };
      assert.deepEqual(
        statements.find(({ Sid: sid }) => sid === "CustomerKey"),
        {
          Sid: "CustomerKey",
          Effect: "Allow",
          Action: ["kms:Decrypt", "kms:GenerateDataKey"],
          Resource: [OWN_KEY],
          Condition: {
            StringLike: {
              "kms:ViaService": ["ssm.us-east-1.amazonaws.com*", "s3.us-east-1.amazonaws.com*"],
            },
          },
        },
      );
      // Whoever starts one on demand hands on the key himself.
      await host({ kmsKeyId: OWN_KEY });
      assert.ok(!registered.some(({ type }) => type === "aws:kms/grant:Grant"));
    });

    it("keep their role within a boundary, and have none without one", async () => {
      const permissionsBoundary = "arn:aws:iam::111122223333:policy/xsched-triton-boundary";
      await host({ permissionsBoundary });
      assert.equal(only("aws:iam/role:Role").permissionsBoundary, permissionsBoundary);
      await host({ kmsKeyId: OWN_KEY });
      assert.ok(!("permissionsBoundary" in only("aws:iam/role:Role")));
    });

    it("keep images under a key of your own", async () => {
      await load();
      new api.EcrRepository("images", { kmsKeyId: OWN_KEY });
      await pulumi.runtime.disconnect();
      assert.deepEqual(only("aws:ecr/repository:Repository").encryptionConfigurations, [
        { encryptionType: "KMS", kmsKey: OWN_KEY },
      ]);
    });

    it("carry no key in user data, only the name of the key's parameter", async () => {
      await host();
      const { name, type, value } = only("aws:ssm/parameter:Parameter");
      assert.equal(name, "/xsched-triton/project/stack/gpu/ssh-host-key");
      assert.equal(type, "SecureString");
      if (preview) return;
      assert.ok(JSON.stringify(value).includes(SECRET));
      const userData = instance().userData as string;
      assert.ok(userData.includes('"/xsched-triton/project/stack/gpu/ssh-host-key"'));
      assert.ok(!userData.includes("c2VjcmV0"));
      assert.ok(userData.length < 4096, "EC2 takes 16 KiB");
    });

    it("have a managed policy for each list of statements that their role's own has no room for", async () => {
      const reading = (model: string) => ({
        sid: "Models",
        actions: ["s3:GetObject"],
        resources: [pulumi.output(`arn:aws:s3:::models/${model}/*`)],
      });
      await host({ managedPolicies: [[reading("a")], [reading("b"), { ...reading("c"), sid: "Others" }]] });
      const named = (type: string) => registered.filter((each) => each.type === type);
      const policies = named("aws:iam/policy:Policy");
      const attachments = named("aws:iam/rolePolicyAttachment:RolePolicyAttachment");
      const names = ["gpu-policy-1", "gpu-policy-2"];
      assert.deepEqual(
        [policies, attachments].map((found) => found.map(({ name }) => name)),
        [names, names],
      );
      if (preview) return;
      const read = (model: string, Sid: string) => ({
        ...{ Sid, Effect: "Allow", Action: ["s3:GetObject"], Resource: [`arn:aws:s3:::models/${model}/*`] },
      });
      assert.deepEqual(
        policies.map(({ inputs }) => JSON.parse(inputs.policy as string) as unknown),
        [[read("a", "Models")], [read("b", "Models"), read("c", "Others")]].map((Statement) => ({
          ...{ Version: "2012-10-17", Statement },
        })),
      );
      const policyArn = "arn:aws:iam::111122223333:policy/gpu-policy";
      assert.deepEqual(
        attachments.map(({ inputs }) => inputs),
        names.map(() => ({ role: "role", policyArn })),
      );
      assert.ok(!(only("aws:iam/rolePolicy:RolePolicy").policy as string).includes("s3:GetObject"));
    });

    it("have a role that may do what they need, and nothing else", async () => {
      await host({
        repositoryArn: REPOSITORY,
        policyStatements: [
          { sid: "Models", actions: ["s3:GetObject"], resources: [pulumi.output("arn:aws:s3:::models/a/*")] },
        ],
      });
      if (preview) return;
      const policy = JSON.parse(only("aws:iam/rolePolicy:RolePolicy").policy as string) as unknown;
      assert.deepEqual(policy, {
        Version: "2012-10-17",
        Statement: [
          { Sid: "HostKey", Effect: "Allow", Action: ["ssm:GetParameter"], Resource: [PARAMETER] },
          {
            Sid: "SessionManager",
            Effect: "Allow",
            Action: [
              "ssm:UpdateInstanceInformation",
              "ssmmessages:CreateControlChannel",
              "ssmmessages:CreateDataChannel",
              "ssmmessages:OpenControlChannel",
              "ssmmessages:OpenDataChannel",
            ],
            Resource: ["*"],
          },
          {
            Sid: "LogInToRegistry",
            Effect: "Allow",
            Action: ["ecr:GetAuthorizationToken"],
            Resource: ["*"],
          },
          {
            Sid: "PullImage",
            Effect: "Allow",
            Action: ["ecr:BatchCheckLayerAvailability", "ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer"],
            Resource: [REPOSITORY],
          },
          {
            Sid: "Models",
            Effect: "Allow",
            Action: ["s3:GetObject"],
            Resource: ["arn:aws:s3:::models/a/*"],
          },
        ],
      });
      assert.deepEqual(JSON.parse(only("aws:iam/role:Role").assumeRolePolicy as string), {
        Version: "2012-10-17",
        Statement: [
          { Effect: "Allow", Principal: { Service: "ec2.amazonaws.com" }, Action: "sts:AssumeRole" },
        ],
      });
    });

    it("are on demand and may be terminated by default", async () => {
      await host();
      assert.equal(instance().instanceMarketOptions, undefined);
      assert.equal(instance().disableApiTermination, false);
      await host({ spot: true });
      assert.deepEqual(instance().instanceMarketOptions, {
        marketType: "spot",
        spotOptions: { spotInstanceType: "persistent", instanceInterruptionBehavior: "stop" },
      });
      const cancel = only("command:local:Command");
      assert.equal(cancel.create, undefined);
      if (!preview) assert.match(cancel.delete as string, / cancel-spot-request\.sh us-east-1 sir-1$/);
      await host({ protect: true });
      assert.equal(instance().disableApiTermination, true);
    });

    it("are where AWS has capacity for one of several choices, and say what that is", async () => {
      chosen = {
        instanceType: "g6.xlarge",
        zone: "us-east-1b",
        spot: false,
        passedOver: ["g5.xlarge: none"],
      };
      const lists = { instanceType: undefined, instanceTypes: ["g5.xlarge", "g6.xlarge"] };
      const zones = ["us-east-1a", "us-east-1b"];
      const { passedOver, onSpot } = await host({ ...lists, zones, spot: true, onDemandFallback: true });
      const order = registered.map(({ name }) => name);
      // Right before the instance, so that nobody else is faster.
      for (const name of ["gpu-policy", "gpu-login", "gpu-profile", "gpu-access"])
        assert.ok(order.indexOf(name) < order.indexOf("gpu-place"), name);
      const { environment } = registered.find(({ name }) => name === "gpu-place")!.inputs as {
        environment: Readonly<Record<string, string>>;
      };
      assert.deepEqual(
        (
          JSON.parse(environment.CHOICES ?? "") as { instanceType: string; zone: string; spot: boolean }[]
        ).map(({ instanceType, zone, spot }) => `${spot ? "spot" : "od"} ${instanceType} ${zone}`),
        ["spot", "od"].flatMap((market) =>
          lists.instanceTypes.flatMap((type) => zones.map((zone) => `${market} ${type} ${zone}`)),
        ),
      );
      if (preview) return;
      const { instanceType, availabilityZone, instanceMarketOptions } = instance();
      assert.deepEqual(
        [instanceType, availabilityZone, instanceMarketOptions],
        ["g6.xlarge", "us-east-1b", undefined],
      );
      assert.deepEqual([await valueOf(passedOver), await valueOf(onSpot)], [["g5.xlarge: none"], false]);

      chosen = { ...chosen, spot: true };
      await host({ ...lists, spot: true, onDemandFallback: true });
      assert.equal((instance().instanceMarketOptions as { marketType: string }).marketType, "spot");
      assert.equal(instance().availabilityZone, "us-east-1b");
      // A list leaves a subnet where it is.
      await host({ ...lists, spot: true, subnetId: "subnet-01234567" });
      assert.equal(instance().availabilityZone, undefined);
    });

    it("have nothing to choose with one choice", async () => {
      await host({ zone: "us-east-1a", spot: true });
      assert.ok(!registered.some(({ name }) => name === "gpu-place"));
      assert.equal(instance().availabilityZone, "us-east-1a");
    });

    it("use the newest machine image, or a given one", async () => {
      await host();
      assert.equal(instance().ami, "ami-0123456789abcdef0");
      assert.ok(calls.includes("aws:ssm/getParameter:getParameter"));
      await host({ ami: "ami-00000000" });
      assert.equal(instance().ami, "ami-00000000");
      assert.ok(!calls.includes("aws:ssm/getParameter:getParameter"));
    });

    it("are in the VPC of their subnet", async () => {
      await host({ subnetId: "subnet-01234567" });
      assert.equal(instance().subnetId, "subnet-01234567");
      assert.equal(only("aws:ec2/securityGroup:SecurityGroup").vpcId, "vpc-1");
    });

    it("are reached at a fixed address, a changing one, or only from their network", async () => {
      const address = async (kind: keyof typeof components.PublicIp): Promise<unknown> => {
        await load();
        const { address } = await host({ publicIp: api.PublicIp[kind], subnetId: "subnet-01234567" });
        return new Promise((resolve) => address.apply(resolve));
      };
      if (!preview) {
        assert.equal(await address("Elastic"), "198.51.100.2");
        assert.equal(await address("Dynamic"), "198.51.100.1");
        assert.equal(await address("None"), "10.0.0.1");
      }
      await host({ publicIp: api.PublicIp.None, subnetId: "subnet-01234567" });
      assert.equal(instance().associatePublicIpAddress, false);
      assert.equal(instance().subnetId, "subnet-01234567");
      assert.ok(!registered.some(({ type }) => type === "aws:ec2/eip:Eip"));
    });

    it("are not created in a subnet without public addresses, if they are to have a changing one", async () => {
      await load();
      const dynamic = { publicIp: api.PublicIp.Dynamic, subnetId: "subnet-01234567" };
      await host(dynamic);
      assert.equal(instance().subnetId, "subnet-01234567");
      subnetGivesAddresses = false;
      try {
        const { address } = await host(dynamic);
        await assert.rejects(
          valueOf(address),
          /publicIp is dynamic, but subnet-01234567 gives its instances no public addresses\nfix: set publicIp to elastic/,
        );
        assert.ok(!registered.some(({ type }) => type === "aws:ec2/instance:Instance"));
      } finally {
        subnetGivesAddresses = true;
      }
    });

    it("trust EC2 by the name that it has in their part of AWS", async () => {
      const principal = async (): Promise<unknown> => {
        await host();
        const { assumeRolePolicy } = only("aws:iam/role:Role");
        const { Statement: statements } = JSON.parse(assumeRolePolicy as string) as {
          Statement: { Principal: unknown }[];
        };
        return statements[0]?.Principal;
      };
      assert.deepEqual(await principal(), { Service: "ec2.amazonaws.com" });
      partition = { partition: "aws-cn", dnsSuffix: "amazonaws.com.cn" };
      try {
        assert.deepEqual(await principal(), { Service: "ec2.amazonaws.com.cn" });
      } finally {
        partition = PARTITION;
      }
    });

    it("count the rules of all ports that clients reach", async () => {
      await load();
      const clientCidrs = Array.from({ length: 20 }, (_, index) => `203.0.113.${index}/32`);
      const many = { ...HOST, clientCidrs, clientPorts: [8000, 8001, 8002] };
      assert.throws(
        () => new api.AwsGpuHost("gpu", many),
        /clientCidrs: a list of 20\n {4}allowed: at most 60 rules of IPv4 in the security group: these are 61, one for each of 1 adminCidrs and 3 for each of 20 clientCidrs/,
      );
      await host({ ...many, adminCidrs: ["2001:db8::/64"] });
    });

    it("are set up step by step, each when the one before it is done", async () => {
      await host({
        setUp: [
          { name: "first", script: "echo 1", arguments: ["a b"] },
          { name: "second", script: pulumi.output("echo 2") },
        ],
      });
      const commands = registered.filter(({ type }) => type === "command:remote:Command");
      assert.deepEqual(
        commands.map(({ name }) => name),
        ["gpu-ready", "gpu-first", "gpu-second"],
      );
      const [, first, second] = commands;
      assert.equal(first?.inputs.create, "bash -s -- 'a b'");
      assert.equal(first.inputs.stdin, "echo 1");
      assert.equal(second?.inputs.stdin, "echo 2");
    });

    it("refuse faults before anything is created", async () => {
      await load();
      const wrong = { instanceType: "m5.large", adminCidrs: ["0.0.0.0/0"] };
      assert.throws(() => new api.AwsGpuHost("gpu", wrong), {
        message:
          /^2 faults in the arguments of AwsGpuHost gpu\n[^]* instanceType: "m5\.large"\n[^]* adminCidrs\[0\]: "0\.0\.0\.0\/0"\n/,
      });
      assert.throws(() => new api.EcrRepository("images", { keepImages: 1 }), {
        message: /keepImages: 1\n/,
      });
      assert.deepEqual(registered, []);
      await pulumi.runtime.disconnect();
    });

    it("keep only the newest images, with immutable tags, scanned and encrypted", async () => {
      await load();
      const repository = new api.EcrRepository("images", { keepImages: 3 });
      await pulumi.runtime.disconnect();
      const { tags, ...inputs } = only("aws:ecr/repository:Repository");
      assert.ok(tags);
      assert.deepEqual(inputs, {
        imageTagMutability: "IMMUTABLE",
        imageScanningConfiguration: { scanOnPush: true },
        encryptionConfigurations: [{ encryptionType: "AES256" }],
        forceDelete: false,
      });
      assert.deepEqual(JSON.parse(only("aws:ecr/lifecyclePolicy:LifecyclePolicy").policy as string), {
        rules: [
          {
            rulePriority: 1,
            description: "Keep the newest 3",
            selection: {
              ...{ tagStatus: "tagged", tagPatternList: ["*-*-*"] },
              ...{ countType: "imageCountMoreThan", countNumber: 3 },
            },
            action: { type: "expire" },
          },
          // The image and the attestations of an index have no tags of their own.
          {
            rulePriority: 2,
            description: "Delete what belonged to a deleted image",
            selection: {
              ...{ tagStatus: "untagged", countType: "sinceImagePushed", countUnit: "days", countNumber: 1 },
            },
            action: { type: "expire" },
          },
        ],
      });
      assert.ok(await pulumi.isSecret(repository.login));
    });
  });
}
