/*
 * Restarts an instance on other hardware. AWS recovers only instances without local disks by itself, and all that have a
 * GPU and an x86-64 processor have some:
 * https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/cloudwatch-recovery.html
 */

/** AWS's own runbook, which stops an instance and starts it again: mostly on other hardware. */
const RUNBOOK = "AWS-RestartEC2Instance";

/** The instance to restart. */
export interface Restarted {
  /** Of AWS: `aws`, `aws-cn` and others. */
  readonly partition: string;
  readonly region: string;
  readonly instanceId: string;
}

/** The target of an event that starts the runbook. */
export function restartTarget({ partition, region }: Restarted): string {
  return `arn:${partition}:ssm:${region}::automation-definition/${RUNBOOK}:$DEFAULT`;
}

/**
 * What the runbook's role may do: start the runbook, and restart this one instance. IAM asks for three resources to start
 * an automation: its definition, the document that it is, and the execution.
 * https://docs.aws.amazon.com/service-authorization/latest/reference/list_awssystemsmanager.html
 */
export function restartStatements(
  { partition, region, instanceId }: Restarted,
  role: string,
): { sid: string; actions: string[]; resources: string[] }[] {
  const ssm = (account: string, resource: string): string =>
    `arn:${partition}:ssm:${region}:${account}:${resource}`;
  return [
    {
      sid: "Restart",
      actions: ["ssm:StartAutomationExecution"],
      resources: [
        ssm("", `automation-definition/${RUNBOOK}:*`),
        ssm("", `document/${RUNBOOK}`),
        // Its name is chosen when it starts.
        ssm("*", "automation-execution/*"),
      ],
    },
    {
      sid: "ThisInstance",
      actions: ["ec2:StopInstances", "ec2:StartInstances"],
      resources: [`arn:${partition}:ec2:${region}:*:instance/${instanceId}`],
    },
    // Has no resource-level permissions.
    { sid: "Look", actions: ["ec2:DescribeInstances", "ec2:DescribeInstanceStatus"], resources: ["*"] },
    { sid: "AsItself", actions: ["iam:PassRole"], resources: [role] },
  ];
}

/** The event of an alarm that has gone off. */
export function alarmPattern(alarm: string): string {
  return JSON.stringify({
    source: ["aws.cloudwatch"],
    "detail-type": ["CloudWatch Alarm State Change"],
    resources: [alarm],
    detail: { state: { value: ["ALARM"] } },
  });
}
