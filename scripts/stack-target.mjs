// A stack as our own commands see it: its name, its tools, and the environment in which Pulumi finds it. The stack
// `local` needs no account and no prompt, and keeps its state in .local/. Any other stack uses the backend that the user
// is logged in to.
import "./node-version.mjs";

import { spawnSync } from "node:child_process";
import fs from "node:fs";
import os from "node:os";
import path from "node:path";
import { pathToFileURL } from "node:url";

import { withoutDebugLogs } from "./debug-log.mjs";
import { withoutProxy } from "./proxy.mjs";
import { withoutDeadAgent } from "./ssh-agent.mjs";
import { defaultTools, ensureTools, isReady } from "./toolchain.mjs";

export const ROOT = path.resolve(import.meta.dirname, "..");
const LOCAL = path.join(ROOT, ".local");
export const LOCAL_STATE = path.join(LOCAL, "state");
/** Where Pulumi's file backend keeps the stack "local" of each project. */
const LOCAL_STACKS = path.join(LOCAL_STATE, ".pulumi", "stacks");
const LOCAL_STATE_FILE = path.join(LOCAL_STACKS, projectName(), "local.json");

/** The longest state that is read. */
export const MAX_STATE_BYTES = 1024 ** 3;

const IMAGE_PROVIDER = "pulumi-resource-docker-build";

/** A command that cannot be carried out as given. Its message is all that the user needs. */
export class UsageError extends Error {}

/**
 * An existing stack, with its tools installed.
 *
 * @param withState asks a stack that is not `local` for its state as well, for `resourcesOf`: that takes Pulumi hardly longer
 *   than to say that there is such a stack
 */
export async function openStack(name, { withState = false } = {}) {
  const environment = {
    ...environmentFor(name, await ensureTools(toolsFor(name), { log: console.error })),
    ...(await withoutDeadAgent(process.env)),
  };
  const stack = { name, root: ROOT, environment, stateFile: undefined };
  if (name === "local") {
    refuseLocalSecrets();
    createLocalStack(environment);
    return { ...stack, stateFile: LOCAL_STATE_FILE };
  }
  const state = requireStack(name, environment, withState ? ["export"] : ["--show-name"]);
  return withState ? { ...stack, state: JSON.parse(state) } : stack;
}

/** The same for a read-only command, which needs no tools for the stack "local": its state is a file. */
export async function lookAtStack(name) {
  if (name !== "local") return openStack(name);
  return { name, root: ROOT, environment: process.env, stateFile: LOCAL_STATE_FILE };
}

/**
 * The tools that a stack needs. The provider that builds images is only installed for a config with a build. Once
 * installed, every stack gets it: a stack that no longer builds may still have an image in its state.
 */
