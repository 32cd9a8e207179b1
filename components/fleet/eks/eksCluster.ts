import * as pulumi from "@pulumi/pulumi";

import { currentPartition, policyDocument, sdk, tagsOf } from "../../aws";
import { ComponentInputs, type EksClusterArgs, eksClusterInputs, modelReader } from "../../settings";
import { kubeconfigOf } from "./kubeconfig";
import {
  adminPolicy,
  CLUSTER_POLICIES,
  managedPolicy,
  NODE_POLICIES,
  readModels,
  secretsKey,
  trust,
} from "./roles";

/**
 * A cluster of Amazon EKS in Auto Mode, in subnets that exist: AWS starts and replaces its nodes, with NVIDIA's drivers and
 * device plugin on those that have GPUs. It has no nodes until a pod needs one; those with GPUs are a matter of `EksGpuNodes`.
 * It has not run in an AWS account yet.
 *
 * @example
 * ```ts
 * const eks = new EksCluster("models", { subnetIds, adminCidrs: ["203.0.113.7/32"] });
 * const provider = new k8s.Provider("cluster", { kubeconfig: eks.kubeconfig });
 * const nodes = new EksGpuNodes("gpus", { maxGpus: 4 }, { provider });
 * new TritonFleet("inference", { image, models }, { provider, dependsOn: nodes });
 * ```
 */
export class EksCluster extends pulumi.ComponentResource {
  /**
   * For a provider `kubernetes`, and for kubectl. It has no secret: it runs `aws eks get-token`, with the credentials of
   * whoever uses it.
   */
  public readonly kubeconfig: pulumi.Output<string>;
  /** Name of the cluster. */
  public readonly clusterName: pulumi.Output<string>;
  /** ARN of the role of pods that read models; empty without `models`. */
  public readonly modelRoleArn: pulumi.Output<string>;

  public constructor(name: string, args: EksClusterArgs, opts?: pulumi.ComponentResourceOptions) {
    const inputs = new ComponentInputs("EksCluster", name, eksClusterInputs, args);
    super("xsched-triton:index:EksCluster", name, {}, opts);
    const { adminCidrs, admins, protect } = inputs.known;
    const wanted = inputs.resolve(eksClusterInputs, inputs.known);
    const child = { parent: this };
    const tags = tagsOf(name, wanted.tags);
    const { partition, dnsSuffix } = currentPartition(child);
    const permissionsBoundary =
      args.permissionsBoundary === undefined ? undefined : wanted.permissionsBoundary;
    const role = (what: string, trusted: pulumi.Input<string>) =>
      new sdk.iam.Role(
        `${name}-${what}-role`,
        { assumeRolePolicy: trusted, permissionsBoundary, tags },
        child,
      );
    const attach = (what: string, policies: readonly string[], to: pulumi.Input<string>) =>
      policies.map(
        (policy) =>
          new sdk.iam.RolePolicyAttachment(
            `${name}-${what}-${policy}`,
            { role: to, policyArn: partition.apply((known) => managedPolicy(known, policy)) },
            child,
          ),
      );

    const clusterRole = role("cluster", trust("eks.amazonaws.com", true));
    const nodeRole = role(
      "node",
      dnsSuffix.apply((suffix) => trust(`ec2.${suffix}`, false)),
    );
    // EKS needs them until the cluster has gone.
    const rights: pulumi.Resource[] = [
      ...attach("cluster", CLUSTER_POLICIES, clusterRole.name),
      ...attach("node", NODE_POLICIES, nodeRole.name),
    ];
    const key = args.kmsKeyId === undefined ? undefined : (wanted.kmsKeyId as pulumi.Output<string>);
    if (key !== undefined) {
      const policy = key.apply((arn) => policyDocument(secretsKey(arn)));
      rights.push(new sdk.iam.RolePolicy(`${name}-cluster-key`, { role: clusterRole.name, policy }, child));
    }

    const cluster = new sdk.eks.Cluster(
      `${name}-cluster`,
      {
        roleArn: clusterRole.arn,
        ...(args.version !== undefined && { version: wanted.version }),
        // Only with AWS's own nodes, load balancers and volumes together is it Auto Mode.
        computeConfig: {
          enabled: true,
          nodePools: ["general-purpose", "system"],
          nodeRoleArn: nodeRole.arn,
        },
        kubernetesNetworkConfig: { elasticLoadBalancing: { enabled: true } },
        storageConfig: { blockStorage: { enabled: true } },
        // What these would install is part of Auto Mode.
        bootstrapSelfManagedAddons: false,
        accessConfig: { authenticationMode: "API", bootstrapClusterCreatorAdminPermissions: true },
        vpcConfig: {
          subnetIds: wanted.subnetIds.apply((ids) => [...ids]),
          endpointPrivateAccess: true,
          endpointPublicAccess: adminCidrs.length > 0,
          ...(adminCidrs.length > 0 && { publicAccessCidrs: [...adminCidrs] }),
        },
        ...(key !== undefined && {
          encryptionConfig: { provider: { keyArn: key }, resources: ["secrets"] },
        }),
        // Extended support costs six times as much.
        upgradePolicy: { supportType: "STANDARD" },
        deletionProtection: protect,
        tags,
      },
      { ...child, protect, dependsOn: rights },
    );

    for (const [index, principalArn] of admins.entries()) {
      const entry = new sdk.eks.AccessEntry(
        `${name}-admin-${index}`,
        { clusterName: cluster.name, principalArn, type: "STANDARD", tags },
        child,
      );
      new sdk.eks.AccessPolicyAssociation(
        `${name}-admin-${index}`,
        {
          clusterName: cluster.name,
          principalArn: entry.principalArn,
          policyArn: partition.apply(adminPolicy),
          accessScope: { type: "cluster" },
        },
        child,
      );
    }

    this.modelRoleArn = pulumi.output("");
    const reader = inputs.resolveOptional(modelReader, "models");
    if (reader !== undefined) {
      const models = role("models", trust("pods.eks.amazonaws.com", true));
      const right = new sdk.iam.RolePolicy(
        `${name}-models`,
        {
          role: models.name,
          policy: pulumi
            .all([partition, reader])
            .apply(([known, what]) => policyDocument(readModels(known, what))),
        },
        child,
      );
      const { namespace, serviceAccount } = reader;
      const identity = new sdk.eks.PodIdentityAssociation(
        `${name}-models`,
        { clusterName: cluster.name, namespace, serviceAccount, roleArn: models.arn, tags },
        { ...child, dependsOn: right },
      );
      this.modelRoleArn = identity.roleArn;
    }

    this.clusterName = cluster.name;
    this.kubeconfig = pulumi
      .all([cluster.name, cluster.region, cluster.endpoint, cluster.certificateAuthority.data])
      .apply(([called, region, endpoint, certificateAuthority]) =>
        kubeconfigOf({ name: called, region, endpoint, certificateAuthority }),
      );
    this.registerOutputs({
      kubeconfig: this.kubeconfig,
      clusterName: this.clusterName,
      modelRoleArn: this.modelRoleArn,
    });
  }
}
