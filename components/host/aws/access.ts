import { shellQuote } from "../shellQuote";

/** An instance and the ports that are wanted of it. */
export interface Reachable {
  readonly instanceId: string;
  readonly region: string;
  readonly address: string;
  readonly user: string;
  /** Public host key. */
  readonly hostKey: string;
  /** What leads to its SSH server, where no port is open. */
  readonly proxyCommand?: string | undefined;
  /** TCP ports of Triton on the instance, each with the local one that a tunnel begins at. */
  readonly ports: readonly { readonly local: number; readonly onHost: number }[];
}

/** How to reach an instance, as commands to copy. */
export interface AccessCommands {
  /** A tunnel to Triton over SSH, from `adminCidrs` or through Session Manager; KEY is the file with the stack's output `sshPrivateKey`. */
  readonly tunnel: string;
  /** What to put into `known_hosts` first. */
  readonly knownHosts: string;
  /** A tunnel to Triton's first port by AWS's Session Manager: no key, no open port, but an AWS account. */
  readonly sessionTunnel: string;
  /** A shell by Session Manager. */
  readonly session: string;
}

/** An instance that Session Manager leads to. */
export interface SessionTarget {
  readonly instanceId: string;
  readonly region: string;
  /** A profile of the AWS CLI; the environment's without one. */
  readonly profile?: string | undefined;
}

/**
 * OpenSSH's `ProxyCommand` to an instance's SSH server, without a port that is open.
 * https://docs.aws.amazon.com/systems-manager/latest/userguide/session-manager-getting-started-enable-ssh-connections.html
 */
export function sessionTunnel({ instanceId, region, profile }: SessionTarget): string {
  const words = ["aws", "ssm", "start-session", "--region", region, "--target", instanceId];
  const document = ["--document-name", "AWS-StartSSHSession", "--parameters", "portNumber=22"];
  const as = profile === undefined ? [] : ["--profile", profile];
  // To ssh, a percent sign begins a placeholder.
  return shellQuote([...words, ...document, ...as]).replaceAll("%", "%%");
}

export function accessCommands(target: Reachable): AccessCommands {
  const { instanceId, region, address, user, hostKey, ports, proxyCommand } = target;
  const session = `aws ssm start-session --region ${region} --target ${instanceId}`;
  const [first = { local: 8000, onHost: 8000 }] = ports;
  const forwards = ports.map(({ local, onHost }) => `-L ${local}:127.0.0.1:${onHost}`).join(" ");
  const proxy = proxyCommand === undefined ? "" : `-o ${shellQuote([`ProxyCommand=${proxyCommand}`])} `;
  return {
    tunnel: `ssh -i KEY ${proxy}-N ${forwards} ${user}@${address}`,
    knownHosts: `${address} ${hostKey}`,
    sessionTunnel: `${session} --document-name AWS-StartPortForwardingSession --parameters portNumber=${first.onHost},localPortNumber=${first.local}`,
    session,
  };
}
