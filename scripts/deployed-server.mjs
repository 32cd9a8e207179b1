// What the TypeScript programs in scripts/live and scripts/bench start with: the compiler, and a stack's running server.
import { createRequire } from "node:module";
import path from "node:path";

import { isAskedAfter, notRunning } from "./instance.mjs";
import { openTunnel } from "./over-ssh.mjs";
import { privateKey, stackOutputs, tryOnHost } from "./stack-host.mjs";
import { lookAtStack, ROOT, UsageError } from "./stack-target.mjs";
import { ToolchainError } from "./toolchain.mjs";

/** Loads a TypeScript module from scripts/. */
export function loadTypeScript(file) {
  const require = createRequire(import.meta.url);
  require("../components/compile.cjs");
  return require(path.join(ROOT, "scripts", file));
}

/**
 * The server of a deployed stack, a `DeployedServer` (triton/deployedServer.ts); undefined if the stack "local" is not
 * deployed.
 */
export async function deployedServer(name) {
  const stack = await lookAtStack(name);
  const outputs = stackOutputs(stack);
  const { host, endpoints, tritonEndpoints, models } = outputs;
  if (host === undefined) {
    if (name === "local") return undefined;
    throw new UsageError(`The stack "${name}" is not deployed.\nfix: npm run up -- ${name}`);
  }
  const stopped = isAskedAfter(outputs) ? await notRunning(stack, outputs) : undefined;
  if (stopped !== undefined) throw new UsageError(stopped);
  return {
    stack: name,
    // Triton's own: what is measured is not what its gateway does. An earlier release had no gateway.
    endpoints: tritonEndpoints ?? endpoints,
    models,
    onHost: (words, input) => {
      const { status, stdout, stderr } = tryOnHost(words, host, stack, { input, stderr: "pipe" });
      return { status, stdout, stderr };
    },
    ...(host.ssh && { tunnel: (addresses) => openTunnel(host.ssh, privateKey(stack), addresses) }),
  };
}

/** Prints why a command failed and sets exit status 1. An error that the user can fix has no stack trace. */
export function showError(error) {
  const expected =
    error instanceof UsageError || error instanceof ToolchainError || error?.isForUser === true;
  console.error(expected ? `error: ${error.message}` : (error?.stack ?? error));
  process.exitCode = 1;
}
