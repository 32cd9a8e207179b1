import assert from "node:assert/strict";
import * as fs from "node:fs";
import * as path from "node:path";

import * as pulumi from "@pulumi/pulumi";

import { TRITON_RELEASES } from "../../../components/image/tritonReleases";
import {
  ComponentInputs,
  type EksClusterArgs,
  eksGpuNodesInputs,
  releasesOn,
} from "../../../components/settings";
import { PARTITION, type Recording, record, type Registered, valueOf } from "../aws/mocks";

const SUBNETS = ["subnet-0123456789abcdef0", "subnet-0fedcba9876543210"];
const KEY = "arn:aws:kms:eu-west-1:111122223333:key/01234567-89ab-cdef-0123-456789abcdef";
const ADMIN = "arn:aws:iam::111122223333:role/platform";
const READER = { bucket: "models-of-the-company", prefix: "prod", serviceAccount: "inference" };
const AUTHORITY = { data: "Y2VydGlmaWNhdGU=" };

const outputs = ({ type, name }: Registered): Record<string, unknown> => ({
  arn: `arn:of:${name}`,
  name: `${name}-1234567`,
  ...(type === "aws:eks/cluster:Cluster" && {
    ...{ endpoint: "https://ABC.eks.amazonaws.com", region: "eu-west-1", certificateAuthority: AUTHORITY },
  }),
});

interface Document {
  readonly Statement: readonly {
    readonly Action: readonly string[];
    readonly Resource: readonly string[];
    readonly Principal: unknown;
  }[];
}

const documentOf = (text: unknown): Document => JSON.parse(text as string) as Document;

