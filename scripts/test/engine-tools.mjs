// Gets the tools that the engine tests run with, and prints the folder that holds them: bin/ goes on PATH, home/ is a
// PULUMI_HOME whose plugins are the providers. Called once for a whole run, or by a single test file that is run by
// itself.
import * as path from "node:path";

import { defaultTools, ensureTools, ToolchainError } from "../toolchain.mjs";

/** What the engine tests need beside what `npm run up` does. */
const needed = [...defaultTools, "pulumi-language-yaml"];
/** What the tests that build an image need; they say themselves that they are skipped. */
const forImages = ["pulumi-resource-docker-build", "buildkitd"];

const log = console.error;
try {
  let found = await ensureTools(needed, { log });
  try {
    found = await ensureTools([...needed, ...forImages], { log });
  } catch (error) {
    if (!(error instanceof ToolchainError)) throw error;
    log(error.message);
  }
  console.log(path.dirname(found.path));
} catch (error) {
  if (!(error instanceof ToolchainError)) throw error;
  log(error.message);
  process.exitCode = 1;
}
