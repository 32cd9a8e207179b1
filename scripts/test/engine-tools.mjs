// Gets the engine tests' tools and prints their folder: bin/ goes on PATH, home/ is a PULUMI_HOME whose plugins are the
// providers. `npm test` calls it before the engine tests, and each of their files calls it to find the folder. With
// --kubernetes, it gets those of the test on Kubernetes, too, which take long to build.
import * as path from "node:path";

import { withoutDebugLogs } from "../debug-log.mjs";
import { defaultTools, ensureTools, ToolchainError } from "../toolchain.mjs";

/** The tools that the engine tests need: those of `npm run up`, and one more. */
const needed = [...defaultTools, "pulumi-language-yaml"];
/** More tools, which only some tests need. Without them, those tests report that they are skipped. */
const more = [["pulumi-resource-docker-build", "buildkitd"]];
if (process.argv.includes("--kubernetes")) {
  more.push(
    [
      ...["pulumi-resource-kubernetes", "kubernetes-control-plane"],
      ...["gateway-api-crds", "karpenter-crds", "keda-crds", "prometheus-operator-crds"],
    ],
    ["prometheus", "promtool"],
  );
}

const log = console.error;
try {
  let found = await ensureTools(needed, { log });
  for (const some of more) {
    try {
      found = await ensureTools([...needed, ...some], { log });
    } catch (error) {
      if (!(error instanceof ToolchainError)) throw error;
      log(error.message);
    }
  }
  withoutDebugLogs(found.home);
  console.log(path.dirname(found.path));
} catch (error) {
  if (!(error instanceof ToolchainError)) throw error;
  log(error.message);
  process.exitCode = 1;
}