function toolsFor(stack) {
  const file = path.join(ROOT, `Pulumi.${stack}.yaml`);
  const builds = fs.existsSync(file) && /\bbuild["']?\s*:/.test(fs.readFileSync(file, "utf8"));
  return builds || isReady(IMAGE_PROVIDER) ? [...defaultTools, IMAGE_PROVIDER] : defaultTools;
}

/** Whether the config of a stack may name a host on AWS: any other stack does not pay for the question. */
export function mayBeOnAws(stack) {
  const file = path.join(ROOT, `Pulumi.${stack}.yaml`);
  return fs.existsSync(file) && /\bkind["']?\s*:\s*["']?aws\b/.test(fs.readFileSync(file, "utf8"));
}

/** Pulumi's environment for a stack; `tools` is the result of `ensureTools`. */
function environmentFor(stack, tools) {
  const environment = {
    ...process.env,
    ...withoutProxy(process.env),
    PATH: [tools.path, process.env.PATH].join(path.delimiter),
    PULUMI_SKIP_UPDATE_CHECK: "true",
    // `npm test` checks the types; a policy pack need not do so in every run.
    PULUMI_NODEJS_TRANSPILE_ONLY: "true",
  };
  if (stack !== "local") {
    // The user's own PULUMI_HOME has the login, so we offer providers that it lacks on PATH.
    const plugins = path.join(process.env.PULUMI_HOME || path.join(os.homedir(), ".pulumi"), "plugins");
    const providers = Object.values(tools.tools)
      .map(({ file }) => path.dirname(file))
      .filter((folder) => folder !== tools.path && !fs.existsSync(path.join(plugins, path.basename(folder))));
    return { ...environment, PATH: [environment.PATH, ...providers].join(path.delimiter) };
  }
  fs.mkdirSync(LOCAL_STATE, { recursive: true });
  return {
    ...environment,
    PULUMI_BACKEND_URL: pathToFileURL(LOCAL_STATE).href,
    PULUMI_HOME: pulumiHome(tools),
    PULUMI_DISABLE_AUTOMATIC_PLUGIN_ACQUISITION: "true",
    // The stack has no secrets to protect (refuseLocalSecrets), so an empty passphrase will do.
    PULUMI_CONFIG_PASSPHRASE: "",
  };
}

/** A PULUMI_HOME for this clone with the toolchain's plugins: Pulumi writes to its home, and clones share a toolchain. */
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
  withoutDebugLogs(home);
  return home;
}

/** Everybody knows the local stack's passphrase, so a secret in its config would not be secret. */
function refuseLocalSecrets() {
  const file = path.join(ROOT, "Pulumi.local.yaml");
  if (fs.existsSync(file) && /^\s*secure:/m.test(fs.readFileSync(file, "utf8"))) {
    throw new UsageError(
      'Pulumi.local.yaml contains a secret, but the stack "local" cannot protect one: its encryption passphrase is empty. ' +
        "Create another stack for hosts that need a key: pulumi stack init dev",
    );
  }
}

/**
 * Other stacks belong to the user: reports what is missing before Pulumi asks or fails halfway. Returns what Pulumi answers to
 * the question.
 */
function requireStack(stack, environment, question) {
  const words = ["stack", ...question, "--stack", stack, "--non-interactive"];
  const { status, stdout, stderr, error } = spawnSync("pulumi", words, {
    cwd: ROOT,
    env: environment,
    encoding: "utf8",
    maxBuffer: MAX_STATE_BYTES,
  });
  if (error) throw error;
  if (status !== 0) {
    throw new UsageError(
      `The stack "${stack}" cannot be used: ${stderr.trim().replace(/^error: /, "")}\n` +
        `fix: pulumi login, then pulumi stack init ${stack}`,
    );
  }
  return stdout;
}

function createLocalStack(environment) {
  if (fs.existsSync(LOCAL_STATE_FILE)) return;
  refuseFormerProject();
  const words = ["stack", "select", "--create", "local", "--non-interactive"];
  const { status, stderr, error } = spawnSync("pulumi", words, {
    cwd: ROOT,
    env: environment,
    encoding: "utf8",
  });
  if (error) throw error;
  if (status !== 0) throw new Error(`The stack "local" cannot be created:\n${stderr}`);
}

/** The project's name in Pulumi.yaml. */
function projectName() {
  const text = fs.readFileSync(path.join(ROOT, "Pulumi.yaml"), "utf8");
  const name = /^name:\s*["']?([A-Za-z0-9_.-]+)/m.exec(text)?.[1];
  if (name === undefined) throw new UsageError("Pulumi.yaml has no name.\nfix: add name: xsched-triton");
  return name;
}

/** What a project of another name has deployed here would be out of reach, and in the way of a new deployment. */
function refuseFormerProject() {
  if (!fs.existsSync(LOCAL_STACKS)) return;
  const deployed = fs.readdirSync(LOCAL_STACKS).find((project) => {
    const file = path.join(LOCAL_STACKS, project, "local.json");
    if (!fs.existsSync(file)) return false;
    const { checkpoint } = JSON.parse(fs.readFileSync(file, "utf8"));
    return (checkpoint?.latest?.resources ?? []).length > 0;
  });
  if (deployed === undefined) return;
  throw new UsageError(
    `The stack "local" was deployed when this project was called ${deployed}; Pulumi.yaml calls it ${projectName()}.\n` +
      `fix: set name: ${deployed} in Pulumi.yaml; to rename the project, run npm run down before`,
  );
}
