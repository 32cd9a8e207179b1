import * as pulumi from "@pulumi/pulumi";

import type { Settings } from "../settings";
import type { SshConnectionArgs } from "./connection";
import { HostServices } from "./hostServices";

/**
 * The host's folder, ready to put models into. On AWS it is ready when the services of the host run.
 *
 * @param directory the folder, as its `TritonHost` gives it
 */
export function readyDirectory(
  name: string,
  { host, monitoring }: Pick<Settings, "host" | "monitoring">,
  directory: pulumi.Output<string>,
  ssh: pulumi.Input<SshConnectionArgs> | undefined,
  opts?: pulumi.ComponentResourceOptions,
): pulumi.Output<string> {
  if (host.kind !== "aws") return directory;
  const services = { directory, ssh, spot: host.spot, metrics: monitoring.kind !== "none" };
  return new HostServices(name, services, opts).directory;
}
