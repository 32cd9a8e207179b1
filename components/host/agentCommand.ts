import { createHash } from "node:crypto";
import * as fs from "node:fs";
import * as path from "node:path";

import * as pulumi from "@pulumi/pulumi";

import type { HostLocationArgs } from "./hostCommand";
import { HostError } from "./hostError";

const AGENT = path.join(__dirname, "agent");

/** What comes before a command's result in its line; a login shell may print before. */
const RESULT = "xsched-triton-result ";

/** The words that run install-agent.py, which puts the agent into the host's folder. */
export function installation(...words: pulumi.Input<string>[]): pulumi.Input<string>[] {
  return ["sh", "-c", textOf("find-python.sh"), "find-python.sh", textOf("install-agent.py"), ...words];
}

/** The sources of the agent, `{path: text}` as JSON: standard input of `install-agent.py`. */
export function agentBundle(): string {
  const files = ["__main__.py", ...pythonFiles("agent")].sort();
  const texts = files.map((file) => [file, fs.readFileSync(path.join(AGENT, file), "utf8")]);
  return JSON.stringify(Object.fromEntries(texts));
}

/** A file of the agent: its path, and where it is. */
export interface AgentFile {
  readonly path: string;
  readonly file: string;
}

/** What each command of the agent imports. */
const COMMON = [
  "__main__.py",
  ...["__init__", "commands", "console", "deployments", "directory", "disk", "errors"].map(agentModule),
  ...["programs", "repairs"].map(agentModule),
];

/**
 * The sources of the agent's command `follow` alone, which runs beside Triton in a pod. A change of any other leaves the
 * pods as they are.
 */
export const FOLLOWING: readonly AgentFile[] = filesOf([
  ...COMMON,
  ...["exposition", "follow", "models/__init__", "models/wanted"].map(agentModule),
  ...["server/__init__", "server/scheduling"].map(agentModule),
  ...["__init__", "api", "grpc", "hpack", "http"].map((name) => agentModule(`triton/${name}`)),
]);

/** The sources of its command `guard` alone, which watches over the rollouts of a fleet. */
export const GUARDING: readonly AgentFile[] = filesOf([...COMMON, ...["guard", "rollout"].map(agentModule)]);

/** The sources of its command `build-engine-image` alone, which makes the engines of a fleet. */
export const BUILDING: readonly AgentFile[] = filesOf([
  ...COMMON,
  ...["engine_image", "registry", "trtexec"].map(agentModule),
]);

function filesOf(paths: readonly string[]): AgentFile[] {
  return paths.map((file) => ({ path: file, file: path.join(AGENT, file) }));
}

function agentModule(name: string): string {
  return `agent/${name}.py`;
}

/** Names the agent: 16 hexadecimal digits. */
export function agentDigest(): string {
  return createHash("sha256").update(agentBundle()).digest("hex").slice(0, 16);
}

function pythonFiles(folder: string): string[] {
  return fs
    .readdirSync(path.join(AGENT, folder), { withFileTypes: true })
    .flatMap((entry) => {
      const file = path.posix.join(folder, entry.name);
      return entry.isDirectory() ? pythonFiles(file) : [file];
    })
    .filter((file) => file.endsWith(".py"));
}

/** The text of a file beside this one. */
export function textOf(file: string): string {
  return fs.readFileSync(path.join(__dirname, file), "utf8");
}

/** Runs a command of the agent that `TritonHost` has installed; components/host/agent/README.md lists them. */
export function agentCommand(
  location: HostLocationArgs,
  command: string,
  ...words: pulumi.Input<string>[]
): pulumi.Input<string>[] {
  return [pulumi.interpolate`${location.directory}/bin/agent`, command, ...words];
}

/**
 * As `agentCommand`, to undo what a command has done. On a machine without the agent there is nothing to undo: its
 * address may have passed to it from another.
 */
export function agentRemoval(
  location: HostLocationArgs,
  command: string,
  ...words: pulumi.Input<string>[]
): pulumi.Input<string>[] {
  return ["sh", "-c", '[ ! -e "$1" ] || exec "$@"', "sh", ...agentCommand(location, command, ...words)];
}

/** Stops the server or the gateway. It may still run where the folder, and the agent with it, is gone. */
export function stopping(
  location: HostLocationArgs,
  command: "stop" | "remove-gateway",
): pulumi.Input<string>[] {
  return ["sh", "-c", textOf("stop.sh"), "stop.sh", ...agentCommand(location, command)];
}

/** What a command has answered, in whatever else is printed; undefined if it has not. */
export function answerIn(stdout: string): unknown {
  const line = stdout
    .split("\n")
    .reverse()
    .find((text) => text.includes(RESULT));
  return line === undefined ? undefined : JSON.parse(line.slice(line.indexOf(RESULT) + RESULT.length));
}

/**
 * What a command of the agent has answered.
 *
 * @throws HostError if something else has answered in its place
 */
export function resultOf(stdout: string): unknown {
  const answer = answerIn(stdout);
  if (answer === undefined) {
    const printed = stdout.trim().slice(-1000);
    throw new HostError(
      `the host has not run the command${printed && `; its shell has printed: ${printed}`}`,
      "where a start-up file of the user's shell there, such as ~/.bashrc, ends with exit or exec, let it do so in interactive shells only",
    );
  }
  return answer;
}

/**
 * The folder that create-directory.sh has made. A login shell may print before it, even in the same line.
 *
 * @param wanted as the settings name it, from the user's home if it is relative
 * @throws HostError if something else has answered in its place. Pulumi keeps that answer as long as the resource.
 */
export function directoryIn(stdout: string, wanted: string): string {
  const line = stdout.trimEnd().split("\n").at(-1) ?? "";
  const start = line.indexOf("/");
  if (start === 0) return line;
  if (wanted.startsWith("/") && (start < 0 || line.endsWith(wanted))) return wanted;
  if (start > 0) return line.slice(start);
  throw new HostError(
    "the host has not made the folder of this deployment: the user's shell there ended before",
    "where one of its start-up files, such as ~/.bashrc, ends with exit or exec, let it do so in interactive shells only; then npm run down, and npm run up",
  );
}
