import * as pulumi from "@pulumi/pulumi";

import {
  ComponentInputs,
  sshConnection,
  type SshConnectionArgs,
  type TritonHostArgs,
  tritonHostDirectory,
  tritonHostInputs,
} from "../settings";
import { agentBundle, directoryIn, installation, resultOf, textOf } from "./agentCommand";
import { hostCommand } from "./hostCommand";
import { inspectHost } from "./inspection";
import { onceReachable } from "./reachability";

/** Where a host is and what it holds; no secret in it. */
export interface HostLocation {
  /** Absolute path of the host's folder. */
  directory: string;
  /** The machine, when it is not this one. */
  ssh?: SshMachine;
}

/** A machine that is reached over SSH. */
export interface SshMachine {
  /** Host name or IP address. */
  address: string;
  /** TCP port of the SSH server. */
  port: number;
  /** User to log in as. */
  user: string;
  /** The host's public key, `ssh-ed25519 AAAA…`. */
  hostKey: string;
  /** Command that leads to the SSH server, as OpenSSH's ProxyCommand. */
  proxyCommand?: string;
}

/** What a host says of itself. */
interface HostFacts {
  readonly gpus: readonly string[];
  readonly docker: boolean;
}

/**
 * A machine that can run Triton: this one, or one that is reached over SSH. Holds the folder and the agent that everything
 * after it uses.
 */
export class TritonHost extends pulumi.ComponentResource {
  /** Absolute path of the host's folder. */
  public readonly directory: pulumi.Output<string>;
  /** Where the host is: all that `npm run status` needs beside the private key. */
  public readonly location: pulumi.Output<HostLocation>;
  /** What has to be put right on the host, for whatever else is there: tokens by part, as JSON. */
  public readonly repairs: pulumi.Output<string>;
  /** Name of each NVIDIA GPU that the driver on the host shows; empty without one. */
  public readonly gpus: pulumi.Output<string[]>;
  /** Whether the user can run Docker containers on the host. */
  public readonly docker: pulumi.Output<boolean>;

  public constructor(name: string, args: TritonHostArgs, opts?: pulumi.ComponentResourceOptions) {
    const remote = args.ssh !== undefined;
    const inputs = new ComponentInputs("TritonHost", name, tritonHostInputs(remote), args);
    super("xsched-triton:index:TritonHost", name, {}, opts);
    const checked = inputs.resolveOptional(sshConnection, "ssh");
    const { proxied } = inputs.known;
    const wanted = inputs.resolve(tritonHostDirectory(remote), inputs.known.directory, "directory");
    const ssh = checked && onceReachable(checked, wanted, this);

    // The folder is a separate resource because its path must stay known while the agent changes. For the same reason
    // its two scripts stay as they are, word for word: a preview knows no result of a command that has changed.
    const folder = hostCommand(
      `${name}-directory`,
      {
        ssh,
        proxied,
        directory: wanted,
        run: ["bash", "-c", textOf("create-directory.sh"), "create-directory.sh", wanted],
        remove: ["bash", "-c", textOf("remove-directory.sh"), "remove-directory.sh", wanted],
      },
      { parent: this },
    );

    const directory = pulumi.all([folder.stdout, wanted]).apply(([text, named]) => directoryIn(text, named));
    this.repairs = inspectHost({ directory, ssh }, this);
    const agent = hostCommand(
      `${name}-agent`,
      {
        ...{ ssh, proxied, directory, repairs: this.repairs, part: "agent" },
        // Whose folder it is. The id tells the stack from another one of the same name, whose state is elsewhere.
        run: installation(directory, pulumi.getProject(), pulumi.getStack(), folder.id),
        stdin: agentBundle(),
      },
      { parent: this, aliases: [{ name: `${name}-scripts` }] },
    );
    // Whoever uses the folder runs the agent in it, so it is known when that is there.
    this.directory = pulumi.all([directory, agent.id]).apply(([known]) => known);
    const facts = agent.stdout.apply((text) => resultOf(text) as HostFacts);
    this.gpus = facts.apply(({ gpus }) => [...gpus]);
    this.docker = facts.apply(({ docker }) => docker);
    this.location = pulumi.all([this.directory, withoutKey(ssh)]).apply(([known, machine]) => ({
      directory: known,
      ...(machine && { ssh: machine }),
    }));
    this.registerOutputs({
      location: this.location,
      directory: this.directory,
      repairs: this.repairs,
      gpus: this.gpus,
      docker: this.docker,
    });
  }
}

/** A connection's public part. */
function withoutKey(ssh: pulumi.Input<SshConnectionArgs> | undefined): pulumi.Output<SshMachine | undefined> {
  return pulumi.unsecret(
    pulumi.output(ssh).apply((known) => {
      if (known === undefined) return undefined;
      const { address, port = 22, user = "root", hostKey, proxyCommand } = known;
      return { address, port, user, hostKey, ...(proxyCommand !== undefined && { proxyCommand }) };
    }),
  );
}
