import * as pulumi from "@pulumi/pulumi";

import { currentPartition, policyDocument, type PolicyStatement, sdk, startInstances, tagsOf } from "../aws";
import { agentCommand, agentRemoval, hostCommand, resolveLocation } from "../host";
import {
  type AwsMonitoringArgs,
  awsMonitoringInputs,
  ComponentInputs,
  watchedHost,
  watchedLoadBalancer,
} from "../settings";
import { agentConfig, NAMESPACE } from "./agentConfig";
import {
  type Alarm,
  ALARMS,
  alarms,
  type CompositeAlarm,
  notServingAlarm,
  scheduleAlarm,
  stoppedAlarm,
  unhealthyAlarm,
  type WatchedLoadBalancer,
} from "./alarms";
import { dashboardBody } from "./dashboard";
import { alarmPattern, type Restarted, restartStatements, restartTarget } from "./recovery";

/**
 * Watches a GPU host on AWS: metrics of the host, its GPUs, Triton and the scheduler, logs, alarms that tell people and
 * repair what can be repaired, and a dashboard.
 */
export class AwsMonitoring extends pulumi.ComponentResource {
  /** ARN of the topic that alarms go to. */
  public readonly topicArn: pulumi.Output<string>;
  /** Name of the log group of Triton and the system. */
  public readonly logGroup: pulumi.Output<string>;
  /** Name of the dashboard; empty without one. */
  public readonly dashboardName: pulumi.Output<string>;

