import type { PolicyStatement } from "../../aws";

/*
 * What AWS asks for: https://docs.aws.amazon.com/eks/latest/userguide/auto-cluster-iam-role.html,
 * auto-create-node-role.html and pod-id-role.html
 */

/** Managed policies of the role in which EKS runs a cluster in Auto Mode. */
export const CLUSTER_POLICIES = [
  "AmazonEKSClusterPolicy",
  "AmazonEKSComputePolicy",
  // Unlike the first one, it takes no snapshots of the account's other volumes.
  "AmazonEKSBlockStoragePolicyV2",
  "AmazonEKSLoadBalancingPolicy",
  "AmazonEKSNetworkingPolicy",
];

/** Those of nodes, which pull images, and may do nothing else with ECR. */
export const NODE_POLICIES = ["AmazonEKSWorkerNodeMinimalPolicy", "AmazonEC2ContainerRegistryPullOnly"];

/** The ARN of a policy of AWS's own. */
export function managedPolicy(partition: string, name: string): string {
  return `arn:${partition}:iam::aws:policy/${name}`;
}

/** Who may do everything in a cluster. */
export function adminPolicy(partition: string): string {
  return `arn:${partition}:eks::aws:cluster-access-policy/AmazonEKSClusterAdminPolicy`;
}

/** Who may take a role: a service, which may put tags on its session where it needs to. */
export function trust(service: string, tags: boolean): string {
  const actions = ["sts:AssumeRole", ...(tags ? ["sts:TagSession"] : [])];
  return JSON.stringify({
    Version: "2012-10-17",
    Statement: [{ Effect: "Allow", Principal: { Service: service }, Action: actions }],
  });
}

/** What the cluster's role does with a key of the customer's, for the cluster's secrets. */
export function secretsKey(key: string): PolicyStatement[] {
  return [
    {
      sid: "SecretsKey",
      actions: ["kms:Encrypt", "kms:Decrypt", "kms:DescribeKey", "kms:ListGrants"],
      resources: [key],
    },
  ];
}

/** What pods do that read models. As a host, they may not list them. */
export function readModels(
  partition: string,
  { bucket, prefix }: { readonly bucket: string; readonly prefix?: string | undefined },
): PolicyStatement[] {
  const below = prefix === undefined ? "" : `${prefix}/`;
  return [
    {
      sid: "ReadModels",
      actions: ["s3:GetObject", "s3:GetObjectVersion"],
      resources: [`arn:${partition}:s3:::${bucket}/${below}*`],
    },
  ];
}
