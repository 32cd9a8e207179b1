/** How a command on a host ended. */
export interface Finished {
  readonly status: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** The server of a deployed stack. scripts/deployed-server.mjs creates it. */
export interface DeployedServer {
  /** Name of the stack. */
  readonly stack: string;
  /** Where Triton itself answers, on the host. */
  readonly endpoints: { readonly http: string; readonly grpc: string };
  /** The models in the order of the stack's config, with their priorities at the last `up`. */
  readonly models: readonly { readonly name: string; readonly priority: number }[];
  /**
   * Runs a command of the host's agent, `[name, ...arguments]`, and waits for its end. What it answers is in `stdout`, as
   * JSON (components/host/agent/README.md).
   *
   * @param input the command's standard input
   */
  onHost(words: readonly string[], input?: string): Finished;
  /**
   * Makes addresses of the host reachable from here. Absent if the host is this machine.
   *
   * @param addresses `host:port`, as the host sees them
   */
  tunnel?(addresses: readonly string[]): Promise<Tunnel>;
}

/** A tunnel to a host, until it is closed or this process ends. */
export interface Tunnel {
  /** The local `host:port` of each address. */
  readonly addresses: readonly string[];
  close(): Promise<void>;
}
