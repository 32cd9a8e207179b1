import * as os from "node:os";
import * as path from "node:path";

/** A place in the user's cache, by the XDG specification. */
export function userCache(...parts: string[]): string {
  const { XDG_CACHE_HOME = "" } = process.env;
  const caches = path.isAbsolute(XDG_CACHE_HOME) ? XDG_CACHE_HOME : path.join(os.homedir(), ".cache");
  return path.join(caches, "xsched-triton", ...parts);
}
