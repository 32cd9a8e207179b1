// Runs the program of a check.
import { spawn, spawnSync } from "node:child_process";
import fs from "node:fs";
import path from "node:path";

import { bin, ROOT } from "./checks.mjs";
import { CheckFolder } from "./leftovers.mjs";

const inCi = process.env.CI === "true";

/** How much of the end of a check's output is kept in memory, in characters, in case it fails. */
const KEPT_OUTPUT = 100_000;

function has(program) {
  return spawnSync(program, ["--version"], { stdio: "ignore" }).error === undefined;
}

/** What ends each check that runs now. */
const running = new Set();
let stopped = false;

/** Ends all checks and starts no other. Their results never come. */
export async function endChecks() {
  stopped = true;
  await Promise.all([...running].map((stop) => stop()));
}

/** Runs its further words, and writes to the file that is its first one how long they kept processors busy. */
const TIMED = '"$@"; status=$?; times >"$0"; exit $status';

/** Processor seconds, as Bash's `times` has them of the processes that it has waited for: `user system` in its second line. */
function processorSeconds(file) {
  const [, spent = ""] = fs.existsSync(file) ? fs.readFileSync(file, "utf8").split("\n") : [];
  const parts = [...spent.matchAll(/(\d+)m([\d.]+)s/g)];
  return parts.reduce((sum, [, minutes, seconds]) => sum + 60 * Number(minutes) + Number(seconds), 0);
}

/**
 * Runs a program and returns its exit status (null: ended by a signal), the end of its output and its processor seconds,
 * without those of daemons. When it ends, so does everything that it has started.
 * @param {CheckFolder} options.folder its temporary folder
 * @param {(text: string) => void} options.show gets the output of both streams
 * @param {number} options.limit how long it may run, in seconds
 */
function runProgram([program, ...words], { cwd = ROOT, env = {}, folder, show, limit }) {
  return new Promise((resolve) => {
    // The program's output is piped, so it cannot see that this is a terminal.
    const colour = process.stdout.isTTY ? { FORCE_COLOR: "1" } : {};
    const times = path.join(folder.path, "times");
    const child = spawn("bash", ["-c", TIMED, times, program, ...words], {
      cwd,
      stdio: ["ignore", "pipe", "pipe"],
      // At level 0 of shells, Bash takes a socket for its input, as Node gives it, for a remote login, and reads ~/.bashrc.
      env: { ...colour, ...process.env, ...env, SHLVL: "1", TMPDIR: folder.path },
      // It leads a session of its own, by which its processes are known.
      detached: true,
    });
    let output = "";
    const take = (text) => {
      show(text);
      output = (output + text).slice(-KEPT_OUTPUT);
    };
    child.stdout.setEncoding("utf8").on("data", take);
    child.stderr.setEncoding("utf8").on("data", take);

    let overLimit = false;
    const end = () => folder.endProcesses(child.pid);
    const timer = setTimeout(() => {
      overLimit = true;
      void end();
    }, limit * 1000);
    const stop = async () => {
      await end();
      folder.remove();
    };
    running.add(stop);
    const finish = (status) => {
      clearTimeout(timer);
      running.delete(stop);
      if (stopped) return;
      if (overLimit) take(`\nended after ${limit} s; the last output is above\n`);
      resolve({ status: overLimit ? null : status, output, busy: processorSeconds(times) });
    };
    child.on("error", (error) => {
      take(`${error.message}\n`);
      finish(null);
    });
    child.on("close", finish);
    child.on("exit", async () => {
      clearTimeout(timer);
      await end();
      // A process that could not be ended may keep the output open; do not wait for it.
      setTimeout(() => [child.stdout, child.stderr].forEach((pipe) => pipe.destroy()), 2000).unref();
    });
  });
}

async function runMocha(words, options) {
  const counts = path.join(options.folder.path, "counts.json");
  const { status, ...ended } = await runProgram(
    [bin("mocha"), "--reporter", "test/counting-reporter.cjs", ...words],
    { ...options, env: { ...options.env, MOCHA_COUNTS_FILE: counts } },
  );
  const result = fs.existsSync(counts)
    ? JSON.parse(fs.readFileSync(counts, "utf8"))
    : { passed: 0, failed: 1, skipped: 0 };
  // A run that ends with an error but no failed test (a crash, no test found) is a failure, too.
  if (status !== 0 && result.failed === 0) result.failed = 1;
  if (inCi) return { ...result, failed: result.failed + result.skipped, skipped: 0, ...ended };
  return { ...result, ...ended };
}

/**
 * Runs a check and returns how many of its tests passed, failed and were skipped, the end of its output, and how many
 * seconds it kept a processor `busy`.
 * @param {(text: string) => void} options.show gets its output
 * @param {number} options.limit how long it may run, in seconds
 */
export async function runCheck({ needs, mocha, words, cwd }, { env, show, limit }) {
  if (stopped) return new Promise(() => undefined);
  if (needs && !has(needs)) {
    const output = `${needs} is not installed.\n`;
    show(output);
    const none = { passed: 0, failed: 0, skipped: 0, output, busy: 0 };
    return inCi ? { ...none, failed: 1 } : { ...none, skipped: 1 };
  }
  const folder = new CheckFolder();
  try {
    if (mocha) return await runMocha(mocha, { env, folder, show, limit });
    const { status, ...ended } = await runProgram(words, { cwd, env, folder, show, limit });
    const passed = status === 0 ? 1 : 0;
    return { passed, failed: 1 - passed, skipped: 0, ...ended };
  } finally {
    folder.remove();
  }
}