for (const preview of [true, false]) {
  describe(`a cluster of EKS, ${preview ? "in a preview" : "in an update"}`, () => {
    let kubeconfig: string | undefined;
    let modelRole: string | undefined;

    const deploy = (args: Partial<EksClusterArgs> = {}, partition = PARTITION): Promise<Recording> =>
      record(
        preview,
        outputs,
        async () => {
          const { EksCluster } = await import("../../../components/fleet");
          const made = new EksCluster("models", { subnetIds: SUBNETS, ...args });
          kubeconfig = await valueOf(made.kubeconfig);
          modelRole = await valueOf(made.modelRoleArn);
        },
        partition,
      );

    const cluster = (program: Recording) => program.inputs("aws:eks/cluster:Cluster");

    it("is in Auto Mode, with an API server that only its VPC reaches", async () => {
      const program = await deploy();
      const { computeConfig, kubernetesNetworkConfig, storageConfig, accessConfig, ...others } =
        cluster(program);
      const { enabled, nodePools } = computeConfig as { enabled: boolean; nodePools: string[] };
      assert.deepEqual([enabled, nodePools], [true, ["general-purpose", "system"]]);
      assert.deepEqual(kubernetesNetworkConfig, { elasticLoadBalancing: { enabled: true } });
      assert.deepEqual(storageConfig, { blockStorage: { enabled: true } });
      assert.deepEqual(accessConfig, {
        authenticationMode: "API",
        bootstrapClusterCreatorAdminPermissions: true,
      });
      assert.equal(others.bootstrapSelfManagedAddons, false);
      assert.deepEqual(others.upgradePolicy, { supportType: "STANDARD" });
      assert.deepEqual(others.vpcConfig, {
        subnetIds: SUBNETS,
        endpointPrivateAccess: true,
        endpointPublicAccess: false,
      });
      assert.equal(others.version, undefined);
      assert.equal(others.deletionProtection, false);
    });

    it("has roles with what AWS asks for, and no more", async () => {
      const program = await deploy();
      assert.deepEqual(program.names("aws:iam/rolePolicyAttachment"), [
        "models-cluster-AmazonEKSBlockStoragePolicyV2",
        "models-cluster-AmazonEKSClusterPolicy",
        "models-cluster-AmazonEKSComputePolicy",
        "models-cluster-AmazonEKSLoadBalancingPolicy",
        "models-cluster-AmazonEKSNetworkingPolicy",
        "models-node-AmazonEC2ContainerRegistryPullOnly",
        "models-node-AmazonEKSWorkerNodeMinimalPolicy",
      ]);
      assert.deepEqual(program.names("aws:iam/rolePolicy:"), []);
      const trusted = (name: string): Document["Statement"][0] | undefined =>
        documentOf(program.inputs("aws:iam/role:Role", name).assumeRolePolicy).Statement[0];
      assert.deepEqual(trusted("models-cluster-role")?.Principal, { Service: "eks.amazonaws.com" });
      assert.deepEqual(trusted("models-cluster-role")?.Action, ["sts:AssumeRole", "sts:TagSession"]);
      if (!preview) {
        assert.deepEqual(trusted("models-node-role")?.Principal, { Service: "ec2.amazonaws.com" });
        assert.deepEqual(trusted("models-node-role")?.Action, ["sts:AssumeRole"]);
      }
    });

    it("lets in whom the settings name", async () => {
      const program = await deploy({ adminCidrs: ["203.0.113.7/32"], admins: [ADMIN] });
      assert.deepEqual(cluster(program).vpcConfig, {
        subnetIds: SUBNETS,
        endpointPrivateAccess: true,
        endpointPublicAccess: true,
        publicAccessCidrs: ["203.0.113.7/32"],
      });
      const entry = program.inputs("aws:eks/accessEntry:AccessEntry");
      assert.deepEqual([entry.principalArn, entry.type], [ADMIN, "STANDARD"]);
      const association = program.inputs("aws:eks/accessPolicyAssociation:AccessPolicyAssociation");
      assert.deepEqual(association.accessScope, { type: "cluster" });
      if (preview) return;
      assert.equal(
        association.policyArn,
        "arn:aws:eks::aws:cluster-access-policy/AmazonEKSClusterAdminPolicy",
      );
    });

    it("lets the pods of a service account read the models of a bucket, and nothing else", async () => {
      assert.deepEqual((await deploy()).names("aws:eks/podIdentity"), []);
      assert.equal(modelRole, "");
      const program = await deploy({ models: READER });
      const { namespace, serviceAccount } = program.inputs(
        "aws:eks/podIdentityAssociation:PodIdentityAssociation",
      );
      assert.deepEqual([namespace, serviceAccount], ["xsched-triton", "inference"]);
      const [trusted] = documentOf(
        program.inputs("aws:iam/role:Role", "models-models-role").assumeRolePolicy,
      ).Statement;
      assert.deepEqual(trusted?.Principal, { Service: "pods.eks.amazonaws.com" });
      assert.deepEqual(trusted.Action, ["sts:AssumeRole", "sts:TagSession"]);
      if (preview) return;
      assert.equal(modelRole, "arn:of:models-models-role");
      const { Statement } = documentOf(program.inputs("aws:iam/rolePolicy:RolePolicy").policy);
      assert.deepEqual(
        Statement.map(({ Action, Resource }) => [Action, Resource]),
        [[["s3:GetObject", "s3:GetObjectVersion"], ["arn:aws:s3:::models-of-the-company/prod/*"]]],
      );
    });

    it("encrypts its secrets with a key of yours, and is protected, where the settings say so", async () => {
      const program = await deploy({ kmsKeyId: KEY, protect: true, version: "1.34" });
      const { encryptionConfig, deletionProtection, version } = cluster(program);
      assert.deepEqual([deletionProtection, version], [true, "1.34"]);
      assert.deepEqual(encryptionConfig, { provider: { keyArn: KEY }, resources: ["secrets"] });
      const { Statement } = documentOf(program.inputs("aws:iam/rolePolicy:RolePolicy").policy);
      assert.deepEqual(Statement[0]?.Resource, [KEY]);
    });

    it("bounds its roles, and tags everything that can have tags", async () => {
      const permissionsBoundary = "arn:aws:iam::111122223333:policy/boundary";
      const program = await deploy({
        permissionsBoundary,
        models: READER,
        admins: [ADMIN],
        tags: { team: "ml" },
      });
      const roles = program.resources.filter(({ type }) => type === "aws:iam/role:Role");
      assert.equal(roles.length, 3);
      for (const { inputs } of roles) assert.equal(inputs.permissionsBoundary, permissionsBoundary);
      const tagged = program.resources.filter(
        ({ type }) => type.startsWith("aws:") && !/(Policy|PolicyAttachment|PolicyAssociation)$/.test(type),
      );
      assert.equal(tagged.length, 6);
      for (const { name, inputs } of tagged) {
        const tags = inputs.tags as Record<string, string>;
        assert.deepEqual([tags.team, tags["xsched-triton:stack"]], ["ml", "stack"], name);
      }
    });

    it("is of the partition of its region", async () => {
      const program = await deploy(
        { models: READER, admins: [ADMIN] },
        { partition: "aws-cn", dnsSuffix: "amazonaws.com.cn" },
      );
      if (preview) return;
      const text = JSON.stringify(program.resources.map(({ inputs }) => inputs));
      assert.deepEqual(
        [...text.matchAll(/arn:(aws[a-z-]*):(?!iam::111122223333)/g)].filter(
          ([, found]) => found !== "aws-cn",
        ),
        [],
      );
      assert.ok(text.includes("ec2.amazonaws.com.cn"));
    });

    it("tells kubectl and the provider how it is reached, without a secret", async () => {
      await deploy();
      if (preview) {
        assert.equal(kubeconfig, undefined);
        return;
      }
      const { clusters, users, contexts } = JSON.parse(kubeconfig ?? "") as {
        clusters: [{ name: string; cluster: Record<string, string> }];
        users: [{ user: { exec: { command: string; args: string[] } } }];
        contexts: [{ context: { cluster: string; user: string } }];
      };
      assert.deepEqual(clusters[0].cluster, {
        server: "https://ABC.eks.amazonaws.com",
        "certificate-authority-data": AUTHORITY.data,
      });
      assert.equal(contexts[0].context.cluster, clusters[0].name);
      const { command, args } = users[0].user.exec;
      assert.equal(
        [command, ...args].join(" "),
        "aws --region eu-west-1 eks get-token --cluster-name models-cluster-1234567 --output json",
      );
    });

    it("has nodes with GPUs for pods that tolerate them alone, in a cluster that enforces NetworkPolicies", async () => {
      const program = await record(preview, outputs, async () => {
        const { EksGpuNodes } = await import("../../../components/fleet");
        new EksGpuNodes("gpus", { maxGpus: 4, spot: true, instanceFamilies: ["g5"] });
      });
      const { spec } = program.inputs("kubernetes:karpenter.sh/v1:NodePool") as {
        spec: {
          limits: object;
          disruption: object;
          template: { spec: { requirements: { key: string; values: string[] }[]; taints: object[] } };
        };
      };
      assert.deepEqual(spec.limits, { "nvidia.com/gpu": 4 });
      assert.deepEqual(spec.disruption, { consolidationPolicy: "WhenEmpty", consolidateAfter: "300s" });
      assert.deepEqual(spec.template.spec.taints, [{ key: "nvidia.com/gpu", effect: "NoSchedule" }]);
      assert.deepEqual(
        Object.fromEntries(spec.template.spec.requirements.map(({ key, values }) => [key, values.join()])),
        {
          "eks.amazonaws.com/instance-family": "g5",
          "eks.amazonaws.com/instance-gpu-count": "1",
          "karpenter.sh/capacity-type": "spot",
          "kubernetes.io/arch": "amd64",
        },
      );
      const policies = program.inputs("kubernetes:core/v1:ConfigMap");
      assert.deepEqual(policies.data, { "enable-network-policy-controller": "true" });
      const kept: string[] = [];
      const transformations: pulumi.ResourceTransformation[] = [
        ({ name, opts }) => {
          if (opts.retainOnDelete === true) kept.push(name);
          return undefined;
        },
      ];
      await record(preview, outputs, async () => {
        const { EksGpuNodes } = await import("../../../components/fleet");
        new EksGpuNodes("gpus", { maxGpus: 4 }, { transformations });
      });
      assert.deepEqual(kept, ["gpus-network-policies"]);
      const others = await record(preview, outputs, async () => {
        const { EksGpuNodes } = await import("../../../components/fleet");
        new EksGpuNodes("more", { maxGpus: 4, networkPolicies: false });
      });
      assert.deepEqual(others.names("kubernetes:"), ["more-pool"]);
    });
  });
}

