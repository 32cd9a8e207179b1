// Asks a stack's host what its Triton serves now, and prints it as a table.
import { clientAccess, preparations } from "./client-access.mjs";
import { exampleRequest } from "./example-request.mjs";
import { isLoopback } from "./proxy.mjs";
import { stackOutputs, tryOnHost } from "./stack-host.mjs";

/**
 * What a stack's host serves, as the agent's command `status` reports it, and the stack's outputs.
 * `healthy` is true if the server runs, every model of the stack is ready and clients can reach them.
 */
export function describeServer(stack, outputs = stackOutputs(stack)) {
  if (outputs.host === undefined) {
    return { running: false, models: [], outputs, healthy: false };
  }
  const server = answerOf(runOnHost(["status"], outputs.host, stack));
  return { ...server, outputs, healthy: isHealthy(server, outputs) };
}

/**
 * What the agent has answered, from JSON.
 *
 * @throws Error for the user, if something else has answered in its place
 */
export function answerOf(text) {
  try {
    return JSON.parse(text);
  } catch {
    const printed = text.trim();
    const what = `the host has not run the command${printed && `; its shell has printed: ${printed.slice(-1000)}`}`;
    const fix =
      "where a start-up file of the user's shell there, such as ~/.bashrc, ends with exit or exec, let it do so in interactive shells only";
    throw Object.assign(new Error(`error: ${what}\nfix: ${fix}`), { isForUser: true });
  }
}

/** Whether a server, as the agent's `status` describes it, is all that the stack's outputs promise. */
export function isHealthy(server, outputs) {
  const ready = new Set(server.models.filter((model) => model.ready).map((model) => model.name));
  return (
    server.running &&
    outputs.models.every(({ name }) => ready.has(name)) &&
    (outputs.gateway === undefined || gatewayRuns(server))
  );
}

/**
 * Starts a deployed server that does not run: a process does not survive a reboot of its host, and Pulumi, which only
 * compares the config with its own last state, sees nothing to do.
 */
export function resumeServer(server, stack) {
  if (server.running || server.outputs.host === undefined) return server;
  console.error("Triton is deployed but does not run. Starting it again …");
  runOnHost(["resume"], server.outputs.host, stack);
  return describeServer(stack);
}

const gatewayRuns = ({ gateway }) => gateway?.running === true;

/** Prints the table of models and, if any model serves, a request to try. */
export function printServer(server, { name }) {
  if (!server.running) {
    console.log(`\nNo Triton serves on the stack "${name}". Start it: ${upOf(name)}`);
    for (const line of buildLines(server)) console.log(line);
    return;
  }
  console.log(`\n${modelTable(server.models)}`);
  const access = clientAccess(server);
  const behind = server.outputs.gateway === undefined ? "" : `, behind the gateway at ${access.url}`;
  console.log(`\nTriton ${server.version} at http://${server.http} (process ${server.pid})${behind}`);
  if (behind !== "" && !gatewayRuns(server))
    console.log(`The gateway does not run, so no client gets through. Put it back: ${upOf(name)}`);
  for (const line of placeLines(server.outputs)) console.log(line);
  for (const line of buildLines(server)) console.log(line);
  for (const line of outsiderLines(server)) console.log(line);
  const { hostname, host } = new URL(access.url);
  if (server.outputs.host.ssh && isLoopback(hostname)) {
    const { user, address, port, proxyCommand } = server.outputs.host.ssh;
    const proxy = proxyCommand === undefined ? "" : `-o ProxyCommand='${proxyCommand}' `;
    console.log(`Reach it through a tunnel: ssh ${proxy}-p ${port} -N -L ${host}:${host} ${user}@${address}`);
  }
  const request = exampleRequest(server, access);
  if (request) {
    const lines = [...preparations(server, name), request];
    console.log(`\nTry it:\n${lines.map((line) => `  ${line}`).join("\n")}`);
  } else if (server.models.some(({ ready }) => ready))
    console.log("\nNone of these models takes a request that curl can make; use a gRPC client.");
}

