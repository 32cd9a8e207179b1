import type * as pulumi from "@pulumi/pulumi";

import { sdk } from "./sdk";

/** The part of AWS that a region belongs to: https://docs.aws.amazon.com/IAM/latest/UserGuide/reference-arns.html */
interface Partition {
  /** What ARNs begin with: `aws`, `aws-cn`, `aws-us-gov` and others. */
  readonly partition: string;
  /** What the names of its servers, and of EC2 as a principal, end with: `amazonaws.com`, `amazonaws.com.cn` and others. */
  readonly dnsSuffix: string;
  /** The same the other way round, which the names of some endpoints begin with: `com.amazonaws`, `cn.com.amazonaws` and others. */
  readonly reverseDnsPrefix: string;
}

/**
 * The partition of the provider's region.
 *
 * @param opts the resource it is for, whose provider decides
 */
export function currentPartition(opts: pulumi.InvokeOptions): pulumi.Output<Partition> {
  return sdk.partition.getPartitionOutput({}, opts);
}
