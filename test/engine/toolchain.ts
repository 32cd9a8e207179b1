import { spawnSync } from "node:child_process";
import * as path from "node:path";

import { loadScript } from "../scripts";

const SCRIPT = path.resolve(__dirname, "../../scripts/test/engine-tools.mjs");

/** The folder of the tools; gets them first where `npm test` has not. */
function findTools(): string {
  const { status, stdout } = spawnSync(process.execPath, [SCRIPT], {
    stdio: ["ignore", "pipe", "inherit"],
    encoding: "utf8",
  });
  if (status !== 0) throw new Error("the tools of the engine tests are missing; why stands above");
  return stdout.trim();
}

const FOLDER = findTools();
process.env.PATH = [path.join(FOLDER, "bin"), process.env.PATH].join(path.delimiter);

/** A PULUMI_HOME whose plugins are the providers. */
export const TOOLS_HOME = path.join(FOLDER, "home");
export const PLUGINS = path.join(TOOLS_HOME, "plugins");

/** Docker's build provider. */
export const IMAGE_PROVIDER = path.join(
  PLUGINS,
  "resource-docker-build-v0.0.22/pulumi-resource-docker-build",
);

/** Keeps Pulumi from writing debug logs into a PULUMI_HOME of a test's own. TOOLS_HOME has none. */
export const { withoutDebugLogs } = loadScript("debug-log.mjs") as {
  withoutDebugLogs: (home: string) => void;
};
