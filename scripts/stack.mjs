// `npm run up`, `preview`, `down` and `status`: installs what a fresh clone lacks, then runs the plain Pulumi command.
import { spawnSync } from "node:child_process";
import fs from "node:fs";
import os from "node:os";
import { setTimeout } from "node:timers/promises";

import { readLocks, removeTornAttributes } from "./file-backend.mjs";
import { takeFolder } from "./fleet-target.mjs";
import { adviseOnHost, forgetHost, requireHost } from "./lost-host.mjs";
import { installPackages } from "./packages.mjs";
import { stateForAccess } from "./changed-access.mjs";
import { placesToChooseAgain } from "./chosen-place.mjs";
import { isAskedAfter, notRunning, stoppedInstance, stopsAtTimes } from "./instance.mjs";
import { describeServer, printServer, resumeServer } from "./server-status.mjs";
import { stackConfig, stackOutputs } from "./stack-host.mjs";
import { exportState, importState, resourcesOf } from "./stack-state.mjs";
import { LOCAL_STATE, mayBeOnAws, openStack, ROOT, UsageError } from "./stack-target.mjs";
import { ToolchainError } from "./toolchain.mjs";

/** The Pulumi command behind each of ours, and its flags where nobody is asked. */
const COMMANDS = {
  up: { pulumi: ["up"], unattended: ["--yes", "--skip-preview", "--suppress-outputs"] },
  preview: { pulumi: ["preview"], unattended: [] },
  down: { pulumi: ["destroy"], unattended: ["--yes", "--skip-preview"] },
  status: { pulumi: undefined, unattended: [] },
};

/** Forgets what was deployed on a host that nobody can reach any more. */
const HOST_IS_GONE = "--host-is-gone";

/** Does not ask AWS beforehand whether it can create what is missing. */
const NO_PREFLIGHT = "--no-preflight";

/** Flags that are not Pulumi's. */
const OURS = ["--verify", NO_PREFLIGHT, HOST_IS_GONE];

function parseArguments([command = "", ...rest]) {
  if (!Object.hasOwn(COMMANDS, command)) {
    const problem = command === "" ? "No command given." : `Unknown command "${command}".`;
    throw new UsageError(`${problem} Use one of: ${Object.keys(COMMANDS).join(", ")}.`);
  }
  const named = rest[0] !== undefined && !rest[0].startsWith("-");
  const flags = (named ? rest.slice(1) : rest).filter((flag) => !OURS.includes(flag));
  // Reads every file of the models, also those that have not changed by size and times (components/models/fileDigests.ts).
  if (rest.includes("--verify")) process.env.XSCHED_TRITON_VERIFY = "1";
  const hostIsGone = rest.includes(HOST_IS_GONE);
  if (hostIsGone && command !== "down") throw new UsageError(`${HOST_IS_GONE} is for npm run down.`);
  const asksFirst = command === "up" && !rest.includes(NO_PREFLIGHT);
  return { command, stack: named ? rest[0] : "local", flags, hostIsGone, asksFirst };
}

/** There is a tritonserver for Linux alone. */
function requireLinux() {
  if (process.platform === "linux") return;
  throw new UsageError(
    `The stack "local" runs Triton on this machine, which needs Linux; this is ${process.platform}.\n` +
      "fix: deploy from here to a machine with Linux (README.md, Deploy over SSH), or use Linux or WSL 2",
  );
}

function run(program, words, environment) {
  const { status, signal, error } = spawnSync(program, words, {
    cwd: ROOT,
    env: environment,
    stdio: "inherit",
  });
  if (error) throw error;
  return signal ? 1 : status;
}

/** How long an update may take to end after it was killed, in milliseconds. */
const END_MS = 3000;

/** Refuses to wait for a running update, naming it; removes the lock of an update that was killed. */
async function checkLocks() {
  let { held, left } = readLocks(LOCAL_STATE);
  for (const end = Date.now() + END_MS; held.length > 0 && Date.now() < end;) {
    await setTimeout(100);
    ({ held, left } = readLocks(LOCAL_STATE));
  }
  for (const { file, pid, hostname } of held) {
    const elsewhere = hostname !== os.hostname();
    throw new UsageError(
      `Another update of the stack "local" is running (process ${pid} on ${hostname}). Run this again when it has ended.` +
        (elsewhere ? `\nfix: if ${hostname} is gone, remove its lock: rm ${file}` : ""),
    );
  }
  for (const { file, pid } of left) {
    console.error(`Removing the lock of an update that was killed${pid ? ` (process ${pid})` : ""}.`);
    fs.rmSync(file, { force: true });
  }
}

