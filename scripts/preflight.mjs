// `npm run preflight -- STACK`: asks AWS, before anything is created, whether it can create what the stack lacks. `npm run up`
// does so, too (scripts/stack.mjs).
import { loadTypeScript, showError } from "./deployed-server.mjs";
import { installPackages } from "./packages.mjs";
import { stackConfig } from "./stack-host.mjs";
import { resourcesOf } from "./stack-state.mjs";
import { openStack, ROOT, UsageError } from "./stack-target.mjs";

/** Asks AWS for an open stack: what to print, and what that means. */
export function preflight(target) {
  const { preflight: ask } = loadTypeScript("preflight/main.ts");
  const config = stackConfig(target);
  return ask({ stack: target.name, projectDirectory: ROOT, config, resources: resourcesOf(target) });
}

async function main([stack, ...rest]) {
  if (stack === undefined || stack.startsWith("-") || rest.length > 0) {
    throw new UsageError("Name the stack: npm run preflight -- STACK");
  }
  installPackages(ROOT);
  const { text, kind } = await preflight(await openStack(stack, { withState: true }));
  console.log(text);
  return kind === "settings" || kind === "refused" ? 1 : 0;
}

if (process.argv[1] === import.meta.filename) {
  try {
    process.exitCode = await main(process.argv.slice(2));
  } catch (error) {
    showError(error);
  }
}
