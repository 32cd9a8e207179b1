// Runs the program of a check.
import { spawn, spawnSync } from "node:child_process";
import fs from "node:fs";
import os from "node:os";
import path from "node:path";

import { bin, ROOT } from "./checks.mjs";

const inCi = process.env.CI === "true";

/** How much of the end of a check's output is kept in memory, in characters, in case it fails. */
const KEPT_OUTPUT = 100_000;

function has(program) {
  return spawnSync(program, ["--version"], { stdio: "ignore" }).error === undefined;
}

/**
 * Runs a program and returns its exit status (null: ended by a signal) and the end of its output.
 * @param {(text: string) => void} show gets the output of both streams
 */
function runProgram([program, ...words], { cwd = ROOT, env = {}, show }) {
  return new Promise((resolve) => {
    // The program's output is piped, so it cannot see that this is a terminal.
    const colour = process.stdout.isTTY ? { FORCE_COLOR: "1" } : {};
    const child = spawn(program, words, {
      cwd,
      stdio: ["ignore", "pipe", "pipe"],
      env: { ...colour, ...process.env, ...env },
    });
    let output = "";
    const take = (text) => {
      show(text);
      output = (output + text).slice(-KEPT_OUTPUT);
    };
    child.stdout.setEncoding("utf8").on("data", take);
    child.stderr.setEncoding("utf8").on("data", take);
    child.on("error", (error) => resolve({ status: null, output: `${output}${error.message}\n` }));
    child.on("close", (status) => resolve({ status, output }));
    // Processes that it left running may keep its output open; do not wait for them.
    child.on("exit", () => {
      setTimeout(() => [child.stdout, child.stderr].forEach((pipe) => pipe.destroy()), 2000).unref();
    });
  });
}

async function runMocha(words, options) {
  const counts = path.join(fs.mkdtempSync(path.join(os.tmpdir(), "xsched-triton-test-")), "counts.json");
  const { status, output } = await runProgram(
    [bin("mocha"), "--reporter", "test/counting-reporter.cjs", ...words],
    { ...options, env: { ...options.env, MOCHA_COUNTS_FILE: counts } },
  );
  const result = fs.existsSync(counts)
    ? JSON.parse(fs.readFileSync(counts, "utf8"))
    : { passed: 0, failed: 1, skipped: 0 };
  fs.rmSync(path.dirname(counts), { recursive: true });
  // A run that ends with an error but no failed test (a crash, no test found) is a failure, too.
  if (status !== 0 && result.failed === 0) result.failed = 1;
  if (inCi) return { ...result, failed: result.failed + result.skipped, skipped: 0, output };
  return { ...result, output };
}

/** Runs a check and returns how many of its tests passed, failed and were skipped, and the end of its output. */
export async function runCheck({ needs, mocha, words, cwd }, { env, show }) {
  if (needs && !has(needs)) {
    const output = `${needs} is not installed.\n`;
    show(output);
    const none = { passed: 0, failed: 0, skipped: 0, output };
    return inCi ? { ...none, failed: 1 } : { ...none, skipped: 1 };
  }
  if (mocha) return runMocha(mocha, { env, show });
  const { status, output } = await runProgram(words, { cwd, env, show });
  const passed = status === 0 ? 1 : 0;
  return { passed, failed: 1 - passed, skipped: 0, output };
}
