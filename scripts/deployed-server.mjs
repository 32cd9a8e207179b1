// What the TypeScript of scripts/live and scripts/bench is started with: the compiler, and a stack's running server.
import { createRequire } from "node:module";
import path from "node:path";

import { openTunnel } from "./over-ssh.mjs";
import { privateKey, stackOutputs, tryOnHost } from "./server-status.mjs";
import { lookAtStack, ROOT, UsageError } from "./stack-target.mjs";
import { ToolchainError } from "./toolchain.mjs";

/** Loads a module of scripts/ that is written in TypeScript. */
export function loadTypeScript(file) {
  const require = createRequire(import.meta.url);
  process.env.TS_NODE_PROJECT = path.join(ROOT, "tsconfig.json");
  require("ts-node/register/transpile-only");
  return require(path.join(ROOT, "scripts", file));
}

/**
 * The server of a stack that has been brought up, as `DeployedServer` in live/deployedServer.ts; undefined if the
 * stack "local" has not been.
 */
export async function deployedServer(name) {
  const stack = await lookAtStack(name);
  const { host, endpoints, models } = stackOutputs(stack);
  if (host === undefined) {
    if (name === "local") return undefined;
    throw new UsageError(`The stack "${name}" is not deployed.\nfix: npm run up -- ${name}`);
  }
  return {
    stack: name,
    endpoints,
    models,
    onHost: (words, input) => {
      const { status, stdout, stderr } = tryOnHost(words, host, stack, { input, stderr: "pipe" });
      return { status, stdout, stderr };
    },
    ...(host.ssh && { tunnel: (addresses) => openTunnel(host.ssh, privateKey(stack), addresses) }),
  };
}

/** Says why a command has failed, and ends it with 1. What the user can mend has no stack trace. */
export function showError(error) {
  const expected =
    error instanceof UsageError || error instanceof ToolchainError || error?.isForUser === true;
  console.error(expected ? `error: ${error.message}` : (error?.stack ?? error));
  process.exitCode = 1;
}
