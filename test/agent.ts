import { spawn, spawnSync } from "node:child_process";
import * as fs from "node:fs";
import * as path from "node:path";

import { agentBundle, resultOf } from "../components/host/agentCommand";

const HOST = path.resolve(__dirname, "../components/host");

/** The words that a deployment installs the agent with. */
export function installation(folder: string, owner = { project: "test", stack: "test", id: "1" }): string[] {
  const text = (file: string): string => fs.readFileSync(path.join(HOST, file), "utf8");
  return [
    ...["-c", text("find-python.sh"), "find-python.sh", text("install-agent.py")],
    ...[folder, owner.project, owner.stack, owner.id],
  ];
}

/** How a command of the agent ended. */
export interface AgentRun {
  readonly status: number | null;
  readonly stdout: string;
  readonly stderr: string;
  /** What it answered, if it did. */
  readonly result: unknown;
}

export function ended(status: number | null, stdout: string, stderr: string): AgentRun {
  const answered = stdout.includes("xsched-triton-result ");
  return { status, stdout, stderr, result: answered ? resultOf(stdout) : undefined };
}

/** Installs the agent in a host's folder. */
export function installAgent(folder: string, environment: NodeJS.ProcessEnv = process.env): void {
  const { status, stderr } = spawnSync("sh", installation(folder), {
    input: agentBundle(),
    encoding: "utf8",
    env: environment,
  });
  if (status !== 0) throw new Error(stderr);
}

/** Runs a command of an installed agent to its end. */
export function callAgent(
  folder: string,
  words: readonly string[],
  { input = "", env = process.env }: { input?: string; env?: NodeJS.ProcessEnv } = {},
): AgentRun {
  const { status, stdout, stderr, error } = spawnSync(path.join(folder, "bin/agent"), words, {
    input,
    env,
    encoding: "utf8",
    maxBuffer: 1 << 26,
  });
  if (error) throw error;
  return ended(status, stdout, stderr);
}

/** As `callAgent`, without blocking this process. */
export function startAgent(
  folder: string,
  words: readonly string[],
  { input = "", env = process.env }: { input?: string; env?: NodeJS.ProcessEnv } = {},
): Promise<AgentRun> {
  const child = spawn(path.join(folder, "bin/agent"), words, { env });
  child.stdin.on("error", () => undefined).end(input);
  let stdout = "";
  let stderr = "";
  child.stdout.setEncoding("utf8").on("data", (text: string) => (stdout += text));
  child.stderr.setEncoding("utf8").on("data", (text: string) => (stderr += text));
  return new Promise((resolve, reject) => {
    child.once("error", reject);
    child.once("close", (status) => {
      resolve(ended(status, stdout, stderr));
    });
  });
}
