import type { ServerSettings, Settings } from "../settings";

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
export interface ServerOptions extends ServerSettings {
  /** Seconds for which a container serves on before it stops. */
  readonly drainSeconds: number;
  readonly schedulerRequired: Settings["scheduler"]["required"];
}

/**
 * Triton's flags for a log level. Each level includes the ones before it; `verbose` is Triton's level 1.
 * Source: `tritonserver --help`, section Logging.
 */
const LOG_FLAGS: Readonly<Record<ServerSettings["logLevel"], readonly string[]>> = {
  error: ["--log-error=true", "--log-warning=false", "--log-info=false"],
  warning: ["--log-error=true", "--log-warning=true", "--log-info=false"],
  info: ["--log-error=true", "--log-warning=true", "--log-info=true"],
  verbose: ["--log-error=true", "--log-warning=true", "--log-info=true", "--log-verbose=1"],
};

/**
 * Standard input of `start-server.sh`: one `key value` a line, then one `arg --flag=value` a line for what
 * tritonserver gets beside the flags that the script owns (ports, address, repository, model control).
 */
export function renderServerOptions(options: ServerOptions): string {
  const { logLevel, extraFlags, drainSeconds, ...values } = options;
  const lines = [
    ...Object.entries(values).map(([key, value]) => `${key} ${value}`),
    // A process knows no such thing.
    ...(drainSeconds > 0 ? [`drainSeconds ${drainSeconds}`] : []),
    ...[...LOG_FLAGS[logLevel], ...extraFlags].map((flag) => `arg ${flag}`),
  ];
  return lines.map((line) => `${line}\n`).join("");
}
