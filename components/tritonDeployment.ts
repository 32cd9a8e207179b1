import * as pulumi from "@pulumi/pulumi";

import { ArgumentCheck, deploymentNow } from "./arguments";
import { type SshConnectionArgs, TritonHost } from "./host";
import { type ModelArgs, ModelRepository } from "./models";
import { type Endpoints, type ServerOptionsArgs, TritonServer } from "./server";

export interface TritonDeploymentArgs extends ServerOptionsArgs {
  /**
   * Folder on the host for everything that the deployment leaves there; created, and removed with it. A relative path
   * starts at the program's folder on this machine, at the user's home over SSH.
   * @default ".xsched-triton"
   */
  directory?: pulumi.Input<string>;
  /** The machine that Triton runs on, when it is not this one. */
  ssh?: pulumi.Input<SshConnectionArgs>;
  /** The models, each with its priority; their names are unique. */
  models: ModelArgs[];
}

/**
 * Everything at once: a host, models on it, and a Triton Inference Server that serves them at their priorities.
 *
 * @example
 * ```ts
 * new TritonDeployment("inference", {
 *   models: [
 *     { name: "chat", source: "models/chat", priority: 200 },
 *     { name: "nightly", source: "models/nightly", priority: -100 },
 *   ],
 * });
 * ```
 */
export class TritonDeployment extends pulumi.ComponentResource {
  /** Where the server answers. */
  public readonly endpoints: pulumi.Output<Endpoints>;
  /** Absolute path of the host's folder. */
  public readonly directory: pulumi.Output<string>;

  public constructor(name: string, args: TritonDeploymentArgs, opts?: pulumi.ComponentResourceOptions) {
    // The parts check again, and what is known later; here all faults come together, before anything is registered.
    new ArgumentCheck("TritonDeployment", name).now(deploymentNow(args.ssh !== undefined), args);
    super("xsched-triton:index:TritonDeployment", name, {}, opts);
    const { directory, ssh, models, ...server } = args;
    const child = { parent: this };
    const host = new TritonHost(`${name}-host`, { directory, ssh }, child);
    const repository = new ModelRepository(
      `${name}-models`,
      { directory: host.directory, ssh, models },
      child,
    );
    const triton = new TritonServer(
      `${name}-server`,
      { ...server, directory: host.directory, ssh, models: [...repository.models] },
      child,
    );
    this.directory = host.directory;
    this.endpoints = triton.endpoints;
    this.registerOutputs({ directory: this.directory, endpoints: this.endpoints });
  }
}
