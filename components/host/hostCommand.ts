import * as command from "@pulumi/command";
import * as pulumi from "@pulumi/pulumi";

import {
  type ComponentInputs,
  hostDirectory,
  hostRepairs,
  sshConnection,
  type SshConnectionArgs,
} from "../settings";
import { machineCommand, type MachineCommand } from "./overSsh";
import { repairWords } from "./repairs";
import { shellQuote } from "./shellQuote";

/** Where a command runs: this machine when `ssh` is absent, otherwise the machine that it names. */
export interface HostLocationArgs {
  /** Absolute path of the folder on the host that holds everything a deployment puts there. */
  directory: pulumi.Input<string>;
  /** The machine, when it is not this one. */
  ssh?: pulumi.Input<SshConnectionArgs>;
  /** Whether `ssh` has a `proxyCommand`; undefined for a machine that never has one. */
  proxied?: boolean | undefined;
  /** What has to be put right there: `repairs` of a `TritonHost`. */
  repairs?: pulumi.Input<string>;
}

/** The location among the arguments of a component, checked. */
export function resolveLocation<T extends object, K extends object>(
  inputs: ComponentInputs<T, K>,
  location: HostLocationArgs,
): HostLocationArgs {
  const { directory, ssh, proxied, repairs } = location;
  return {
    directory: inputs.resolve(hostDirectory, directory, "directory"),
    ssh: ssh && inputs.resolve(sshConnection, ssh, "ssh"),
    proxied,
    repairs: repairs && inputs.resolve(hostRepairs, repairs, "repairs"),
  };
}

export interface HostCommandArgs extends HostLocationArgs {
  /**
   * Program and arguments. Runs when the resource is created and again whenever a word of it or `stdin` changes,
   * so it must be idempotent.
   */
  run: pulumi.Input<pulumi.Input<string>[]>;
  /** What of the host the command puts right, such as `server`: it also runs when that differs from what it made. */
  part?: string;
  /** Program and arguments that undo it. */
  remove?: pulumi.Input<pulumi.Input<string>[]>;
  /** Standard input of `run`. */
  stdin?: pulumi.Input<string>;
}

/**
 * Runs a command on a host, the same way on this machine and over SSH. Standard output is the result; standard
 * error is progress for the person who watches.
 *
 * Another folder or machine is another host: the command is then removed from the old one before it runs on the
 * new one. No other change replaces it.
 */
export function hostCommand(
  name: string,
  args: HostCommandArgs,
  opts: pulumi.CustomResourceOptions,
): MachineCommand {
  const inputs = {
    create: commandLine(
      pulumi
        .all([pulumi.output(args.run), repairWords(args.repairs, args.part)])
        .apply(([words, repairs]) => [...words, ...repairs]),
    ),
    delete: args.remove && commandLine(args.remove),
    stdin: args.stdin,
    triggers: hostIdentity(args),
  };
  const options = pulumi.mergeOptions(opts, { deleteBeforeReplace: true });
  if (args.ssh === undefined) {
    return new command.local.Command(
      name,
      {
        ...inputs,
        addPreviousOutputInEnv: false,
        interpreter: ["/bin/bash", "-c"],
        logging: command.local.Logging.Stderr,
      },
      options,
    );
  }
  return machineCommand(name, inputs, { ssh: args.ssh, proxied: args.proxied }, options);
}

/**
 * What makes a host another host. The rest of a connection, such as a new private key, is only another way to the
 * same one.
 */
export function hostIdentity({
  directory,
  ssh,
}: HostLocationArgs): pulumi.Input<pulumi.Input<string | number>[]> {
  if (ssh === undefined) return [directory];
  // No secret in it; and of a list, the command provider takes no secret that a preview does not know.
  const identity = pulumi.unsecret(
    pulumi.output(ssh).apply(({ address, port = 22, machine }) => ({ address, port, machine })),
  );
  return pulumi.all([directory, identity]).apply(([folder, { address, port, machine }]) =>
    // An address can come to stand for another machine, but then the machine has a name.
    machine === undefined ? [folder, address, port] : [folder, machine],
  );
}

function commandLine(words: pulumi.Input<pulumi.Input<string>[]>): pulumi.Output<string> {
  return pulumi.output(words).apply((resolved) => shellQuote(resolved));
}