  /** @param opts `deletedWith` applies only to what is on the host: AWS's own resources outlive the instance. */
  public constructor(name: string, args: AwsMonitoringArgs, opts: pulumi.ComponentResourceOptions = {}) {
    const { deletedWith, ...own } = opts;
    const inputs = new ComponentInputs("AwsMonitoring", name, awsMonitoringInputs, args);
    super("xsched-triton:index:AwsMonitoring", name, {}, own);
    const { notify, dashboard, spot, stops } = inputs.known;
    const wanted = inputs.resolvePart(watchedHost);
    const location = resolveLocation(inputs, inputs.known);
    const child = { parent: this };
    const tags = tagsOf(name, wanted.tags);

    const key = args.kmsKeyId === undefined ? undefined : (wanted.kmsKeyId as pulumi.Output<string>);

    const groups = ["logs", "metrics"].map(
      (kind) =>
        new sdk.cloudwatch.LogGroup(
          `${name}-${kind}`,
          { retentionInDays: wanted.logDays, kmsKeyId: key, tags },
          child,
        ),
    );
    const [logs, metrics] = groups as [(typeof groups)[0], (typeof groups)[0]];
    const right = new sdk.iam.RolePolicy(
      `${name}-agent`,
      {
        role: wanted.roleName,
        policy: pulumi.all(groups.map(({ arn }) => arn)).apply((arns) => agentPolicy(arns)),
      },
      child,
    );
    hostCommand(
      `${name}-agent`,
      {
        ...location,
        part: "cloudwatch",
        run: agentCommand(location, "configure-cloudwatch"),
        remove: agentRemoval(location, "remove-cloudwatch"),
        stdin: pulumi
          .all([wanted, location.directory, logs.name, metrics.name])
          .apply(([known, folder, logGroup, metricsGroup]) =>
            agentConfig({ ...known, directory: folder, logGroup, metricsGroup }),
          ),
      },
      { ...child, deletedWith, dependsOn: [right] },
    );

    const topic = new sdk.sns.Topic(`${name}-alarms`, { kmsMasterKeyId: key, tags }, child);
    // Known now, since each becomes a resource.
    for (const [index, endpoint] of notify.entries()) {
      new sdk.sns.TopicSubscription(
        `${name}-alarms-${index}`,
        { topic: topic.arn, endpoint, protocol: endpoint.startsWith("https:") ? "https" : "email" },
        child,
      );
    }
    const watched = pulumi
      .all([wanted, currentPartition(child)])
      .apply(([known, { partition }]) => ({ ...known, partition }));
    const options = pulumi.all([watched, topic.arn]).apply(([known, arn]) => ({ ...known, topic: arn }));
    const planned = options.apply(alarms);
    const made = ALARMS.map((alarm) =>
      this.alarm(
        `${name}-${alarm}`,
        planned.apply((all) => all[alarm]),
        tags,
      ),
    );
    const [hardware] = made as [(typeof made)[0]];
    // AWS itself starts a spot instance again.
    const permissionsBoundary =
      args.permissionsBoundary === undefined ? undefined : wanted.permissionsBoundary;
    if (!spot) this.restart(name, watched, hardware.arn, { permissionsBoundary, tags });
    const shown = made.map(({ arn }) => arn);
    const balancer = inputs.resolveOptional(watchedLoadBalancer, "loadBalancer");
    const unhealthy = balancer === undefined ? [] : [this.unhealthy(name, options, balancer, tags)];
    if (!stops) shown.push(...unhealthy);
    if (stops) {
      const [notReady] = shown.splice(ALARMS.indexOf("not-ready"), 1) as [pulumi.Output<string>];
      const stopped = this.alarm(`${name}-stopped`, options.apply(stoppedAlarm), tags);
      const rule = pulumi
        .all([options, stopped.arn, pulumi.all([notReady, ...unhealthy])])
        .apply(([known, stoppedArn, arns]) => notServingAlarm(known, stoppedArn, ...arns));
      shown.push(this.compositeAlarm(`${name}-not-serving`, rule, tags).arn);
    }
    if (args.scheduleGroup !== undefined) {
      const group = wanted.scheduleGroup as pulumi.Output<string>;
      const dropped = pulumi
        .all([options, group])
        .apply(([known, groupName]) => scheduleAlarm(known, groupName));
      shown.push(this.alarm(`${name}-schedule`, dropped, tags).arn);
    }

    this.topicArn = topic.arn;
    this.logGroup = logs.name;
    this.dashboardName = dashboard
      ? new sdk.cloudwatch.Dashboard(
          `${name}-dashboard`,
          {
            // A stack's name may have points, a dashboard's may not:
            // https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/API_PutDashboard.html
            dashboardName: `${pulumi.getProject()}-${pulumi.getStack()}-${name}`.replace(/[^\w-]/g, "-"),
            dashboardBody: pulumi
              .all([wanted, pulumi.all(shown)])
              .apply(([known, arns]) => dashboardBody({ ...known, alarms: arns })),
          },
          // A renamed component keeps its dashboard.
          { ...child, ignoreChanges: ["dashboardName"] },
        ).dashboardName
      : pulumi.output("");
    this.registerOutputs({
      topicArn: this.topicArn,
      logGroup: this.logGroup,
      dashboardName: this.dashboardName,
    });
  }

  /** @returns its ARN */
  private unhealthy(
    name: string,
    options: pulumi.Output<Parameters<typeof unhealthyAlarm>[0]>,
    balancer: pulumi.Output<WatchedLoadBalancer>,
    tags: pulumi.Output<Record<string, string>>,
  ): pulumi.Output<string> {
    const planned = pulumi
      .all([options, balancer])
      .apply(([known, watched]) => unhealthyAlarm(known, watched));
    return this.alarm(`${name}-unhealthy`, planned, tags).arn;
  }

  private alarm(
    name: string,
    planned: pulumi.Output<Alarm>,
    tags: pulumi.Output<Record<string, string>>,
  ): { arn: pulumi.Output<string> } {
    const of = <Key extends keyof Alarm>(key: Key): pulumi.Output<Alarm[Key]> =>
      planned.apply((alarm) => alarm[key]);
    return new sdk.cloudwatch.MetricAlarm(
      name,
      {
        alarmDescription: of("alarmDescription"),
        comparisonOperator: of("comparisonOperator"),
        threshold: of("threshold"),
        evaluationPeriods: of("evaluationPeriods"),
        datapointsToAlarm: of("datapointsToAlarm"),
        treatMissingData: of("treatMissingData"),
        alarmActions: of("alarmActions"),
        okActions: of("okActions"),
        namespace: of("namespace"),
        metricName: of("metricName"),
        dimensions: of("dimensions"),
        statistic: of("statistic"),
        period: of("period"),
        metricQueries: of("metricQueries"),
        tags,
      },
      { parent: this },
    );
  }

