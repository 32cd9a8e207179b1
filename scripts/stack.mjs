// What `npm run up`, `preview`, `down` and `status` call: sets up whatever a fresh clone lacks, then runs the plain
// Pulumi command. The stack `local` needs no account and no prompt; its state lies in .local/. Any other stack uses
// the backend that the user is logged in to.
import { spawnSync } from "node:child_process";
import fs from "node:fs";
import os from "node:os";
import path from "node:path";

import { installPackages } from "./packages.mjs";
import { describeServer, printServer, resumeServer } from "./server-status.mjs";
import { defaultTools, ensureTools, isRunning, ToolchainError } from "./toolchain.mjs";

const ROOT = path.resolve(import.meta.dirname, "..");
const LOCAL = path.join(ROOT, ".local");
const LOCAL_STATE = path.join(LOCAL, "state");
/** Where Pulumi's file backend keeps the stack "local". */
const LOCAL_STATE_FILE = path.join(LOCAL_STATE, ".pulumi", "stacks", "xsched-triton", "local.json");

/** The Pulumi command of each of ours, and what it says when there is nobody to ask. */
const COMMANDS = {
  up: { pulumi: ["up"], unattended: ["--yes", "--skip-preview", "--suppress-outputs"] },
  preview: { pulumi: ["preview"], unattended: [] },
  down: { pulumi: ["destroy"], unattended: ["--yes", "--skip-preview"] },
  status: { pulumi: undefined, unattended: [] },
};

class UsageError extends Error {}

function parseArguments([command = "", ...rest]) {
  if (!Object.hasOwn(COMMANDS, command)) {
    const problem = command === "" ? "No command given." : `Unknown command "${command}".`;
    throw new UsageError(`${problem} Use one of: ${Object.keys(COMMANDS).join(", ")}.`);
  }
  const named = rest[0] !== undefined && !rest[0].startsWith("-");
  return { command, stack: named ? rest[0] : "local", flags: named ? rest.slice(1) : rest };
}

