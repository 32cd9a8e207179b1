import type { PolicyStatement } from "./policyStatement";

/*
 * What a customer's own key of AWS KMS asks for beyond being named. AWS's own keys need none of it: their policies let
 * everyone in who may use the service.
 */

/**
 * A key works for S3 and Parameter Store in the names of those who ask them. The names of services end differently in some
 * partitions.
 * https://docs.aws.amazon.com/kms/latest/developerguide/conditions-kms.html#conditions-kms-via-service
 */
const via = (service: string, key: string): string => `${service}.${regionOf(key)}.amazonaws.com*`;

/** The region that an ARN names. */
export function regionOf(arn: string): string {
  return arn.split(":")[3] ?? "";
}

/** What an instance does with the key: read its host key and its models, and share engines that it has built. */
export function useThroughServices(key: string): PolicyStatement {
  return {
    sid: "CustomerKey",
    actions: ["kms:Decrypt", "kms:GenerateDataKey"],
    resources: [key],
    conditions: { StringLike: { "kms:ViaService": [via("ssm", key), via("s3", key)] } },
  };
}

/**
 * Whoever starts an instance hands the key of its volume on to EC2, with a grant. Without this, the instance goes from
 * `pending` back to `stopped`, and only its state's reason says why.
 * https://docs.aws.amazon.com/ebs/latest/userguide/ebs-encryption-requirements.html
 */
export function startInstances(key: string): PolicyStatement[] {
  const ec2 = [via("ec2", key)];
  return [
    {
      sid: "GrantVolumeKey",
      actions: ["kms:CreateGrant"],
      resources: [key],
      conditions: { StringLike: { "kms:ViaService": ec2 }, Bool: { "kms:GrantIsForAWSResource": ["true"] } },
    },
    {
      sid: "UseVolumeKey",
      actions: [
        "kms:Decrypt",
        "kms:DescribeKey",
        "kms:GenerateDataKeyWithoutPlaintext",
        "kms:ReEncryptFrom",
        "kms:ReEncryptTo",
      ],
      resources: [key],
      conditions: { StringLike: { "kms:ViaService": ec2 } },
    },
  ];
}

/**
 * What EC2's own role for spot needs, which starts a spot instance whenever there is capacity.
 * https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/service-linked-roles-spot-instance-requests.html
 */
export const SPOT_OPERATIONS = [
  "CreateGrant",
  "Decrypt",
  "DescribeKey",
  "Encrypt",
  "GenerateDataKey",
  "GenerateDataKeyWithoutPlaintext",
  "ReEncryptFrom",
  "ReEncryptTo",
] as const;

/**
 * The ARN of that role in the account of a resource.
 *
 * @param arn of any resource of the account
 */
export function spotRole(arn: string): string {
  const [, partition = "", , , account = ""] = arn.split(":");
  return `arn:${partition}:iam::${account}:role/aws-service-role/spot.amazonaws.com/AWSServiceRoleForEC2Spot`;
}
