/** How much Triton writes to its log. */
export enum LogLevel {
  Error = "error",
  Warning = "warning",
  Info = "info",
  Verbose = "verbose",
}

/** When Triton must refuse to serve because its models would run unscheduled. Only a container can be scheduled. */
export enum SchedulerRequirement {
  /** Always. */
  Always = "always",
  /** When the host has a GPU. */
  OnGpu = "onGpu",
  /** Never: models may run unscheduled. */
  Never = "never",
}

/** What `start-server.sh` is told; all values are checked. */
export interface ServerOptions {
  readonly httpPort: number;
  readonly grpcPort: number;
  readonly metricsPort: number;
  readonly address: string;
  readonly logLevel: LogLevel;
  readonly exitTimeoutSeconds: number;
  readonly loadTimeoutSeconds: number;
  readonly logMegabytes: number;
  readonly schedulerRequired: SchedulerRequirement;
  readonly extraFlags: readonly string[];
}

/** Defaults of the options; the stack config has the same. */
export const SERVER_DEFAULTS: ServerOptions = {
  httpPort: 8000,
  grpcPort: 8001,
  metricsPort: 8002,
  address: "127.0.0.1",
  logLevel: LogLevel.Info,
  exitTimeoutSeconds: 30,
  loadTimeoutSeconds: 300,
  logMegabytes: 20,
  schedulerRequired: SchedulerRequirement.OnGpu,
  extraFlags: [],
};

/**
 * Triton's flags for a log level. Each level includes the ones before it; `verbose` is Triton's level 1.
 * Source: `tritonserver --help`, section Logging.
 */
const LOG_FLAGS: Readonly<Record<LogLevel, readonly string[]>> = {
  [LogLevel.Error]: ["--log-error=true", "--log-warning=false", "--log-info=false"],
  [LogLevel.Warning]: ["--log-error=true", "--log-warning=true", "--log-info=false"],
  [LogLevel.Info]: ["--log-error=true", "--log-warning=true", "--log-info=true"],
  [LogLevel.Verbose]: ["--log-error=true", "--log-warning=true", "--log-info=true", "--log-verbose=1"],
};

/**
 * Standard input of `start-server.sh`: one `key value` a line, then one `arg --flag=value` a line for what
 * tritonserver gets beside the flags that the script owns (ports, address, repository, model control).
 */
export function renderServerOptions(options: ServerOptions): string {
  const { logLevel, extraFlags, ...values } = options;
  const lines = [
    ...Object.entries(values).map(([key, value]) => `${key} ${value}`),
    ...[...LOG_FLAGS[logLevel], ...extraFlags].map((flag) => `arg ${flag}`),
  ];
  return lines.map((line) => `${line}\n`).join("");
}
