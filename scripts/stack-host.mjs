// A stack's outputs, and commands of the agent on its host, run from here.
import { spawnSync } from "node:child_process";
import fs from "node:fs";

import { runOverSsh } from "./over-ssh.mjs";

/** The longest output of a command: the metrics of a few hundred models. */
const MAX_OUTPUT_BYTES = 16 * 1024 * 1024;

/**
 * The stack's outputs; none before the first `up`. Those of the local stack are read from its state file (checkpoint
 * version 3, without secrets), because asking Pulumi would take a tenth of an `up` without changes.
 */
export function stackOutputs(stack) {
  if (stack.stateFile !== undefined) {
    if (!fs.existsSync(stack.stateFile)) return {};
    const { version, checkpoint } = JSON.parse(fs.readFileSync(stack.stateFile, "utf8"));
    if (version === 3) {
      const root = checkpoint.latest?.resources?.find(({ type }) => type === "pulumi:pulumi:Stack");
      return root?.outputs ?? {};
    }
  }
  return pulumiJson(["stack", "output", "--json", "--stack", stack.name], stack);
}

function pulumiJson(words, { root, environment }) {
  const { status, stdout, stderr, error } = spawnSync("pulumi", words, {
    cwd: root,
    env: environment,
    encoding: "utf8",
  });
  if (error) throw error;
  if (status !== 0) throw new Error(stderr.trim());
  return JSON.parse(stdout);
}

/** What the line with a command's result begins with (components/host/agentCommand.ts). */
const RESULT = "xsched-triton-result ";

/**
 * Runs a command of the host's agent (components/host/agent/README.md), whether or not it succeeds. `stdout` is its result
 * as JSON, or what it has printed if it has none.
 *
 * @param words the command's name and what follows it
 * @param input the command's standard input
 * @param stderr "inherit" shows the command's messages, "pipe" returns them
 */
export function tryOnHost(words, { directory, ssh }, stack, { input, stderr = "inherit" } = {}) {
  const command = [`${directory}/bin/agent`, ...words];
  const options = {
    encoding: "utf8",
    stdio: [input === undefined ? "ignore" : "pipe", "pipe", stderr],
    maxBuffer: MAX_OUTPUT_BYTES,
    ...(input !== undefined && { input }),
  };
  const finished = ssh
    ? runOverSsh(ssh, privateKey(stack), command, options)
    : spawnSync(command[0], command.slice(1), options);
  if (finished.error) throw finished.error;
  const result = finished.stdout.split("\n").findLast((line) => line.includes(RESULT));
  return {
    ...finished,
    ...(result !== undefined && { stdout: result.slice(result.indexOf(RESULT) + RESULT.length) }),
  };
}

/** The private key for a stack's host, read once: the one in its config, or the one that the stack generated. */
export function privateKey(stack) {
  return (stack.privateKey ??= findPrivateKey(stack));
}

/** The stack's config with its secrets, as Pulumi shows it; asked for once. */
export function stackConfig(stack) {
  return (stack.config ??= pulumiJson(["config", "--json", "--show-secrets", "--stack", stack.name], stack));
}

function findPrivateKey(stack) {
  const config = stackConfig(stack);
  const given = config["xsched-triton:host"]?.objectValue?.privateKey;
  if (given !== undefined) return given;
  const outputs = pulumiJson(["stack", "output", "--json", "--show-secrets", "--stack", stack.name], stack);
  if (outputs.sshPrivateKey === undefined) throw new Error("The stack's config has no host.privateKey.");
  return outputs.sshPrivateKey;
}
