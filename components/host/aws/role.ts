import type { PolicyStatement } from "../../aws";

/**
 * Who may take the role of an instance: EC2, for that instance. In China, its name as a principal ends differently.
 * https://docs.amazonaws.cn/en_us/aws/latest/userguide/iam.html
 */
export function instanceTrust({ dnsSuffix }: { readonly dnsSuffix: string }): string {
  return JSON.stringify({
    Version: "2012-10-17",
    Statement: [{ Effect: "Allow", Principal: { Service: `ec2.${dnsSuffix}` }, Action: "sts:AssumeRole" }],
  });
}

/**
 * What every instance may do. Session Manager needs these actions and no more:
 * https://docs.aws.amazon.com/systems-manager/latest/userguide/getting-started-create-iam-instance-profile.html
 * AWS's own policy for it also lets an instance read every parameter of the account.
 *
 * @param hostKeyParameter ARN of the parameter with the SSH host key
 * @param repository ARN of the one repository on ECR to pull from
 */
export function instanceStatements(
  hostKeyParameter: string,
  repository: string | undefined,
): PolicyStatement[] {
  return [
    { sid: "HostKey", actions: ["ssm:GetParameter"], resources: [hostKeyParameter] },
    {
      sid: "SessionManager",
      actions: [
        "ssm:UpdateInstanceInformation",
        "ssmmessages:CreateControlChannel",
        "ssmmessages:CreateDataChannel",
        "ssmmessages:OpenControlChannel",
        "ssmmessages:OpenDataChannel",
      ],
      resources: ["*"],
    },
    ...(repository === undefined
      ? []
      : [
          // Knows no resource: a token is for all that the role may do.
          { sid: "LogInToRegistry", actions: ["ecr:GetAuthorizationToken"], resources: ["*"] },
          {
            sid: "PullImage",
            actions: ["ecr:BatchCheckLayerAvailability", "ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer"],
            resources: [repository],
          },
        ]),
  ];
}
