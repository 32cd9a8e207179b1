import { NAMESPACE } from "./agentConfig";

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
}

/** An alarm, in the terms of the provider. */
export interface Alarm {
  readonly alarmDescription: string;
  readonly comparisonOperator: "GreaterThanOrEqualToThreshold" | "LessThanThreshold";
  readonly threshold: number;
  readonly evaluationPeriods: number;
  readonly datapointsToAlarm: number;
  readonly treatMissingData: "missing" | "notBreaching" | "breaching";
  readonly alarmActions: string[];
  readonly okActions: string[];
  readonly namespace?: string;
  readonly metricName?: string;
  readonly dimensions?: Record<string, string>;
  readonly statistic?: "Maximum" | "Minimum";
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
  } = options;
  const dimensions = { InstanceId: instanceId };
  const told = { alarmActions: [topic], okActions: [topic] };
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
    // A stopped spot instance reports nothing, which is not a fault.
    treatMissingData: "missing",
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
      treatMissingData: "missing",
      ...told,
    },
    "gpu-memory": {
      alarmDescription: `${gpuMemoryPercent} % of a GPU's memory are taken: the next model or reload may not fit`,
      comparisonOperator: "GreaterThanOrEqualToThreshold",
      threshold: gpuMemoryPercent,
      evaluationPeriods: 5,
      datapointsToAlarm: 5,
      treatMissingData: "missing",
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
      alarmDescription: `Triton or one of its models is not ready, or the host is silent, for ${notReadyMinutes} min`,
      namespace: NAMESPACE,
      metricName: "xsched_triton_ready",
      dimensions,
      statistic: "Minimum",
      period: 60,
      comparisonOperator: "LessThanThreshold",
      threshold: 1,
      evaluationPeriods: notReadyMinutes,
      datapointsToAlarm: notReadyMinutes,
      treatMissingData: "breaching",
      ...told,
    },
  };
}