/** The models; their floors and their weights where any of them has one. */
export function modelTable(models) {
  const hasFloors = models.some(({ floor }) => floor > 0);
  const hasWeights = models.some(({ weight }) => weight > 0);
  const rows = models.map(({ name, version, priority, floor, weight, ready, reason }) => [
    name,
    String(version ?? "–"),
    String(priority ?? "–"),
    ...(hasFloors ? [floor > 0 ? `${floor} %` : "–"] : []),
    ...(hasWeights ? [weight > 0 ? String(weight) : "–"] : []),
    ready ? "yes" : `no${reason ? `: ${reason}` : ""}`,
  ]);
  const shares = [...(hasFloors ? ["floor"] : []), ...(hasWeights ? ["weight"] : [])];
  return table(["model", "version", "priority", ...shares, "ready"], rows);
}

/** What is said of the instance on AWS: where it is, and why it is not where the settings prefer it to be. */
export function placeLines({ aws }) {
  // A stack that no `up` of this release has seen does not say so.
  if (aws?.instanceType === undefined) return [];
  const { instanceId, instanceType, zone, onSpot, passedOver } = aws;
  const market = onSpot ? "on spot capacity" : "on demand";
  return [
    `On AWS: ${instanceId}, a ${instanceType} in ${zone}, ${market}`,
    ...(passedOver.length > 0 ? ["AWS had no capacity for what comes first in the settings:"] : []),
    ...passedOver.map((choice) => `  ${choice}`),
    ...stopLines(aws.stops),
  ];
}

/** When an instance comes to stop on purpose. */
function stopLines({ idleMinutes, start, stop, timeZone } = {}) {
  const times = [
    ...(start === undefined ? [] : [`starts at ${start}`]),
    ...(stop === undefined ? [] : [`stops at ${stop}`]),
  ];
  return [
    ...(idleMinutes === undefined ? [] : [`It stops itself after ${idleMinutes} min without a request.`]),
    ...(times.length > 0 ? [`By its schedule, it ${times.join(" and ")}, ${timeZone}.`] : []),
  ];
}

/** What is said of engines that are being built, as the agent's `status` lists them. */
export function buildLines({ builds }) {
  return (builds ?? []).map(
    ({ model, version, below, seconds }) =>
      `Building the engine of ${model}, version ${version}, for ${duration(seconds)}: ` +
      (below
        ? "models come first."
        : "its builder is in no scheduling domain, so models share the GPU with it."),
  );
}

const duration = (seconds) => (seconds < 60 ? `${seconds} s` : `${Math.floor(seconds / 60)} min`);

/** What is said of programs on the GPU that do not wait for the models, as the agent's `status` lists them. */
export function outsiderLines({ outsiders }) {
  if (!outsiders?.length) return [];
  const names = outsiders.map(({ pid, name }) => `${name} (process ${pid})`);
  return [
    `On the GPU, but not scheduled with the models, so that these can wait for it: ${names.join(", ")}.`,
    "Start such a program with xsched-run; see docs/how-to/priorities.md.",
  ];
}

const upOf = (stack) => `npm run up${stack === "local" ? "" : ` -- ${stack}`}`;

/** Left-aligned columns, with a line under the head. */
export function table(head, rows) {
  const widths = head.map((_, column) => Math.max(...[head, ...rows].map((row) => row[column].length)));
  const line = (row) =>
    row
      .map((cell, column) => cell.padEnd(widths[column]))
      .join("  ")
      .trimEnd();
  return [line(head), widths.map((width) => "─".repeat(width)).join("  "), ...rows.map(line)].join("\n");
}

/** Runs a command of the host's agent, `[name, ...arguments]`, and returns its result as JSON. */
function runOnHost(words, host, stack) {
  const { status, stdout } = tryOnHost(words, host, stack);
  if (status !== 0) {
    const what = `${words[0]} failed on the host; see its error above.`;
    throw Object.assign(new Error(what), { isForUser: true });
  }
  return stdout;
}