/** What a stack needs: the provider that builds images only if its config names a build. */
function toolsFor(stack) {
  const file = path.join(ROOT, `Pulumi.${stack}.yaml`);
  const builds = fs.existsSync(file) && /\bbuild["']?\s*:/.test(fs.readFileSync(file, "utf8"));
  return builds ? [...defaultTools, "pulumi-resource-docker-build"] : defaultTools;
}

/** Environment of Pulumi for a stack; `tools` as `ensureTools` gives them. */
function environmentFor(stack, tools) {
  const environment = {
    ...process.env,
    PATH: [tools.path, process.env.PATH].join(path.delimiter),
    PULUMI_SKIP_UPDATE_CHECK: "true",
    // Types are checked by `npm test`; checking them again in each run doubles the time of an `up` without changes.
    PULUMI_NODEJS_TRANSPILE_ONLY: "true",
  };
  if (stack !== "local") {
    // The user's own PULUMI_HOME holds the log-in, so a provider that is not in it is offered on PATH.
    const plugins = path.join(process.env.PULUMI_HOME || path.join(os.homedir(), ".pulumi"), "plugins");
    const providers = Object.values(tools.tools)
      .map(({ file }) => path.dirname(file))
      .filter((folder) => folder !== tools.path && !fs.existsSync(path.join(plugins, path.basename(folder))));
    return { ...environment, PATH: [environment.PATH, ...providers].join(path.delimiter) };
  }
  fs.mkdirSync(LOCAL_STATE, { recursive: true });
  return {
    ...environment,
    PULUMI_BACKEND_URL: `file://${LOCAL_STATE}`,
    PULUMI_HOME: pulumiHome(tools),
    PULUMI_DISABLE_AUTOMATIC_PLUGIN_ACQUISITION: "true",
    // The stack has no secrets to protect (refuseLocalSecrets), so the passphrase need not be one.
    PULUMI_CONFIG_PASSPHRASE: "",
  };
}

/** A home of this clone's own with the toolchain's plugins: Pulumi writes into its home, and clones share a toolchain. */
function pulumiHome(tools) {
  const home = path.join(LOCAL, "pulumi");
  const plugins = path.join(home, "plugins");
  const shared = path.join(tools.home, "plugins");
  fs.mkdirSync(home, { recursive: true });
  const present = fs.lstatSync(plugins, { throwIfNoEntry: false });
  if (!present?.isSymbolicLink() || fs.readlinkSync(plugins) !== shared) {
    fs.rmSync(plugins, { recursive: true, force: true });
    fs.symlinkSync(shared, plugins);
  }
  return home;
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

/** The local stack's passphrase is known to everybody, so a secret in its config would not be one. */
function refuseLocalSecrets() {
  const file = path.join(ROOT, "Pulumi.local.yaml");
  if (fs.existsSync(file) && /^\s*secure:/m.test(fs.readFileSync(file, "utf8"))) {
    throw new UsageError(
      'Pulumi.local.yaml holds a secret, but the stack "local" cannot keep one: its encryption passphrase is empty. ' +
        "Make a stack of your own for hosts that need a key: pulumi stack init dev",
    );
  }
}

/** Waits for nobody: an update that runs is named, and the lock of one that was killed is removed. */
function checkLocks() {
  const locks = path.join(LOCAL_STATE, ".pulumi", "locks");
  if (!fs.existsSync(locks)) return;
  for (const name of fs.readdirSync(locks, { recursive: true })) {
    if (!name.endsWith(".json")) continue;
    const file = path.join(locks, name);
    const { pid, hostname } = JSON.parse(fs.readFileSync(file, "utf8"));
    if (hostname !== os.hostname() || isRunning(pid)) {
      throw new UsageError(
        `Another update of the stack "local" is under way (process ${pid} on ${hostname}). Run this again when it has ended.`,
      );
    }
    console.error(`Removing the lock of an update that ended without giving it back (process ${pid}).`);
    fs.rmSync(file);
  }
}

/** Other stacks are the user's: says what is missing before Pulumi asks or fails half way. */
function requireStack(stack, environment) {
  const words = ["stack", "--show-name", "--stack", stack, "--non-interactive"];
  const { status, stderr, error } = spawnSync("pulumi", words, {
    cwd: ROOT,
    env: environment,
    encoding: "utf8",
  });
  if (error) throw error;
  if (status !== 0) {
    throw new UsageError(
      `The stack "${stack}" cannot be used: ${stderr.trim().replace(/^error: /, "")}\n` +
        `fix: pulumi login, then pulumi stack init ${stack}`,
    );
  }
}

function createLocalStack(environment) {
  if (fs.existsSync(LOCAL_STATE_FILE)) return;
  const words = ["stack", "select", "--create", "local", "--non-interactive"];
  const { status, stderr, error } = spawnSync("pulumi", words, {
    cwd: ROOT,
    env: environment,
    encoding: "utf8",
  });
  if (error) throw error;
  if (status !== 0) throw new Error(`The stack "local" cannot be created:\n${stderr}`);
}

async function main(argv) {
  const { command, stack, flags } = parseArguments(argv);
  installPackages(ROOT);
  const tools = await ensureTools(toolsFor(stack), { log: console.error });
  const environment = environmentFor(stack, tools);
  const local = stack === "local";
  if (local) {
    refuseLocalSecrets();
    createLocalStack(environment);
    if (command === "up" || command === "down") checkLocks();
  } else {
    requireStack(stack, environment);
  }
  const { pulumi, unattended } = COMMANDS[command];
  if (pulumi) {
    const words = [...pulumi, "--stack", stack, ...(local ? unattended : []), ...flags];
    const status = run("pulumi", words, environment);
    if (status !== 0) return status;
  }
  if (command === "up" || command === "status") {
    const target = { name: stack, root: ROOT, environment, stateFile: local ? LOCAL_STATE_FILE : undefined };
    const found = describeServer(target);
    const server = command === "up" ? resumeServer(found, target) : found;
    printServer(server, target);
    return server.healthy ? 0 : 1;
  }
  return 0;
}

// Pulumi gets the same Ctrl-C and ends in order; this process waits for it.
for (const signal of ["SIGINT", "SIGTERM"]) process.on(signal, () => {});
try {
  process.exitCode = await main(process.argv.slice(2));
} catch (error) {
  console.error(
    error instanceof UsageError || error instanceof ToolchainError ? error.message : (error.stack ?? error),
  );
  process.exitCode = 1;
}