describe("the permissions for a cluster of EKS", () => {
  // https://github.com/aws/containers-roadmap/issues/2531
  it("are enough to delete the nodes' role from an instance profile that EKS has left", () => {
    const file = path.resolve(__dirname, "../../../docs/reference/eks-permissions.json");
    const { Statement } = documentOf(fs.readFileSync(file, "utf8"));
    const resourcesOf = (action: string): readonly string[] =>
      Statement.filter(({ Action }) => Action.includes(action)).flatMap(({ Resource }) => Resource);
    const roles = ["arn:PARTITION:iam::ACCOUNT:role/models-*"];
    assert.deepEqual(resourcesOf("iam:ListInstanceProfilesForRole"), roles);
    assert.deepEqual(resourcesOf("iam:RemoveRoleFromInstanceProfile"), [
      "arn:PARTITION:iam::ACCOUNT:instance-profile/eks*",
    ]);
    assert.deepEqual(resourcesOf("iam:DeleteRole"), roles);
  });
});

describe("the arguments of a cluster of EKS", () => {
  const refusal = async (kind: "EksCluster" | "EksGpuNodes", args: object): Promise<string> => {
    const api = await import("../../../components/fleet");
    try {
      new api[kind]("models", args as never);
    } catch (error) {
      assert.ok(pulumi.RunError.isInstance(error));
      return error.message;
    }
    throw new Error("accepted");
  };

  before(() =>
    pulumi.runtime.setMocks({
      newResource: () => assert.fail("something was made"),
      call: () => assert.fail("something was asked"),
    }),
  );

  it("name a fault by its place, what is allowed, and the fix", async () => {
    const message = await refusal("EksCluster", {
      subnetIds: SUBNETS.slice(1),
      adminCidrs: ["0.0.0.0/0"],
      admins: ["platform"],
      version: "1.29",
      models: { bucket: "models-of-the-company", prefix: "/prod" },
    });
    for (const part of [
      "6 faults in the arguments of EksCluster models",
      "subnetIds: a list of 1\n    allowed: a list of ids of subnets in at least two zones, none twice",
      'adminCidrs[0]: "0.0.0.0/0"\n    allowed: a range that you can vouch for: whoever is in it can try the API server',
      'admins[0]: "platform"\n    allowed: the ARN of a role or a user of IAM',
      'version: "1.29"\n    allowed: a release of Kubernetes that EKS has, 1.30 or newer\n    fix: a fleet needs 1.30 or newer',
      'models.prefix: "/prod"',
      "models.serviceAccount: (not set)",
    ]) {
      assert.ok(message.includes(part), `${part} is in ${message}`);
    }
  });

  it("ask for nodes that there are", async () => {
    for (const [args, expected] of [
      [
        { maxGpus: 8, gpusPerNode: 3 },
        "gpusPerNode: 3\n    allowed: what instances of each family have: g5 1 or 4 or 8\n    fix: choose 1 or 4 or 8, or other instanceFamilies",
      ],
      [
        { maxGpus: 8, instanceFamilies: ["g5", "p4d"] },
        "gpusPerNode: 1\n    allowed: what instances of each family have: g5 1 or 4 or 8, p4d 8\n    fix: choose 8, or other instanceFamilies",
      ],
      [
        { maxGpus: 8, instanceFamilies: ["gr6", "p4d"] },
        "gpusPerNode: 1\n    allowed: what instances of each family have: gr6 1, p4d 8\n    fix: choose instanceFamilies that have a number in common",
      ],
      [
        { maxGpus: 4, gpusPerNode: 8 },
        "maxGpus: 4\n    allowed: gpusPerNode or more, 8: as many as one node has\n    fix: raise maxGpus, or lower gpusPerNode",
      ],
    ] as const) {
      const message = await refusal("EksGpuNodes", args);
      assert.ok(message.includes(expected), message);
      assert.match(message, /^1 fault in the arguments of EksGpuNodes models/);
    }
  });

  it("ask, unless told otherwise, for a GPU that every listed release of Triton knows", () => {
    const { instanceFamilies } = new ComponentInputs("EksGpuNodes", "gpus", eksGpuNodesInputs, { maxGpus: 1 })
      .known;
    assert.deepEqual(
      instanceFamilies.map((family) => releasesOn(`${family}.xlarge`)),
      [Object.keys(TRITON_RELEASES)],
    );
  });

  it("have families of instances with whole GPUs alone", async () => {
    const message = await refusal("EksGpuNodes", {
      maxGpus: 0,
      instanceFamilies: ["g5.xlarge", "m7i", "g4ad"],
    });
    for (const part of [
      "maxGpus: 0\n    allowed: an integer from 1 to 5000",
      'instanceFamilies[0]: "g5.xlarge"',
      "fix: give the family alone: g5",
      'instanceFamilies[1]: "m7i"',
      'instanceFamilies[2]: "g4ad"',
    ]) {
      assert.ok(message.includes(part), `${part} is in ${message}`);
    }
  });
});
