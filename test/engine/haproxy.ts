import { spawnSync } from "node:child_process";
import * as path from "node:path";

/** Where distributions have it. */
const SYSTEM = ["/usr/local/sbin", "/usr/sbin", "/sbin"];

/** Why this machine cannot run a gateway. */
export const missingHaproxy =
  spawnSync("haproxy", ["-v"], {
    env: { ...process.env, PATH: [process.env.PATH, ...SYSTEM].join(path.delimiter) },
  }).status === 0
    ? undefined
    : "HAProxy is not installed (Debian: haproxy)";
