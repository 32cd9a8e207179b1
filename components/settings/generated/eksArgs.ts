// Generated from the rules in components/settings by `npm run generate`; do not edit.
import type * as pulumi from "@pulumi/pulumi";

/** Pods that may read models in a bucket, by EKS Pod Identity. */
export interface EksModelReaderArgs {
  /**
   * Bucket of the models, such as `bucket` of a `ModelBucket`.
   * @example "my-bucket"
   */
  bucket: pulumi.Input<string>;
  /**
   * What the names of the objects begin with, up to a slash.
   * @default all objects of the bucket
   * @example "models"
   */
  prefix?: pulumi.Input<string>;
  /**
   * Namespace of the pods, as of the `TritonFleet`.
   * @default "xsched-triton"
   * @example "inference"
   */
  namespace?: pulumi.Input<string>;
  /**
   * Service account of the pods: the name of the `TritonFleet`.
   * @example "inference"
   */
  serviceAccount: pulumi.Input<string>;
}

/** A cluster of Amazon EKS in Auto Mode. */
export interface EksClusterArgs {
  /**
   * Subnets of the cluster and its nodes, in at least two zones. Private ones need a way to the
   * internet, or endpoints, for images.
   * @example ["subnet-0123456789abcdef0", "subnet-0fedcba9876543210"]
   */
  subnetIds: pulumi.Input<pulumi.Input<string>[]>;
  /**
   * IP address ranges that reach the API server besides the VPC. The machine that deploys must be in
   * one of them, or in the VPC. With none, the API server has no public address.
   * @default []
   * @example ["203.0.113.7/32"]
   */
  adminCidrs?: string[];
  /**
   * Roles and users that may do everything in the cluster, besides whoever deploys it.
   * @default []
   * @example ["arn:aws:iam::111122223333:role/platform"]
   */
  admins?: string[];
  /**
   * Release of Kubernetes. Models in images take 1.35. AWS upgrades the cluster when its standard
   * support ends.
   * @default EKS's own default when the cluster is made
   * @example "1.35"
   */
  version?: pulumi.Input<string>;
  /**
   * Pods that may read models in a bucket, by EKS Pod Identity. A `TritonFleet` fetches nothing from
   * S3 yet, so it is for pods of your own.
   * @default nobody gets a role
   */
  models?: pulumi.Input<EksModelReaderArgs>;
  /**
   * Key of your own that the cluster's secrets are encrypted with. It can't be changed later. Cost:
   * that of the key.
   * @default a key of AWS's
   * @example "arn:aws:kms:us-east-1:111122223333:key/01234567-89ab-cdef-0123-456789abcdef"
   */
  kmsKeyId?: pulumi.Input<string>;
  /**
   * Policy that limits what the cluster's roles can be allowed.
   * @default none
   * @example "arn:aws:iam::111122223333:policy/xsched-triton-boundary"
   */
  permissionsBoundary?: pulumi.Input<string>;
  /**
   * Whether AWS and Pulumi refuse to delete the cluster.
   * @default false
   */
  protect?: boolean;
  /**
   * Tags for everything that is created on AWS.
   * @default {}
   * @example { team: "inference" }
   */
  tags?: pulumi.Input<Record<string, pulumi.Input<string>>>;
}

/** Nodes with GPUs, which EKS Auto Mode starts for pods that need them. */
export interface EksGpuNodesArgs {
  /**
   * Most GPUs of all these nodes together. An integer from 1 to 5000. Cost: a GPU instance each, by
   * the hour, and AWS's fee for Auto Mode, while pods need them.
   * @example 4
   */
  maxGpus: number;
  /**
   * Families of EC2 instances, of which EKS takes the cheapest that fits and is to be had. Every
   * release of Triton that is listed runs on a `g5`; a `g6` costs a fifth less, but Triton 22.06 does
   * not know its GPU. An `engine` fits one kind of GPU, and so one family.
   * @default ["g5"]
   * @example ["g6"]
   */
  instanceFamilies?: string[];
  /**
   * GPUs of a node, as instances of each family have: most have 1, 4 or 8, `p4d`, `p5e` and the like 8
   * alone. Each pod of a fleet has one of them. With more than one, EKS starts a node for each pod as
   * far as `maxGpus` goes, because a fleet's pods are spread over nodes where they can be. An integer
   * from 1 to 8.
   * @default 1
   */
  gpusPerNode?: number;
  /**
   * Whether to use spare capacity, which AWS can take back at two minutes' notice. While it has none,
   * no node comes: none is taken on demand instead. Cost: usually about half of the on-demand price.
   * @default false
   */
  spot?: boolean;
  /**
   * Whether to have the cluster enforce NetworkPolicies, which Auto Mode otherwise does not: any pod
   * would reach Triton. It is one setting of the whole cluster, so say false for all nodes but the
   * first. It stays when these nodes go: without it, EKS deletes no NetworkPolicy.
   * @default true
   */
  networkPolicies?: boolean;
  /**
   * How long a node stays on which no pod is left. An integer from 30 to 86400 (seconds). Cost: the
   * instance goes on that long.
   * @default 300
   */
  emptySeconds?: number;
}
