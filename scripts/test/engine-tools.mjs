// Gets the engine tests' tools and prints their folder: bin/ goes on PATH, home/ is a PULUMI_HOME whose plugins are the
// providers. `npm test` calls it before the engine tests, and each of their files calls it to find the folder.
import * as path from "node:path";

import { defaultTools, ensureTools, ToolchainError } from "../toolchain.mjs";

/** The tools that the engine tests need: those of `npm run up`, and one more. */
const needed = [...defaultTools, "pulumi-language-yaml"];
/** The tools of the tests that build an image. Without them, those tests report that they are skipped. */
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
