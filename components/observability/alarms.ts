import { NAMESPACE } from "./agentConfig";
import { type Condition, gpuMemory, notReady } from "./conditions";

export interface AlarmOptions {
  /** Of AWS: `aws`, `aws-cn` and others. */
  readonly partition: string;
  readonly region: string;
  readonly instanceId: string;
  /** ARN of the topic that alarms go to. */
  readonly topic: string;
  readonly diskPercent: number;
  readonly gpuMemoryPercent: number;
  readonly notReadyMinutes: number;
  /** Whether the instance is stopped on purpose at times. */
  readonly stops?: boolean;
}

/** An alarm, in the terms of the provider. */
export interface Alarm {
  readonly alarmDescription: string;
  readonly comparisonOperator: "GreaterThanOrEqualToThreshold" | "LessThanThreshold";
  readonly threshold: number;
  readonly evaluationPeriods: number;
  readonly datapointsToAlarm: number;
  readonly treatMissingData: "missing" | "ignore" | "notBreaching" | "breaching";
  readonly alarmActions: string[];
  readonly okActions: string[];
  readonly namespace?: string;
  readonly metricName?: string;
  readonly dimensions?: Record<string, string>;
  readonly statistic?: "Maximum" | "Minimum" | "Sum";
  /** Seconds. */
  readonly period?: number;
  readonly metricQueries?: MetricQuery[];
}

interface MetricQuery {
  readonly id: string;
  readonly returnData: boolean;
  readonly expression?: string;
  readonly label?: string;
  readonly metric?: {
    readonly namespace: string;
    readonly metricName: string;
    readonly dimensions: Record<string, string>;
    readonly stat: "Maximum";
    readonly period: number;
  };
}

/** Names of the alarms. */
export const ALARMS = ["hardware", "system", "disk", "gpu-memory", "not-ready"] as const;

export type AlarmName = (typeof ALARMS)[number];

/**
 * The alarms of a host. The one on the operating system also acts: it reboots the instance.
 */
export function alarms(options: AlarmOptions): Record<AlarmName, Alarm> {
  const {
    partition,
    region,
    instanceId,
    topic,

    diskPercent,
    gpuMemoryPercent,
    notReadyMinutes,
    stops = false,
  } = options;
  const dimensions = { InstanceId: instanceId };
  const told = { alarmActions: [topic], okActions: [topic] };
  // A stopped instance reports nothing, which is no fault. Where that happens every day, an alarm keeps its state meanwhile:
  // from INSUFFICIENT_DATA, each start would lead to OK again, of which everybody is told.
  const treatMissingData = stops ? "ignore" : "missing";
  const statusCheck = (metricName: string, periods: number): Omit<Alarm, "alarmDescription"> => ({
    namespace: "AWS/EC2",
    metricName,
    dimensions,
    statistic: "Maximum",
    period: 60,
    comparisonOperator: "GreaterThanOrEqualToThreshold",
    threshold: 1,
    evaluationPeriods: periods,
    datapointsToAlarm: periods,
    treatMissingData,
    ...told,
  });
  return {
    hardware: {
      ...statusCheck("StatusCheckFailed_System", 2),
      alarmDescription:
        "AWS's hardware or network under the instance fails; the instance is started on other hardware",
    },
    system: {
      // Longer than for the hardware, so that a restart on other hardware comes first.
      ...statusCheck("StatusCheckFailed_Instance", 5),
      alarmDescription: "The operating system does not answer; the instance is rebooted",
      alarmActions: [topic, `arn:${partition}:automate:${region}:ec2:reboot`],
    },
    disk: {
      alarmDescription: `A disk is ${diskPercent} % full: delete what is not needed, or enlarge host.volume`,
      namespace: NAMESPACE,
      metricName: "disk_used_percent",
      dimensions,
      statistic: "Maximum",
      period: 300,
      comparisonOperator: "GreaterThanOrEqualToThreshold",
      threshold: diskPercent,
      evaluationPeriods: 2,
      datapointsToAlarm: 2,
      treatMissingData,
      ...told,
    },
    "gpu-memory": {
      ...meaning(gpuMemory({ gpuMemoryPercent })),
      treatMissingData,
      metricQueries: [
        {
          id: "percent",
          expression: "100 * used / total",
          label: "GPU memory used, %",
          returnData: true,
        },
        ...(["used", "total"] as const).map((id) => ({
          id,
          returnData: false,
          metric: {
            namespace: NAMESPACE,
            metricName: `nvidia_smi_memory_${id}`,
            dimensions,
            stat: "Maximum" as const,
            period: 60,
          },
        })),
      ],
      ...told,
    },
    "not-ready": {
      ...meaning(
        notReady({ notReadyMinutes }, "Triton or one of its models is not ready, or the host is silent"),
      ),
      namespace: NAMESPACE,
      metricName: "xsched_triton_ready",
      dimensions,
      statistic: "Minimum",
      period: 60,
      treatMissingData: "breaching",
      // Where an instance is stopped on purpose, another alarm decides whether that is to be told.
      ...(stops ? { alarmActions: [], okActions: [] } : told),
    },
  };
}

/** A condition in the provider's terms, of a metric with a value for each minute. */
function meaning({
  text,
  threshold,
  counts,
  minutes,
}: Condition): Pick<
  Alarm,
  "alarmDescription" | "comparisonOperator" | "threshold" | "evaluationPeriods" | "datapointsToAlarm"
> {
  return {
    alarmDescription: text,
    comparisonOperator: counts === "below" ? "LessThanThreshold" : "GreaterThanOrEqualToThreshold",
    threshold,
    evaluationPeriods: minutes,
    datapointsToAlarm: minutes,
  };
}

