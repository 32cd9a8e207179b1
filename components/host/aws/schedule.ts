import * as pulumi from "@pulumi/pulumi";

import { currentPartition, policyDocument, type PolicyStatement, sdk, startInstances } from "../../aws";

/** When an instance starts and stops. */
export interface Schedule {
  /** `cron(…)` of AWS. */
  readonly start?: string | undefined;
  readonly stop?: string | undefined;
  /** By whose clock. */
  readonly timeZone: string;
}

/** What every role of a stack has. */
export interface RoleOptions {
  /** ARN of the policy that limits it. */
  readonly permissionsBoundary: pulumi.Output<string | undefined> | undefined;
  readonly tags: pulumi.Output<Record<string, string>>;
}

/** The instance that starts and stops. */
export interface Scheduled {
  readonly instanceId: pulumi.Output<string>;
  readonly arn: pulumi.Output<string>;
  /** ARN of the key that its volume is encrypted with; empty for one of AWS's. */
  readonly volumeKeyId: pulumi.Output<string>;
}

const EVENTS = ["start", "stop"] as const;

/** Operations of EC2, as EventBridge Scheduler spells them; IAM begins them with a capital letter. */
const OPERATIONS = { start: "startInstances", stop: "stopInstances" } as const;
const ACTIONS = { start: "ec2:StartInstances", stop: "ec2:StopInstances" } as const;

/**
 * For this long, AWS tries again what has failed, such as a start for which it has no capacity. Then it gives up and counts a
 * dropped invocation, which the monitoring's alarm tells.
 */
const RETRY_SECONDS = 3600;

/**
 * Who may take the role: EventBridge Scheduler, for the schedules of this group.
 * https://docs.aws.amazon.com/scheduler/latest/UserGuide/cross-service-confused-deputy-prevention.html
 */
export function scheduleTrust(group: string): string {
  const [, , , , account = ""] = group.split(":");
  return JSON.stringify({
    Version: "2012-10-17",
    Statement: [
      {
        Effect: "Allow",
        Principal: { Service: "scheduler.amazonaws.com" },
        Action: "sts:AssumeRole",
        Condition: { StringEquals: { "aws:SourceAccount": account, "aws:SourceArn": group } },
      },
    ],
  });
}

/** What the role may do: what is scheduled, to this one instance. */
export function scheduleStatements(
  schedule: Schedule,
  instance: string,
  volumeKeyId: string,
): PolicyStatement[] {
  const actions = EVENTS.filter((event) => schedule[event] !== undefined).map((event) => ACTIONS[event]);
  return [
    { sid: "ThisInstance", actions, resources: [instance] },
    ...(schedule.start !== undefined && volumeKeyId !== "" ? startInstances(volumeKeyId) : []),
  ];
}

/**
 * Starts and stops an instance by the clock. EventBridge Scheduler calls EC2 itself, without a function in between. The
 * operating system is told, as by a shutdown of its own, and the server is drained (`drainAtShutdown` of `HostServices`).
 * https://docs.aws.amazon.com/scheduler/latest/UserGuide/managing-targets-universal.html
 *
 * @returns name of the group of its schedules
 */
export function runningTimes(
  name: string,
  schedule: Schedule,
  { instanceId, arn, volumeKeyId }: Scheduled,
  { permissionsBoundary, tags }: RoleOptions,
  opts: pulumi.CustomResourceOptions,
): pulumi.Output<string> {
  const group = new sdk.scheduler.ScheduleGroup(`${name}-schedule`, { tags }, opts);
  const role = new sdk.iam.Role(
    `${name}-schedule-role`,
    { assumeRolePolicy: group.arn.apply(scheduleTrust), permissionsBoundary, tags },
    opts,
  );
  const policy = new sdk.iam.RolePolicy(
    `${name}-schedule-policy`,
    {
      role: role.name,
      policy: pulumi
        .all([arn, volumeKeyId])
        .apply(([instance, key]) => policyDocument(scheduleStatements(schedule, instance, key))),
    },
    opts,
  );
  const { partition } = currentPartition(opts);
  for (const event of EVENTS) {
    const scheduleExpression = schedule[event];
    if (scheduleExpression === undefined) continue;
    new sdk.scheduler.Schedule(
      `${name}-${event}`,
      {
        description: `${event === "start" ? "Starts" : "Stops"} the instance of the stack`,
        groupName: group.name,
        scheduleExpression,
        scheduleExpressionTimezone: schedule.timeZone,
        flexibleTimeWindow: { mode: "OFF" },
        target: {
          arn: pulumi.interpolate`arn:${partition}:scheduler:::aws-sdk:ec2:${OPERATIONS[event]}`,
          roleArn: role.arn,
          input: instanceId.apply((id) => JSON.stringify({ InstanceIds: [id] })),
          retryPolicy: { maximumEventAgeInSeconds: RETRY_SECONDS, maximumRetryAttempts: 185 },
        },
      },
      { ...opts, dependsOn: policy },
    );
  }
  return group.name;
}
