/** An instance and the ports that are wanted of it. */
export interface Reachable {
  readonly instanceId: string;
  readonly region: string;
  readonly address: string;
  readonly user: string;
  /** Public host key. */
  readonly hostKey: string;
  /** TCP ports of Triton on the instance, each with the local one that a tunnel begins at. */
  readonly ports: readonly { readonly local: number; readonly onHost: number }[];
}

/** How to reach an instance, as commands to copy. */
export interface AccessCommands {
  /** A tunnel to Triton over SSH, for clients in `adminCidrs`; KEY is the file with the stack's output `sshPrivateKey`. */
  readonly tunnel: string;
  /** What to put into `known_hosts` first. */
  readonly knownHosts: string;
  /** A tunnel to Triton's first port by AWS's Session Manager: no key, no open port, but an AWS account. */
  readonly sessionTunnel: string;
  /** A shell by Session Manager. */
  readonly session: string;
}

export function accessCommands(target: Reachable): AccessCommands {
  const { instanceId, region, address, user, hostKey, ports } = target;
  const session = `aws ssm start-session --region ${region} --target ${instanceId}`;
  const [first = { local: 8000, onHost: 8000 }] = ports;
  const forwards = ports.map(({ local, onHost }) => `-L ${local}:127.0.0.1:${onHost}`).join(" ");
  return {
    tunnel: `ssh -i KEY -N ${forwards} ${user}@${address}`,
    knownHosts: `${address} ${hostKey}`,
    sessionTunnel: `${session} --document-name AWS-StartPortForwardingSession --parameters portNumber=${first.onHost},localPortNumber=${first.local}`,
    session,
  };
}