/**
 * Forgets what an update was doing when it was killed. Pulumi keeps it for somebody who looks whether it is done, and warns
 * until then; but all that the stack "local" does can be done again at any time.
 */
function forgetInterruption(stack) {
  const { stateFile } = stack;
  if (!fs.existsSync(stateFile)) return;
  const { checkpoint } = JSON.parse(fs.readFileSync(stateFile, "utf8"));
  const pending = checkpoint?.latest?.pending_operations ?? [];
  if (pending.length === 0) return;
  const operations = pending.map(({ resource, type }) => `${type} ${resource.urn.split("::").at(-1)}`);
  console.error(
    `The last update was killed while it was ${operations.join(", ")}. That is done again where needed.`,
  );
  const { version, deployment } = exportState(stack);
  delete deployment.pending_operations;
  importState(stack, { version, deployment });
}

/**
 * Pulumi would refuse to delete a protected resource, but only after deleting everything that depends on it: the machine
 * would be left without its server, its models and its alarms.
 */
function refuseProtected(stack, flags) {
  const { name } = stack;
  // A user who names what to delete knows what stays.
  if (flags.some((flag) => /^(-t|-x|--target|--exclude)/.test(flag))) return;
  const names = resourcesOf(stack)
    .filter(({ protect }) => protect)
    .map(({ urn }) => urn.split("::").at(-1));
  if (names.length === 0) return;
  throw new UsageError(
    `The stack "${name}" is protected, so nothing was removed: ${names.join(", ")}\n` +
      `fix: pulumi config set --stack ${name} --path 'xsched-triton:host.protect' false\n` +
      `     npm run up -- ${name}, and then again: npm run down -- ${name}`,
  );
}

/** The access that a stack's config asks for, and the state that an `up` to it needs, if that is another one. */
function changedAccess(stack) {
  const access = stackConfig(stack)["xsched-triton:host"]?.objectValue?.access ?? "ssh";
  return { access, state: stateForAccess(stack.state, access) };
}

/** Prepares a stack's state for an `up` that changes its access. */
function changeAccess(stack) {
  const { access, state } = changedAccess(stack);
  if (state === undefined) return;
  console.error(
    `The access of the stack "${stack.name}" becomes ${access}; what is on its instance is kept.`,
  );
  importState(stack, state);
  stack.state = state;
}

/** Pulumi cannot show what has not been prepared. */
function refuseChangedAccess(stack) {
  const { access, state } = changedAccess(stack);
  if (state === undefined) return;
  throw new UsageError(
    `The access of the stack "${stack.name}" becomes ${access}, which a preview alone cannot show.\n` +
      `fix: npm run up -- ${stack.name}, which shows what will change, and asks`,
  );
}

/** The longest that an update waits for the models of an instance that it has started, in milliseconds. */
const LONGEST_WAKE_MS = 10 * 60_000;

/** The outputs in the state that a stack was opened with. */
const outputsIn = ({ state }) =>
  state?.deployment.resources?.find(({ type }) => type === "pulumi:pulumi:Stack")?.outputs ?? {};

/**
 * An instance that has stopped on purpose is started for an `up`, and for nothing else. One that somebody has stopped is left to
 * them.
 */
async function attendToStopped(target, command, keepsInstance) {
  const outputs = outputsIn(target);
  if (!isAskedAfter(outputs)) return;
  const stopped = await stoppedInstance(target, outputs);
  // What is gone, a refresh replaces.
  if (stopped === undefined || stopped.gone) return;
  if (command === "preview") {
    console.error(`${stopped.line}\nUntil then, nobody knows what is on it.`);
  } else if (keepsInstance && !stopsAtTimes(outputs)) {
    throw new UsageError(`${stopped.line}\nNothing was changed.`);
  } else if (keepsInstance) {
    const { wake } = await import("./await-serving.mjs");
    // Without its models, too: the update may be what mends them.
    await wake(target, outputs, console.error, LONGEST_WAKE_MS);
  }
}

