import * as pulumi from "@pulumi/pulumi";

import type { AwsGpuHost, SshConnectionArgs } from "../host";
import type { Settings } from "../settings";
import { AwsMonitoring } from "./awsMonitoring";

/** The monitoring of a stack's host on AWS, if the stack config wants it. */
export function stackMonitoring(
  name: string,
  { host, server, runtime, models, monitoring }: Settings,
  machine: {
    readonly aws: AwsGpuHost | undefined;
    readonly ssh: pulumi.Input<SshConnectionArgs> | undefined;
  },
  directory: pulumi.Input<string>,
  opts?: pulumi.ComponentResourceOptions,
): AwsMonitoring | undefined {
  const { aws, ssh } = machine;
  if (monitoring.kind === "none" || host.kind !== "aws" || aws === undefined || ssh === undefined) {
    return undefined;
  }
  return new AwsMonitoring(
    name,
    {
      notify: [...monitoring.notify],
      diskPercent: monitoring.diskPercent,
      gpuMemoryPercent: monitoring.gpuMemoryPercent,
      notReadyMinutes: monitoring.notReadyMinutes,
      logDays: monitoring.logDays,
      dashboard: monitoring.dashboard,
      instanceId: aws.instanceId,
      instanceType: host.instanceType,
      region: aws.region,
      roleName: aws.roleName,
      spot: host.spot,
      directory,
      ssh,
      container: runtime.kind === "container",
      tritonMetrics: `${reachableAddress(server.address)}:${server.metricsPort}`,
      models: models.map((model) => model.name),
      tags: host.tags,
    },
    opts,
  );
}

/** Where a program on the host finds what listens at an address. */
function reachableAddress(address: string): string {
  if (address === "0.0.0.0" || address === "::") return "127.0.0.1";
  return address.includes(":") ? `[${address}]` : address;
}
