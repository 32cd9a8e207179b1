// A stack's state, as Pulumi exports and imports it.
import { spawnSync } from "node:child_process";

import { MAX_STATE_BYTES, ROOT } from "./stack-target.mjs";

/** What `pulumi stack export` prints. */
export function exportState(stack) {
  return JSON.parse(run(stack, "export"));
}

export function importState(stack, state) {
  run(stack, "import", JSON.stringify(state));
}

/** The resources in a stack's state, as they were when the stack was opened with its state, or else are now. */
export function resourcesOf(stack) {
  return (stack.state ?? exportState(stack)).deployment.resources ?? [];
}

function run({ name, environment }, command, input) {
  const { status, stdout, stderr, error } = spawnSync("pulumi", ["stack", command, "--stack", name], {
    cwd: ROOT,
    env: environment,
    encoding: "utf8",
    maxBuffer: MAX_STATE_BYTES,
    input,
  });
  if (error) throw error;
  if (status !== 0) throw new Error(`pulumi stack ${command}: ${stderr}`);
  return stdout;
}
