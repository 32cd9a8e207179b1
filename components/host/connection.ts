import { remote } from "@pulumi/command/types/input";
import * as pulumi from "@pulumi/pulumi";

import type { SshConnectionArgs } from "../settings";
import { HostError } from "./hostError";

/**
 * Dial attempts before the host counts as unreachable. The machine exists, so this covers a short network fault
 * or a reboot that is just ending, not a first boot.
 */
export const DIAL_ATTEMPTS = 5;

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
  return pulumi.secret(ssh).apply((connection) => {
    if (connection.proxyCommand !== undefined) {
      throw new HostError("ssh has a proxyCommand, but proxied is not set", "set proxied to true beside ssh");
    }
    return {
      host: connection.address,
      port: connection.port ?? 22,
      user: connection.user ?? "root",
      privateKey: connection.privateKey,
      hostKey: connection.hostKey,
      dialErrorLimit: attempts,
      perDialTimeout: DIAL_TIMEOUT_SECONDS,
    };
  });
}