/** Describes the server of a stack; a host that does not answer may have been stopped. */
async function statusOf(target) {
  const outputs = stackOutputs(target);
  const stopped = isAskedAfter(outputs) ? await notRunning(target, outputs) : undefined;
  if (stopped !== undefined) return { stopped };
  try {
    return { server: describeServer(target, outputs) };
  } catch (error) {
    const found = await notRunning(target, outputs);
    if (found === undefined) throw error;
    return { stopped: found };
  }
}

/**
 * Ends an `up` before it begins, if AWS cannot create what the stack lacks. Faults of the settings are left to Pulumi.
 *
 * @returns whether the stack keeps its instance
 */
async function askAws(target) {
  const { preflight } = await import("./preflight.mjs");
  const { text, kind } = await preflight(target);
  if (kind === "refused") {
    throw new UsageError(`${text}\nTo try it all the same: npm run up -- ${target.name} ${NO_PREFLIGHT}`);
  }
  if (kind === "possible") console.error(text);
  return kind === "nothing";
}

async function main(argv) {
  const { folder, words } = takeFolder(argv);
  const { command, stack, flags, hostIsGone, asksFirst } = parseArguments(words);
  if (stack === "local" && command === "up") requireLinux();
  installPackages(ROOT);
  if (folder !== undefined) {
    if (command !== "status") {
      throw new UsageError(
        `--cwd is for npm run status.\nfix: pulumi ${command} --cwd ${folder} --stack ${stack}`,
      );
    }
    const { fleetStatus } = await import("./fleet-status.mjs");
    return fleetStatus(folder, stack);
  }
  if (command === "status" && flags[0]?.startsWith("--watch")) {
    const { watchServer } = await import("./watch.mjs");
    return watchServer(stack, flags);
  }
  const onAws = mayBeOnAws(stack);
  // Where the state is looked at before Pulumi changes it.
  const target = await openStack(stack, {
    withState: command === "down" || (["up", "preview"].includes(command) && onAws),
  });
  const { pulumi, unattended } = COMMANDS[command];
  const local = stack === "local";
  if (local && (command === "up" || command === "down")) {
    await checkLocks();
    removeTornAttributes(LOCAL_STATE);
    forgetInterruption(target);
  }
  const keepsInstance = asksFirst && onAws ? await askAws(target) : true;
  if (!local && command === "down") refuseProtected(target, flags);
  if (hostIsGone) forgetHost(target, [...(local ? unattended : []), ...flags]);
  else if (command === "down") requireHost(target);
  if (command === "up" && onAws) changeAccess(target);
  if (command === "preview" && onAws) refuseChangedAccess(target);
  if (["up", "preview"].includes(command) && onAws) await attendToStopped(target, command, keepsInstance);
  if (pulumi) {
    const again = command === "up" && onAws ? placesToChooseAgain(resourcesOf(target)) : [];
    const replace = again.flatMap((urn) => ["--replace", urn]);
    const words = [...pulumi, "--stack", stack, ...(local ? unattended : []), ...replace, ...flags];
    const status = run("pulumi", words, target.environment);
    if (status !== 0 && command === "down") adviseOnHost(target);
    if (status !== 0) return status;
  }
  if (command === "up" || command === "status") {
    const { server: found, stopped } = await statusOf(target);
    if (stopped !== undefined) {
      console.log(`\n${stopped}`);
      return 1;
    }
    const server = command === "up" ? resumeServer(found, target) : found;
    printServer(server, target);
    return server.healthy ? 0 : 1;
  }
  return 0;
}

// Pulumi receives the same Ctrl-C and shuts down in order; this process waits for it.
for (const signal of ["SIGINT", "SIGTERM"]) process.on(signal, () => {});
try {
  process.exitCode = await main(process.argv.slice(2));
} catch (error) {
  console.error(
    error instanceof UsageError || error instanceof ToolchainError || error.isForUser
      ? error.message
      : (error.stack ?? error),
  );
  process.exitCode = 1;
}
