import * as assert from "node:assert/strict";
import { type ChildProcess, spawn } from "node:child_process";
import { isDeepStrictEqual } from "node:util";

import "./toolchain";

/** A command's output and exit code. */
export interface Finished {
  readonly code: number;
  /** Standard output and standard error, in order. */
  readonly output: string;
}

/** One line of Pulumi's own report: what was done to a resource. */
export interface Change {
  readonly type: string;
  readonly name: string;
  readonly done: string;
}

/**
 * Runs a program to its end; MOCHA_VERBOSE shows its output.
 *
 * @param said called with the whole output each time there is more of it
 */
export async function execute(
  program: string,
  words: readonly string[],
  directory: string,
  environment: NodeJS.ProcessEnv = {},
  said?: (output: string, child: ChildProcess) => void,
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
      said?.(output, child);
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

/** Fails unless a command has succeeded. Shows only the relevant output: hundreds of lines would hide the reason. */
export function requireSuccess({ code, output }: Finished): void {
  if (code === 0) return;
  const diagnostics = output.lastIndexOf("\nDiagnostics:");
  const shown = diagnostics >= 0 ? output.slice(diagnostics) : output.split("\n").slice(-40).join("\n");
  assert.fail(`the command ended with ${code}: ${shown.trim()}`);
}

/** The resources that an `up` or a `down` reports as changed, each once. */
export function changesIn(output: string): Change[] {
  const line = /^\s*(?:[-+~]+|<=|>=)\s+(\S+:\S+:\S+)\s+(\S+)\s+(created|updated|deleted|replaced)\b/gm;
  const all = [...output.matchAll(line)].map(([, type = "", name = "", done = ""]) => ({ type, name, done }));
  // What a provider says late is shown with another line of the same resource.
  return all.filter((change, index) => all.findIndex((each) => isDeepStrictEqual(each, change)) === index);
}
