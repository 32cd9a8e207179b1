import * as pulumi from "@pulumi/pulumi";

import { ComponentInputs, hostServices, type HostServicesArgs, hostServicesInputs } from "../settings";
import { agentCommand, agentRemoval, textOf } from "./agentCommand";
import { hostCommand, resolveLocation } from "./hostCommand";

/**
 * What runs on a host beside the server, by systemd; the user may become root there. After each start of the machine
 * the models are brought back to an NVMe instance store, if there is one, and the server runs again.
 */
export class HostServices extends pulumi.ComponentResource {
  /** `directory`, known when the services run: what is put on the host then is on the right disk. */
  public readonly directory: pulumi.Output<string>;

  public constructor(name: string, args: HostServicesArgs, opts?: pulumi.ComponentResourceOptions) {
    const inputs = new ComponentInputs("HostServices", name, hostServicesInputs, args);
    super("xsched-triton:index:HostServices", name, {}, opts);
    const location = resolveLocation(inputs, inputs.known);
    const services = inputs
      .resolvePart(hostServices)
      .apply(({ spot, metrics, idleStop, drainAtShutdown }) => [
        "boot",
        ...(spot ? ["spot"] : []),
        ...(metrics ? ["metrics"] : []),
        ...(idleStop === undefined ? [] : [`idle=${idleStop}`]),
        ...(drainAtShutdown ? ["shutdown"] : []),
      ]);
    const command = pulumi
      .all([pulumi.all(agentCommand(location, "install-services")), services])
      .apply(([words, names]) => [...words, ...names]);
    const installed = hostCommand(
      `${name}-services`,
      { ...location, part: "services", run: command, remove: agentRemoval(location, "remove-services") },
      { parent: this },
    );
    if (inputs.known.gateway) {
      hostCommand(
        `${name}-haproxy`,
        {
          ...location,
          part: "gateway",
          run: ["bash", "-c", textOf("install-haproxy.sh"), "install-haproxy.sh"],
        },
        { parent: this },
      );
    }
    this.directory = pulumi.all([location.directory, installed.id]).apply(([known]) => known);
    this.registerOutputs({ directory: this.directory });
  }
}
