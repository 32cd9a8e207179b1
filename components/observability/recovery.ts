import { familyOf } from "../settings";

/**
 * Families with GPUs whose instances AWS moves to other hardware automatically; all others have local disks, which
 * cannot be moved.
 * https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/cloudwatch-recovery.html
 * https://docs.aws.amazon.com/ec2/latest/instancetypes/ac.html
 */
const WITHOUT_INSTANCE_STORE: readonly string[] = ["p3"];

/** Whether an alarm's action can recover an instance of this type. */
export function isRecoverable(instanceType: string, spot: boolean): boolean {
  return !spot && WITHOUT_INSTANCE_STORE.includes(familyOf(instanceType));
}

/** AWS's own runbook, which stops an instance and starts it again: mostly on other hardware. */
export function restartRunbook(region: string): string {
  return `arn:aws:ssm:${region}::automation-definition/AWS-RestartEC2Instance`;
}

/** What the runbook may do: restart this one instance. */
export function restartStatements(
  region: string,
  instanceId: string,
  role: string,
): { sid: string; actions: string[]; resources: string[] }[] {
  return [
    { sid: "Restart", actions: ["ssm:StartAutomationExecution"], resources: [`${restartRunbook(region)}:*`] },
    {
      sid: "ThisInstance",
      actions: ["ec2:StopInstances", "ec2:StartInstances"],
      resources: [`arn:aws:ec2:${region}:*:instance/${instanceId}`],
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
