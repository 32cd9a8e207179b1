/* https://docs.aws.amazon.com/ec2/latest/instancetypes/ec2-instance-quotas.html */

/** A quota in vCPUs, and the instance types that count for it. */
export interface VcpuQuota {
  readonly code: string;
  readonly spot: boolean;
  /** Matches the types, which may have no GPU. */
  readonly types: RegExp;
}

const QUOTAS: readonly VcpuQuota[] = [
  { code: "L-DB2E81BA", spot: false, types: /^(g|gr|vt)\d/ },
  { code: "L-3819A6DF", spot: true, types: /^(g|gr|vt)\d/ },
  { code: "L-417A185B", spot: false, types: /^p\d/ },
  { code: "L-7212CCBC", spot: true, types: /^p[234]/ },
];

/** The quota of an instance type; undefined for those of spot that differ by generation and are not in the table. */
export function quotaOf(instanceType: string, spot: boolean): VcpuQuota | undefined {
  return QUOTAS.find((quota) => quota.spot === spot && quota.types.test(instanceType));
}

/** Elastic addresses in a region: https://docs.aws.amazon.com/general/latest/gr/ec2-service.html */
export const ADDRESSES = "L-0263D0A3";

/** VPCs in a region: https://docs.aws.amazon.com/vpc/latest/userguide/amazon-vpc-limits.html */
export const VPCS = "L-F678F1CE";

/** Network load balancers in a region: https://docs.aws.amazon.com/elasticloadbalancing/latest/network/load-balancer-limits.html */
export const BALANCERS = "L-69A177A2";
