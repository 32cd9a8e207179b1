// A stack's state, as Pulumi exports and imports it.
import { spawnSync } from "node:child_process";

import { ROOT } from "./stack-target.mjs";

/** What `pulumi stack export` prints. */
export function exportState(stack) {
  return JSON.parse(run(stack, "export"));
}

export function importState(stack, state) {
  run(stack, "import", JSON.stringify(state));
}

/** The resources in a stack's state. */
export function resourcesOf(stack) {
  return exportState(stack).deployment.resources ?? [];
}

function run({ name, environment }, command, input) {
  const { status, stdout, stderr, error } = spawnSync("pulumi", ["stack", command, "--stack", name], {
    cwd: ROOT,
    env: environment,
    encoding: "utf8",
    maxBuffer: 1024 ** 3,
    input,
  });
  if (error) throw error;
  if (status !== 0) throw new Error(`pulumi stack ${command}: ${stderr}`);
  return stdout;
}
