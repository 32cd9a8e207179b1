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
 * Standard input of the agent's command `start`. Its `arguments` are the flags of tritonserver beyond those that the agent
 * sets itself (ports, address, repository, model control).
 *
 * @param image the image of a container; a process, without one, has nothing to schedule
 */
export function renderStartOptions(options: ServerOptions, image: string | undefined): string {
  const { logLevel, extraFlags, schedulerRequired, schedulerDomain, memoryGiB, ...values } = options;
  return JSON.stringify({
    ...(image === undefined ? { kind: "process" } : { kind: "container", image }),
    ...values,
    ...(memoryGiB !== undefined && { memoryMegabytes: memoryGiB * 1024 }),
    schedulerRequired: image === undefined ? "never" : requirement(schedulerRequired),
    ...(image !== undefined && schedulerDomain !== undefined && { schedulerDomain }),
    arguments: ownFlags({ logLevel, extraFlags }),
  });
}

/** Flags of tritonserver that are the same wherever it runs. */
export function ownFlags({
  logLevel,
  extraFlags,
}: Pick<ServerOptions, "logLevel" | "extraFlags">): readonly string[] {
  return [...LOG_FLAGS[logLevel], ...extraFlags];
}

/** When Triton must refuse to become ready because its models would run unscheduled. */
function requirement(required: boolean | undefined): "always" | "onGpu" | "never" {
  if (required === undefined) return "onGpu";
  return required ? "always" : "never";
}