  private compositeAlarm(
    name: string,
    planned: pulumi.Output<CompositeAlarm>,
    tags: pulumi.Output<Record<string, string>>,
  ): { arn: pulumi.Output<string> } {
    const of = <Key extends keyof CompositeAlarm>(key: Key): pulumi.Output<CompositeAlarm[Key]> =>
      planned.apply((alarm) => alarm[key]);
    return new sdk.cloudwatch.CompositeAlarm(
      name,
      {
        // Begins with the component's name, as all that Pulumi names.
        alarmName: `${name}-${pulumi.getProject()}-${pulumi.getStack()}`,
        alarmDescription: of("alarmDescription"),
        alarmRule: of("alarmRule"),
        actionsSuppressor: of("actionsSuppressor"),
        alarmActions: of("alarmActions"),
        okActions: of("okActions"),
        tags,
      },
      // A renamed component keeps its alarm.
      { parent: this, ignoreChanges: ["alarmName"] },
    );
  }

  /** An instance that AWS cannot move because of its disks is stopped and started. */
  private restart(
    name: string,
    instance: pulumi.Output<Restarted & { readonly volumeKeyId?: string | undefined }>,
    alarm: pulumi.Output<string>,
    {
      permissionsBoundary,
      tags,
    }: {
      readonly permissionsBoundary: pulumi.Output<string | undefined> | undefined;
      readonly tags: pulumi.Output<Record<string, string>>;
    },
  ): void {
    const child = { parent: this };
    const role = new sdk.iam.Role(
      `${name}-restart-role`,
      {
        assumeRolePolicy: trust("events.amazonaws.com", "ssm.amazonaws.com"),
        permissionsBoundary,
        tags,
      },
      child,
    );
    new sdk.iam.RolePolicy(
      `${name}-restart-policy`,
      {
        role: role.name,
        policy: pulumi
          .all([instance, role.arn])
          .apply(([known, arn]) =>
            policyDocument([
              ...restartStatements(known, arn),
              ...(known.volumeKeyId ? startInstances(known.volumeKeyId) : []),
            ]),
          ),
      },
      child,
    );
    const rule = new sdk.cloudwatch.EventRule(
      `${name}-restart`,
      {
        description: "Restarts an instance on other hardware when AWS's check of the hardware fails",
        eventPattern: alarm.apply(alarmPattern),
        tags,
      },
      child,
    );
    new sdk.cloudwatch.EventTarget(
      `${name}-restart`,
      {
        rule: rule.name,
        arn: instance.apply(restartTarget),
        roleArn: role.arn,
        input: pulumi
          .all([instance, role.arn])
          .apply(([{ instanceId }, arn]) =>
            JSON.stringify({ InstanceId: [instanceId], AutomationAssumeRole: [arn] }),
          ),
      },
      child,
    );
  }
}

/** What the agent may do: send metrics of its namespace, and write into these groups. */
export function agentPolicy(groups: readonly string[]): string {
  const statements: PolicyStatement[] = [
    {
      sid: "SendMetrics",
      actions: ["cloudwatch:PutMetricData"],
      // Has no resource-level permissions.
      resources: ["*"],
      conditions: { StringEquals: { "cloudwatch:namespace": [NAMESPACE] } },
    },
    {
      sid: "WriteLogs",
      actions: ["logs:CreateLogStream", "logs:DescribeLogStreams", "logs:PutLogEvents"],
      resources: groups.flatMap((arn) => [arn, `${arn}:log-stream:*`]),
    },
  ];
  return policyDocument(statements);
}

function trust(...services: string[]): string {
  return JSON.stringify({
    Version: "2012-10-17",
    Statement: [{ Effect: "Allow", Principal: { Service: services }, Action: "sts:AssumeRole" }],
  });
}
