// Generated from the rules in components/settings by `npm run generate`; do not edit.
import type * as pulumi from "@pulumi/pulumi";

import type { SshConnectionArgs } from "./hostArgs";

/** What the metrics of a load balancer are called by: `metrics` of an `AwsLoadBalancer`. */
export interface WatchedLoadBalancerArgs {
  /**
   * Dimension `LoadBalancer`: `net/…`.
   * @example "the one of AwsLoadBalancer"
   */
  loadBalancer: pulumi.Input<string>;
  /**
   * Dimension `TargetGroup`: `targetgroup/…`.
   * @example "the one of AwsLoadBalancer"
   */
  targetGroup: pulumi.Input<string>;
}

/** What CloudWatch watches. */
export interface AwsMonitoringArgs {
  /**
   * Id of the instance: `instanceId` of an `AwsGpuHost`.
   * @example "the one of AwsGpuHost"
   */
  instanceId: pulumi.Input<string>;
  /**
   * Region of the instance.
   * @example "the one of AwsGpuHost"
   */
  region: pulumi.Input<string>;
  /**
   * Name of the instance's role, which is granted the right to send metrics and logs: `roleName` of an
   * `AwsGpuHost`.
   * @example "the one of AwsGpuHost"
   */
  roleName: pulumi.Input<string>;
  /**
   * Whether it is a spot instance, which AWS starts again itself.
   * @default false
   */
  spot?: boolean;
  /**
   * Whether the instance is stopped on purpose at times. Then nobody is told of a server that is not
   * ready while its instance is stopped; of any other, people are told 5 minutes later. Cost: two more
   * alarms.
   * @default false
   */
  stops?: boolean;
  /**
   * Name of the group of schedules that start and stop the instance, for an alarm when they cannot:
   * `scheduleGroup` of an `AwsGpuHost`. Cost: one more alarm.
   * @default there is no such alarm
   * @example "the one of AwsGpuHost"
   */
  scheduleGroup?: pulumi.Input<string>;
  /**
   * Whether Triton runs in a container.
   * @default true
   */
  container?: pulumi.Input<boolean>;
  /**
   * Whether clients come through a `Gateway` on the host, whose log is sent, too. Cost: CloudWatch
   * charges for each GB of it, unless the gateway's `accessLog` is false.
   * @default false
   */
  gateway?: pulumi.Input<boolean>;
  /**
   * Where Triton's metrics are on the host: `address:port`.
   * @default "127.0.0.1:8002"
   * @example "the one of AwsGpuHost"
   */
  tritonMetrics?: pulumi.Input<string>;
  /**
   * Names of the models, for the dashboard.
   * @example ["my-model"]
   */
  models: pulumi.Input<pulumi.Input<string>[]>;
  /**
   * Those that have a floor: the dashboard shows what they get of it. Cost: two more metrics for each
   * model of the host.
   * @default []
   * @example ["my-model"]
   */
  floors?: pulumi.Input<pulumi.Input<string>[]>;
  /**
   * Those that have a weight: the dashboard shows their shares of the GPU. Cost: two more metrics for
   * each model of the host, if none has a floor.
   * @default []
   * @example ["my-model"]
   */
  weights?: pulumi.Input<pulumi.Input<string>[]>;
  /**
   * Alarm when a disk of the host is this full. An integer from 1 to 99 (percent).
   * @default 85
   */
  diskPercent?: pulumi.Input<number>;
  /**
   * Alarm when this much of a GPU's memory is in use. Reloading a model takes its memory twice for a
   * moment. An integer from 1 to 100 (percent).
   * @default 95
   */
  gpuMemoryPercent?: pulumi.Input<number>;
  /**
   * Alarm when Triton or one of its models has not been ready, or the host has not been heard of, for
   * this long. An integer from 1 to 60 (minutes).
   * @default 3
   */
  notReadyMinutes?: pulumi.Input<number>;
  /**
   * How long logs are kept. One of the days that CloudWatch knows: 1, 3, 5, 7, 14, 30, 60, 90, 120,
   * 150, 180, 365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922, 3288, 3653 (days). Cost: CloudWatch
   * charges for storage.
   * @default 30
   */
  logDays?: pulumi.Input<number>;
  /**
   * Key of your own that logs and messages are encrypted with. Its key policy must let CloudWatch use
   * it (docs/how-to/aws.md).
   * @default AWS's own keys
   * @example "arn:aws:kms:us-east-1:111122223333:key/01234567-89ab-cdef-0123-456789abcdef"
   */
  kmsKeyId?: pulumi.Input<string>;
  /**
   * ARN of the key that the instance's volume is encrypted with: `volumeKeyId` of an `AwsGpuHost`. A
   * restart on other hardware uses it.
   * @default one of AWS's
   * @example "the one of AwsGpuHost"
   */
  volumeKeyId?: pulumi.Input<string>;
  /**
   * Policy that limits what the role for restarts can be allowed (docs/reference/permissions.md).
   * @default none
   * @example "arn:aws:iam::111122223333:policy/xsched-triton-boundary"
   */
  permissionsBoundary?: pulumi.Input<string>;
  /**
   * Tags for everything that is created on AWS.
   * @default {}
   * @example { team: "inference" }
   */
  tags?: pulumi.Input<Record<string, pulumi.Input<string>>>;
  /**
   * Absolute path of the host's folder: `directory` of a `HostServices` with metrics.
   * @example "/srv/triton"
   */
  directory: pulumi.Input<string>;
  /** The host. */
  ssh: pulumi.Input<SshConnectionArgs>;
  /**
   * The load balancer before the gateway, for an alarm when it finds the gateway unhealthy. Cost: one
   * more alarm.
   * @default there is no such alarm
   */
  loadBalancer?: pulumi.Input<WatchedLoadBalancerArgs>;
  /**
   * Whether `ssh` has a `proxyCommand`. Where that can change, as on an `AwsGpuHost`, it says so
   * either way, and what is on the host is kept.
   * @default it has none, and never will
   */
  proxied?: boolean;
  /**
   * Email addresses and https URLs that are notified of alarms. Each first gets a message from Amazon
   * SNS and must confirm it.
   * @example ["ops@example.com"]
   */
  notify: string[];
  /**
   * Whether to create a dashboard. Cost: CloudWatch charges for each dashboard.
   * @default true
   */
  dashboard?: boolean;
}
