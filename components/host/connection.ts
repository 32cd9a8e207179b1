import { remote } from "@pulumi/command/types/input";
import * as pulumi from "@pulumi/pulumi";

/** How to reach a machine that exists over SSH. */
export interface SshConnectionArgs {
  /** Host name or IP address. */
  address: pulumi.Input<string>;
  /** TCP port of the SSH server, 1 to 65535. @default 22 */
  port?: pulumi.Input<number>;
  /** User to log in as. Must be allowed to run Docker when the runtime is a container. @default "root" */
  user?: pulumi.Input<string>;
  /** Private key in PEM or OpenSSH form, without a passphrase. Kept as a secret. */
  privateKey: pulumi.Input<string>;
  /**
   * The host's public key as in a `known_hosts` file, without the host name: `ssh-ed25519 AAAA…`. A connection to
   * a host with another key is refused.
   */
  hostKey: pulumi.Input<string>;
  /**
   * Names the machine where its address does not, such as the id of an instance behind an elastic IP: another name is
   * another machine, on which everything is done anew.
   * @default its address and port
   */
  machine?: pulumi.Input<string>;
}

/**
 * Dial attempts before the host counts as unreachable. The machine exists, so this covers a short network fault
 * or a reboot that is just ending, not a first boot.
 */
const DIAL_ATTEMPTS = 5;

/** Seconds that one dial attempt may take. */
const DIAL_TIMEOUT_SECONDS = 15;

/**
 * The connection in the terms of the command provider; every field is a secret there.
 *
 * @param attempts dial attempts before the machine counts as unreachable
 */
export function toRemoteConnection(
  ssh: pulumi.Input<SshConnectionArgs>,
  attempts = DIAL_ATTEMPTS,
): pulumi.Output<remote.ConnectionArgs> {
  return pulumi.secret(ssh).apply((connection) => ({
    host: connection.address,
    port: connection.port ?? 22,
    user: connection.user ?? "root",
    privateKey: connection.privateKey,
    hostKey: connection.hostKey,
    dialErrorLimit: attempts,
    perDialTimeout: DIAL_TIMEOUT_SECONDS,
  }));
}
