import * as pulumi from "@pulumi/pulumi";

import { ArgumentCheck, hostDirectory, servicesArgument, servicesNow, sshArgument } from "../arguments";
import type { SshConnectionArgs } from "./connection";
import { hostCommand, removalCommand, scriptCommand } from "./hostCommand";

export interface HostServicesArgs {
  /** Absolute path of the host's folder; `directory` of a `TritonHost`. */
  directory: pulumi.Input<string>;
  /** The host, when it is not this machine. */
  ssh?: pulumi.Input<SshConnectionArgs>;
  /** Whether the host is a spot instance, whose server is drained when AWS takes it back. @default false */
  spot?: pulumi.Input<boolean>;
  /**
   * Whether the host says, on port 9464 of its loopback interface, whether the server is ready and what the scheduler
   * counts. @default false
   */
  metrics?: pulumi.Input<boolean>;
}

/**
 * What runs on a host beside the server, by systemd; the user may become root there. After each start of the machine
 * the models are brought back to an NVMe instance store, if there is one, and the server runs again.
 */
export class HostServices extends pulumi.ComponentResource {
  /** `directory`, known when the services run: what is put on the host then lies on the right disk. */
  public readonly directory: pulumi.Output<string>;

  public constructor(name: string, args: HostServicesArgs, opts?: pulumi.ComponentResourceOptions) {
    const check = new ArgumentCheck("HostServices", name);
    check.now(servicesNow, args);
    super("xsched-triton:index:HostServices", name, {}, opts);
    const { directory, ssh, ...wanted } = args;
    const location = {
      directory: check.whenKnown(hostDirectory, directory, "directory"),
      ssh: ssh && check.whenKnown(sshArgument, ssh, "ssh"),
    };
    const services = check
      .whenKnown(servicesArgument, wanted)
      .apply(({ spot, metrics }) => ["boot", ...(spot ? ["spot"] : []), ...(metrics ? ["metrics"] : [])]);
    const command = pulumi
      .all([pulumi.all(scriptCommand(location, "install-services.sh")), services])
      .apply(([words, names]) => [...words, ...names]);
    const installed = hostCommand(
      `${name}-services`,
      { ...location, run: command, remove: removalCommand(location, "remove-services.sh") },
      { parent: this },
    );
    this.directory = pulumi.all([location.directory, installed.id]).apply(([known]) => known);
    this.registerOutputs({ directory: this.directory });
  }
}
