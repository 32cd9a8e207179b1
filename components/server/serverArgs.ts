import type { TritonImage } from "../image";
import type { Settings } from "../settings";
import { LogLevel, SchedulerRequirement } from "./serverArguments";
import type { ServerOptionsArgs } from "./tritonServer";

const LOG_LEVELS: Readonly<Record<Settings["server"]["logLevel"], LogLevel>> = {
  error: LogLevel.Error,
  warning: LogLevel.Warning,
  info: LogLevel.Info,
  verbose: LogLevel.Verbose,
};

const REQUIREMENTS: Readonly<Record<Settings["scheduler"]["required"], SchedulerRequirement>> = {
  always: SchedulerRequirement.Always,
  onGpu: SchedulerRequirement.OnGpu,
  never: SchedulerRequirement.Never,
};

/**
 * How Triton runs, from the stack config.
 *
 * @param image of the runtime, if it is a container
 */
export function serverArgs(
  { host, runtime, scheduler, server }: Settings,
  image?: TritonImage,
): ServerOptionsArgs {
  return {
    ...server,
    extraFlags: [...server.extraFlags],
    schedulerRequired: REQUIREMENTS[scheduler.required],
    logLevel: LOG_LEVELS[server.logLevel],
    ...(runtime.kind === "container" && {
      image: image?.reference,
      registry: runtime.registry,
      // The image is in the stack's own repository.
      registryByRole:
        host.kind === "aws" && runtime.build !== undefined && runtime.build.repository === undefined,
      drainSeconds: runtime.drainSeconds,
    }),
  };
}
