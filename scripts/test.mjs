// What `npm test` calls: every check of the project in the order of their cost, then why those failed that did, one
// table and one closing line. A check that needs a program which this machine lacks says so and counts as skipped;
// under CI=true it fails.
import { spawn, spawnSync } from "node:child_process";
import fs from "node:fs";
import os from "node:os";
import path from "node:path";

import { installPackages } from "./packages.mjs";
import { describeFailure } from "./test-failures.mjs";

const ROOT = path.resolve(import.meta.dirname, "..");
const inCi = process.env.CI === "true";

/** Files that git knows, or would know, and that end in `suffix`. */
function projectFiles(suffix) {
  const { stdout } = spawnSync("git", ["ls-files", "-co", "--exclude-standard", `*${suffix}`], {
    cwd: ROOT,
    encoding: "utf8",
  });
  return stdout.split("\n").filter((file) => file !== "" && fs.existsSync(path.join(ROOT, file)));
}

function has(program) {
  return spawnSync(program, ["--version"], { stdio: "ignore" }).error === undefined;
}

function bin(name) {
  return path.join(ROOT, "node_modules", ".bin", name);
}

/** Folders of the Go modules that have tests. */
function goModulesWithTests() {
  const tests = projectFiles("_test.go");
  return projectFiles("go.mod")
    .map((file) => path.dirname(file))
    .filter((folder) => tests.some((test) => test.startsWith(`${folder}/`)));
}

/** One entry a check: its title, the program that it needs, and how it runs. */
const CHECKS = [
  { title: "eslint", words: [bin("eslint"), "."] },
  { title: "prettier", words: [bin("prettier"), "--check", "--log-level", "warn", "."] },
  { title: "tsc", words: [bin("tsc"), "--noEmit"] },
  {
    title: "shellcheck",
    needs: "shellcheck",
    words: ["shellcheck", "-s", "bash", ...projectFiles(".sh"), ".ci/run"],
  },
  { title: "ruff", needs: "python3", words: ["bash", "scripts/lint/python.sh"] },
  { title: "clang-format", needs: "clang-format-14", words: ["bash", "scripts/lint/cpp.sh"] },
  ...goModulesWithTests().map((folder) => ({
    title: `go test ${folder}`,
    needs: "go",
    words: ["go", "test", "./..."],
    cwd: path.join(ROOT, folder),
  })),
  { title: "native core", needs: "cmake", words: ["bash", "native/xsched/tests/run.sh"] },
  { title: "native core, compilers", needs: "cmake", words: ["bash", "native/xsched/tests/compilers.sh"] },
  { title: "TensorRT backend", needs: "cmake", words: ["bash", "native/tensorrt_backend/tests/run.sh"] },
  { title: "unit tests", mocha: ["test/unit/**/*.test.ts"] },
  { title: "engine tests, toolchain", words: [process.execPath, "scripts/test/engine-tools.mjs"] },
  { title: "engine tests", mocha: ["--timeout", "900000", "test/engine/**/*.test.ts"] },
];

/** The end of what a check prints is kept in memory, for a check that fails, in characters. */
const KEPT_OUTPUT = 100_000;

/** Runs a program, shows what it prints, and gives its exit status (null: ended by a signal) and the end of its output. */
function runProgram([program, ...words], { cwd = ROOT, env = process.env } = {}) {
  return new Promise((resolve) => {
    // Its output goes through here, so it would not see by itself that this is a terminal.
    const colour = process.stdout.isTTY ? { FORCE_COLOR: "1" } : {};
    const child = spawn(program, words, {
      cwd,
      stdio: ["inherit", "pipe", "pipe"],
      env: { ...colour, ...env },
    });
    let output = "";
    const take = (shown) => (text) => {
      shown.write(text);
      output = (output + text).slice(-KEPT_OUTPUT);
    };
    child.stdout.setEncoding("utf8").on("data", take(process.stdout));
    child.stderr.setEncoding("utf8").on("data", take(process.stderr));
    child.on("error", (error) => resolve({ status: null, output: `${output}${error.message}\n` }));
    child.on("close", (status) => resolve({ status, output }));
    // What it has started and left running may have its output open; that is not waited for.
    child.on("exit", () => {
      setTimeout(() => [child.stdout, child.stderr].forEach((pipe) => pipe.destroy()), 2000).unref();
    });
  });
}

async function runMocha(words, environment) {
  const counts = path.join(fs.mkdtempSync(path.join(os.tmpdir(), "xsched-triton-test-")), "counts.json");
  const { status, output } = await runProgram(
    [bin("mocha"), "--reporter", "test/counting-reporter.cjs", ...words],
    { env: { ...environment, MOCHA_COUNTS_FILE: counts } },
  );
  const result = fs.existsSync(counts)
    ? JSON.parse(fs.readFileSync(counts, "utf8"))
    : { passed: 0, failed: 1, skipped: 0 };
  fs.rmSync(path.dirname(counts), { recursive: true });
  // A run that ends badly without a failed test (a crash, no test found) is a failure, too.
  if (status !== 0 && result.failed === 0) result.failed = 1;
  if (inCi) return { ...result, failed: result.failed + result.skipped, skipped: 0, output };
  return { ...result, output };
}

async function runCheck(check) {
  if (check.needs && !has(check.needs)) {
    const output = `${check.needs} is not installed.`;
    console.log(output);
    const none = { passed: 0, failed: 0, skipped: 0, output };
    return inCi ? { ...none, failed: 1 } : { ...none, skipped: 1 };
  }
  if (check.mocha) return runMocha(check.mocha, process.env);
  const { status, output } = await runProgram(check.words, { cwd: check.cwd });
  const passed = status === 0 ? 1 : 0;
  return { passed, failed: 1 - passed, skipped: 0, output };
}

installPackages(ROOT);
const wanted = process.argv.slice(2);
const total = { passed: 0, failed: 0, skipped: 0 };
const lines = [];
const reasons = [];
for (const check of CHECKS) {
  if (wanted.length > 0 && !wanted.some((word) => check.title.startsWith(word))) continue;
  console.log(`\n━━ ${check.title}`);
  const started = Date.now();
  const result = await runCheck(check);
  for (const key of Object.keys(total)) total[key] += result[key];
  const seconds = ((Date.now() - started) / 1000).toFixed(1);
  const { passed, failed, skipped } = result;
  if (failed > 0) reasons.push(describeFailure(check.title, result));
  lines.push(
    `${failed > 0 ? "✗" : "✓"} ${check.title.padEnd(36)} ${seconds.padStart(7)} s  ${passed} passed, ${failed} failed, ${skipped} skipped`,
  );
}
for (const reason of reasons) console.log(`\n${reason}`);
console.log(`\n${lines.join("\n")}\n`);
console.log(`${total.passed} passed, ${total.failed} failed, ${total.skipped} skipped`);
process.exitCode = total.failed > 0 || total.passed === 0 ? 1 : 0;
