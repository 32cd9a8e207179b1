import type { Settings } from "../settings";
import { LogLevel } from "./serverArguments";
import type { ServerOptionsArgs } from "./tritonServer";

const LOG_LEVELS: Readonly<Record<Settings["server"]["logLevel"], LogLevel>> = {
  error: LogLevel.Error,
  warning: LogLevel.Warning,
  info: LogLevel.Info,
  verbose: LogLevel.Verbose,
};

/** How Triton runs, from the stack config. */
export function serverArgs({ runtime, server }: Settings): ServerOptionsArgs {
  return {
    ...server,
    extraFlags: [...server.extraFlags],
    logLevel: LOG_LEVELS[server.logLevel],
    ...(runtime.kind === "container" && { image: runtime.image }),
  };
}
