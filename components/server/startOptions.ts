import type { LogLevel, ServerOptions } from "../settings";

/**
 * Triton's flags for a log level. Each level includes the ones before it; `verbose` is Triton's level 1.
 * Source: `tritonserver --help`, section Logging.
 */
const LOG_FLAGS: Readonly<Record<LogLevel, readonly string[]>> = {
  error: ["--log-error=true", "--log-warning=false", "--log-info=false"],
  warning: ["--log-error=true", "--log-warning=true", "--log-info=false"],
  info: ["--log-error=true", "--log-warning=true", "--log-info=true"],
  verbose: ["--log-error=true", "--log-warning=true", "--log-info=true", "--log-verbose=1"],
};

/**
 * Standard input of `start-server.sh`: one `key value` a line, then one `arg --flag=value` a line for the flags of
 * tritonserver beyond those that the script sets itself (ports, address, repository, model control).
 *
 * @param container whether Triton runs in one; a process has nothing to drain or to schedule
 */
export function renderStartOptions(options: ServerOptions, container: boolean): string {
  const { logLevel, extraFlags, drainSeconds, schedulerRequired, ...values } = options;
  const lines = [
    ...Object.entries(values).map(([key, value]) => `${key} ${value}`),
    `schedulerRequired ${container ? requirement(schedulerRequired) : "never"}`,
    ...(drainSeconds > 0 ? [`drainSeconds ${drainSeconds}`] : []),
    ...[...LOG_FLAGS[logLevel], ...extraFlags].map((flag) => `arg ${flag}`),
  ];
  return lines.map((line) => `${line}\n`).join("");
}

/** When Triton must refuse to become ready because its models would run unscheduled. */
function requirement(required: boolean | undefined): "always" | "onGpu" | "never" {
  if (required === undefined) return "onGpu";
  return required ? "always" : "never";
}
