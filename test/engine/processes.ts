import * as assert from "node:assert/strict";
import { spawn } from "node:child_process";

import "./toolchain";

/** What a command has said and how it ended. */
export interface Finished {
  readonly code: number;
  /** Standard output and standard error in the order in which they came. */
  readonly output: string;
}

/** One line of Pulumi's own report: what was done to a resource. */
export interface Change {
  readonly type: string;
  readonly name: string;
  readonly done: string;
}

/** Runs a program to its end; what it prints is shown when MOCHA_VERBOSE is set. */
export async function execute(
  program: string,
  words: readonly string[],
  directory: string,
  environment: NodeJS.ProcessEnv = {},
): Promise<Finished> {
  const child = spawn(program, words, {
    cwd: directory,
    env: { ...process.env, ...environment },
    stdio: ["ignore", "pipe", "pipe"],
  });
  let output = "";
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding("utf8");
    stream.on("data", (text: string) => {
      output += text;
      if (process.env.MOCHA_VERBOSE) process.stderr.write(text);
    });
  }
  const code = await new Promise<number>((resolve, reject) => {
    child.on("error", reject);
    child.on("close", (status) => {
      resolve(status ?? 1);
    });
  });
  return { code, output };
}

/** Fails unless a command has ended well; says then what matters of its output: hundreds of lines hide the reason. */
export function requireSuccess({ code, output }: Finished): void {
  if (code === 0) return;
  const diagnostics = output.lastIndexOf("\nDiagnostics:");
  const shown = diagnostics >= 0 ? output.slice(diagnostics) : output.split("\n").slice(-40).join("\n");
  assert.fail(`the command ended with ${code}: ${shown.trim()}`);
}

/** The resources that an `up` or a `down` says it has touched. */
export function changesIn(output: string): Change[] {
  const line = /^\s*(?:[-+~]+|<=|>=)\s+(\S+:\S+:\S+)\s+(\S+)\s+(created|updated|deleted|replaced)\b/gm;
  return [...output.matchAll(line)].map(([, type = "", name = "", done = ""]) => ({ type, name, done }));
}
