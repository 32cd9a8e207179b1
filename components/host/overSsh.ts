import * as command from "@pulumi/command";
import * as pulumi from "@pulumi/pulumi";

import type { SshConnectionArgs } from "../settings";
import { textOf } from "./agentCommand";
import { DIAL_ATTEMPTS, toRemoteConnection } from "./connection";
import { shellQuote } from "./shellQuote";

/*
 * Two ways to run a command on a machine.
 *
 * `command.remote.Command` connects by itself. Its SSH client, that of Go, knows no ProxyCommand, and what a connection of it
 * says is an input in the stack's state. A tunnel that the program opened for it would need the same port at each `up`, and
 * would end with the program, before Pulumi deletes anything; `pulumi destroy` runs no program at all. So where a
 * `proxyCommand` leads to a machine, the command is a `command.local.Command` that runs OpenSSH's client, each with a tunnel of
 * its own: a tunnel that breaks ends its command, and none outlives it.
 */

/** A command that has run on a machine. */
export type MachineCommand = command.local.Command | command.remote.Command;

/** What is run on a machine, in the terms of the command provider. */
export interface MachineCommandArgs {
  create: pulumi.Input<string>;
  delete?: pulumi.Input<string> | undefined;
  stdin?: pulumi.Input<string> | undefined;
  triggers: pulumi.Input<pulumi.Input<unknown>[]>;
}

/** The way to a machine. */
export interface Way {
  ssh: pulumi.Input<SshConnectionArgs>;
  /** Whether `ssh` has a `proxyCommand`; undefined for a machine that never has one. */
  proxied: boolean | undefined;
  /** Attempts before the machine counts as unreachable. */
  attempts?: number | undefined;
}

const REMOTE = "command:remote:Command";
const LOCAL = "command:local:Command";

/** Runs a command on another machine. Another way to the same machine runs it again, and replaces nothing. */
export function machineCommand(
  name: string,
  args: MachineCommandArgs,
  { ssh, proxied, attempts = DIAL_ATTEMPTS }: Way,
  opts: pulumi.CustomResourceOptions,
): MachineCommand {
  const common = { ...args, addPreviousOutputInEnv: false };
  if (proxied !== true) {
    return new command.remote.Command(
      name,
      { ...common, connection: toRemoteConnection(ssh, attempts), logging: command.remote.Logging.Stderr },
      proxied === undefined ? opts : pulumi.mergeOptions(opts, { aliases: [{ type: LOCAL }] }),
    );
  }
  const through = (line: pulumi.Input<string>): pulumi.Output<string> =>
    pulumi
      .all([pulumi.unsecret(pulumi.output(ssh).apply(withoutKey)), line])
      .apply(([connection, known]) => shellQuote(overSsh(connection, known, attempts)));
  return new command.local.Command(
    name,
    {
      ...common,
      create: through(args.create),
      delete: args.delete && through(args.delete),
      environment: pulumi.secret(pulumi.output(ssh).apply(keyOf)),
      interpreter: ["/bin/bash", "-c"],
      logging: command.local.Logging.Stderr,
    },
    pulumi.mergeOptions(opts, { aliases: [{ type: REMOTE }] }),
  );
}

type Connection = pulumi.Unwrap<SshConnectionArgs>;

/** A connection without its secret. */
export type PublicConnection = Omit<Connection, "privateKey">;

function withoutKey({ privateKey, ...connection }: Connection): PublicConnection {
  return connection;
}

/**
 * The words that run a command through a machine's `proxyCommand`, in the environment of `keyOf`.
 *
 * @param line what the machine's shell gets
 * @param attempts before the machine counts as unreachable
 */
export function overSsh(connection: PublicConnection, line: string, attempts: number): string[] {
  const { address, machine = address, user = "root", hostKey, proxyCommand } = connection;
  if (proxyCommand === undefined) throw new Error("proxied is set, but ssh has no proxyCommand");
  const script = ["bash", "-c", textOf("over-ssh.sh"), "over-ssh.sh"];
  return [...script, machine, user, hostKey, proxyCommand, String(attempts), line];
}

/** The key to log in with, where no list of processes shows it. */
export function keyOf({ privateKey }: Pick<Connection, "privateKey">): Record<string, string> {
  return { XSCHED_TRITON_SSH_KEY: privateKey.trimEnd() };
}
