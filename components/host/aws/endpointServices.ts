/** The part of AWS that a network is in, as `aws.getPartition` tells. */
export interface EndpointPartition {
  /** `aws`, `aws-cn`, `aws-us-gov` and others. */
  readonly partition: string;
  /** `com.amazonaws`, in China `cn.com.amazonaws`. */
  readonly reverseDnsPrefix: string;
}

/** What Session Manager needs. Its agent gets along without `ec2messages`, which the instance's role does not allow either. */
export const SESSION_SERVICES: readonly string[] = ["ssm", "ssmmessages"];

/** What a pull from ECR needs, beside S3, where the layers are. */
export const REGISTRY_SERVICES: readonly string[] = ["ecr.api", "ecr.dkr"];

/** What Amazon's CloudWatch agent sends to. */
const CLOUDWATCH_SERVICES: readonly string[] = ["logs", "monitoring"];

/** What a stack's instance asks of AWS, beside S3 and Session Manager. */
export function servicesOf(uses: { readonly container: boolean; readonly cloudwatch: boolean }): string[] {
  return [...(uses.container ? REGISTRY_SERVICES : []), ...(uses.cloudwatch ? CLOUDWATCH_SERVICES : [])];
}

/**
 * Services whose names begin as their partition's do; those of all others begin with `com.amazonaws` everywhere. AWS says
 * so only when asked for all services of a region; the AWS CDK keeps the answers:
 * https://github.com/aws/aws-cdk/blob/main/packages/aws-cdk-lib/aws-ec2/lib/vpc-endpoint.ts
 */
const PREFIXED: Readonly<Record<string, readonly string[] | "everywhere">> = {
  "ecr.api": "everywhere",
  "ecr.dkr": "everywhere",
  monitoring: ["aws-cn"],
};

/** The name of a service as an interface endpoint has it: `com.amazonaws.us-east-1.ssm`. */
export function endpointService(
  service: string,
  region: string,
  { partition, reverseDnsPrefix }: EndpointPartition,
): string {
  const where = PREFIXED[service] ?? [];
  const prefixed = where === "everywhere" || where.includes(partition);
  return `${prefixed ? reverseDnsPrefix : "com.amazonaws"}.${region}.${service}`;
}
