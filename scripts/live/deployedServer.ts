/** How a script on a host has ended. */
export interface Finished {
  readonly status: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** The server of a stack that has been brought up; made by scripts/live-server.mjs. */
export interface DeployedServer {
  /** Name of the stack. */
  readonly stack: string;
  readonly endpoints: { readonly http: string; readonly grpc: string };
  /** The models in the order of the stack's config, at the priorities that it had at the last `up`. */
  readonly models: readonly { readonly name: string; readonly priority: number }[];
  /**
   * Runs one of the host's scripts, `[name, ...arguments]`, in the stack's folder there, and waits for it.
   *
   * @param input its standard input
   */
  onHost(words: readonly string[], input?: string): Finished;
  /**
   * Makes addresses of the host reachable from here; absent where the host is this machine.
   *
   * @param addresses `host:port` as the host sees them
   */
  tunnel?(addresses: readonly string[]): Promise<Tunnel>;
}

/** A way to a host, until it is closed or this process ends. */
export interface Tunnel {
  /** The local `host:port` of each address. */
  readonly addresses: readonly string[];
  close(): Promise<void>;
}

/** A request that cannot be carried out; its message says what to do and is all that the user needs. */
export class UserError extends Error {
  /** Marks it for the launchers, which are no TypeScript. */
  public readonly isForUser = true;

  public constructor(problem: string, fix: string) {
    super(`${problem}\nfix: ${fix}`);
  }

  /** What a script on the host has died of: its messages end with `error: …` and `fix: …`. */
  public static ofScript(script: string, { stderr }: Finished): Error {
    const [, problem, fix] = /(?:^|\n)error: (.*)\nfix: (.*)\s*$/.exec(stderr) ?? [];
    if (problem !== undefined && fix !== undefined) return new UserError(problem, fix);
    return new Error(stderr.trim() || `${script} failed on the host`);
  }
}