/*
 * An instance that is stopped on purpose is as silent as one that has failed. What tells them apart is AWS's own check of the
 * instance, whose metric there is for as long as the instance runs, whatever runs on it. So `not-ready` goes off in both cases
 * and tells nobody; a composite alarm on top of it tells people, unless `stopped` suppresses it.
 *
 * Why not otherwise:
 * - To treat missing data as good would also keep quiet when the host, its network or CloudWatch's agent fails.
 * - To disable the alarm's actions before a stop takes a right on CloudWatch, on the instance and for the schedule, and who
 *   fails to enable them again is never told anything.
 */

/** Seconds until the metric of an instance that has stopped counts as missing: CloudWatch looks a few minutes back. */
const STOP_SECONDS = 300;

/** Seconds that an instance has after its start until its models are to be ready. */
const BOOT_SECONDS = 900;

/** Goes off while the instance does not run, and tells nobody. */
export function stoppedAlarm({ instanceId }: Pick<AlarmOptions, "instanceId">): Alarm {
  return {
    alarmDescription:
      "The instance does not run. Not a fault: it suppresses the alarm on a server that is not ready",
    namespace: "AWS/EC2",
    metricName: "StatusCheckFailed_Instance",
    dimensions: { InstanceId: instanceId },
    statistic: "Maximum",
    period: 60,
    // 0 or 1 while there is an instance to check, so that only missing data are.
    comparisonOperator: "LessThanThreshold",
    threshold: 0,
    evaluationPeriods: 1,
    datapointsToAlarm: 1,
    treatMissingData: "breaching",
    alarmActions: [],
    okActions: [],
  };
}

/** A composite alarm, in the terms of the provider. */
export interface CompositeAlarm {
  readonly alarmDescription: string;
  readonly alarmRule: string;
  readonly actionsSuppressor: {
    readonly alarm: string;
    readonly waitPeriod: number;
    readonly extensionPeriod: number;
  };
  readonly alarmActions: string[];
  readonly okActions: string[];
}

/** What the metrics of a load balancer are called by. */
export interface WatchedLoadBalancer {
  readonly loadBalancer: string;
  readonly targetGroup: string;
}

/**
 * Goes off when the load balancer finds the gateway not ready, or does not reach it. A stopped instance is not counted, but one
 * that is about to stop may be; where that happens on purpose, `not-serving` decides whether it is to be told.
 * https://docs.aws.amazon.com/elasticloadbalancing/latest/network/load-balancer-cloudwatch-metrics.html
 */
export function unhealthyAlarm(
  { topic, notReadyMinutes, stops = false }: Pick<AlarmOptions, "topic" | "notReadyMinutes" | "stops">,
  { loadBalancer, targetGroup }: WatchedLoadBalancer,
): Alarm {
  return {
    alarmDescription: `For ${notReadyMinutes} min, the load balancer has found that the gateway is not ready, or has not reached it: npm run status shows whether it runs`,
    namespace: "AWS/NetworkELB",
    metricName: "UnHealthyHostCount",
    dimensions: { LoadBalancer: loadBalancer, TargetGroup: targetGroup },
    statistic: "Maximum",
    period: 60,
    comparisonOperator: "GreaterThanOrEqualToThreshold",
    threshold: 1,
    evaluationPeriods: notReadyMinutes,
    datapointsToAlarm: notReadyMinutes,
    // There is a value only where there is a target that could be reached.
    treatMissingData: "notBreaching",
    ...(stops ? { alarmActions: [], okActions: [] } : { alarmActions: [topic], okActions: [topic] }),
  };
}

/**
 * What tells people that a server is not ready whose instance runs.
 *
 * @param stopped ARN of the alarm that the instance does not run
 * @param notReady ARNs of the alarm `not-ready`, and of the one of a load balancer if there is one
 */
export function notServingAlarm(
  { topic, notReadyMinutes }: Pick<AlarmOptions, "topic" | "notReadyMinutes">,
  stopped: string,
  ...notReady: readonly string[]
): CompositeAlarm {
  const found = notReady.length > 1 ? ", or the load balancer finds the gateway unhealthy," : "";
  return {
    alarmDescription: `Triton or one of its models is not ready, or the host is silent${found || ","} for ${notReadyMinutes} min, although the instance runs`,
    alarmRule: notReady.map((arn) => `ALARM("${arn}")`).join(" OR "),
    // https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/Create_Composite_Alarm.html#Create_Composite_Alarm_Suppression
    actionsSuppressor: { alarm: stopped, waitPeriod: STOP_SECONDS, extensionPeriod: BOOT_SECONDS },
    alarmActions: [topic],
    okActions: [topic],
  };
}

/**
 * Goes off when AWS has given up a start or a stop, for example because it had no capacity.
 * https://docs.aws.amazon.com/scheduler/latest/UserGuide/monitoring-cloudwatch.html
 *
 * @param group name of the group of the instance's schedules
 */
export function scheduleAlarm({ topic }: Pick<AlarmOptions, "topic">, group: string): Alarm {
  return {
    alarmDescription:
      "AWS could not start or stop the instance when the schedule says so; see npm run status",
    namespace: "AWS/Scheduler",
    metricName: "InvocationDroppedCount",
    dimensions: { ScheduleGroup: group },
    statistic: "Sum",
    period: 300,
    comparisonOperator: "GreaterThanOrEqualToThreshold",
    threshold: 1,
    evaluationPeriods: 1,
    datapointsToAlarm: 1,
    // There is a value only where something was dropped.
    treatMissingData: "notBreaching",
    alarmActions: [topic],
    okActions: [],
  };
}
