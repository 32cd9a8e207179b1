// Asks the host of a stack what its Triton serves now, and prints it as a table.
import { spawnSync } from "node:child_process";
import fs from "node:fs";

import { runOverSsh } from "./over-ssh.mjs";

/** The most that a script may print: the metrics of some hundred models. */
const MAX_OUTPUT_BYTES = 16 * 1024 * 1024;

/**
 * What serves on a stack's host, as `describe-server.sh` says it there, and the stack's outputs.
 * `healthy` is true when the server runs and every model of the stack is ready.
 */
export function describeServer(stack) {
  const outputs = stackOutputs(stack);
  if (outputs.host === undefined) {
    return { running: false, models: [], outputs, healthy: false };
  }
  const server = JSON.parse(runOnHost(["describe-server.sh"], outputs.host, stack));
  const ready = new Set(server.models.filter((model) => model.ready).map((model) => model.name));
  return {
    ...server,
    outputs,
    healthy: server.running && outputs.models.every(({ name }) => ready.has(name)),
  };
}

/**
 * Starts the server again if it is deployed and does not run: a process does not survive a reboot of its host, and
 * Pulumi, which compares the config with what it did last, sees nothing to do.
 */
export function resumeServer(server, stack) {
  if (server.running || server.outputs.host === undefined) return server;
  console.error("Triton is deployed but does not run. Starting it again …");
  runOnHost(["resume-server.sh"], server.outputs.host, stack);
  return describeServer(stack);
}

/** Prints the table of models and, when something serves, a request to try. */
export function printServer(server, { name }) {
  if (!server.running) {
    console.log(
      `\nNo Triton serves on the stack "${name}". Start it: npm run up${name === "local" ? "" : ` -- ${name}`}`,
    );
    return;
  }
  const rows = server.models.map(({ name, version, priority, ready, reason }) => [
    name,
    String(version ?? "–"),
    String(priority ?? "–"),
    ready ? "yes" : `no${reason ? `: ${reason}` : ""}`,
  ]);
  console.log(`\n${table(["model", "version", "priority", "ready"], rows)}`);
  console.log(`\nTriton ${server.version} at http://${server.http} (process ${server.pid})`);
  if (server.outputs.host.ssh) {
    const { user, address, port } = server.outputs.host.ssh;
    console.log(
      `Reach it through a tunnel: ssh -p ${port} -N -L ${server.http}:${server.http} ${user}@${address}`,
    );
  }
  const request = exampleRequest(server);
  if (request) console.log(`\nTry it:\n  ${request}`);
}

/** A request for the model with the smallest inputs: every input filled with ones, one row where it batches. */
function exampleRequest({ http, models }) {
  const size = ({ shape }) => shape.reduce((product, extent) => product * Math.max(extent, 1), 1);
  const total = (model) => model.inputs.reduce((sum, input) => sum + size(input), 0);
  const [model] = models
    .filter(({ ready, inputs }) => ready && inputs.length > 0)
    .sort((a, b) => total(a) - total(b));
  if (model === undefined) return undefined;
  const inputs = model.inputs.map((input) => ({
    name: input.name,
    datatype: input.datatype,
    shape: input.shape.map((extent) => Math.max(extent, 1)),
    data: Array(size(input)).fill(ONES[input.datatype] ?? 1),
  }));
  return `curl -s http://${http}/v2/models/${model.name}/infer -d '${JSON.stringify({ inputs })}'`;
}

/** What stands for one in the data types that are no numbers. */
const ONES = { BOOL: true, BYTES: "1" };

/** Columns of equal width, a line under the head. */
function table(head, rows) {
  const widths = head.map((_, column) => Math.max(...[head, ...rows].map((row) => row[column].length)));
  const line = (row) =>
    row
      .map((cell, column) => cell.padEnd(widths[column]))
      .join("  ")
      .trimEnd();
  return [line(head), widths.map((width) => "─".repeat(width)).join("  "), ...rows.map(line)].join("\n");
}

/**
 * The stack's outputs; none before the first `up`. Those of the local stack are read from its state, because asking
 * Pulumi costs a tenth of an `up` without changes; its form is checkpoint version 3, which holds no secrets there.
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

/** Runs one of the host's scripts, which are [name, ...arguments], and returns what it prints. */
function runOnHost(words, host, stack) {
  const { status, stdout } = tryOnHost(words, host, stack);
  if (status !== 0) throw new Error(`${words[0]} failed on the host; its reason is above.`);
  return stdout;
}

/**
 * Runs one of the host's scripts, however it ends.
 *
 * @param input its standard input
 * @param stderr what becomes of its messages: "inherit" shows them, "pipe" returns them
 */
export function tryOnHost([script, ...words], { directory, ssh }, stack, { input, stderr = "inherit" } = {}) {
  const command = ["bash", `${directory}/bin/${script}`, directory, ...words];
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
  return finished;
}

/** The private key for a stack's host, which is asked for once: the one in its config, or the one that the stack has made. */
export function privateKey(stack) {
  return (stack.privateKey ??= findPrivateKey(stack));
}

function findPrivateKey(stack) {
  const config = pulumiJson(["config", "--json", "--show-secrets", "--stack", stack.name], stack);
  const given = config["xsched-triton:host"]?.objectValue?.privateKey;
  if (given !== undefined) return given;
  const outputs = pulumiJson(["stack", "output", "--json", "--show-secrets", "--stack", stack.name], stack);
  if (outputs.sshPrivateKey === undefined) throw new Error("The stack's config has no host.privateKey.");
  return outputs.sshPrivateKey;
}
