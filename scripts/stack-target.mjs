// A stack as the commands beside Pulumi's own see it: its name, its tools, and the environment in which Pulumi finds it.
// The stack `local` needs no account and no prompt; its state lies in .local/. Any other stack uses the backend that
// the user is logged in to.
import { spawnSync } from "node:child_process";
import fs from "node:fs";
import os from "node:os";
import path from "node:path";

import { defaultTools, ensureTools, isReady } from "./toolchain.mjs";

export const ROOT = path.resolve(import.meta.dirname, "..");
const LOCAL = path.join(ROOT, ".local");
export const LOCAL_STATE = path.join(LOCAL, "state");
/** Where Pulumi's file backend keeps the stack "local". */
const LOCAL_STATE_FILE = path.join(LOCAL_STATE, ".pulumi", "stacks", "xsched-triton", "local.json");

const IMAGE_PROVIDER = "pulumi-resource-docker-build";

/** A command that cannot be carried out as it was given; its message is all that the user needs. */
export class UsageError extends Error {}

/** A stack whose tools are there, and that exists. */
export async function openStack(name) {
  const environment = environmentFor(name, await ensureTools(toolsFor(name), { log: console.error }));
  const local = name === "local";
  if (local) {
    refuseLocalSecrets();
    createLocalStack(environment);
  } else {
    requireStack(name, environment);
  }
  return { name, root: ROOT, environment, stateFile: local ? LOCAL_STATE_FILE : undefined };
}

/** The same for a command that only looks: of the stack "local" it needs no tools, since its state is a file. */
export async function lookAtStack(name) {
  if (name !== "local") return openStack(name);
  return { name, root: ROOT, environment: process.env, stateFile: LOCAL_STATE_FILE };
}

/**
 * What a stack needs. The provider that builds images is made ready only if the config names a build; where it is, it is
 * offered to every stack: one that has built and does not any more has an image in its state.
 */
function toolsFor(stack) {
  const file = path.join(ROOT, `Pulumi.${stack}.yaml`);
  const builds = fs.existsSync(file) && /\bbuild["']?\s*:/.test(fs.readFileSync(file, "utf8"));
  return builds || isReady(IMAGE_PROVIDER) ? [...defaultTools, IMAGE_PROVIDER] : defaultTools;
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
