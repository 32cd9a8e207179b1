// The checks of `npm test`.
import { spawnSync } from "node:child_process";
import fs from "node:fs";
import path from "node:path";

export const ROOT = path.resolve(import.meta.dirname, "../..");

/** Files that git tracks or would track, and that match one of the patterns. */
export function projectFiles(...patterns) {
  const { stdout } = spawnSync("git", ["ls-files", "-co", "--exclude-standard", ...patterns], {
    cwd: ROOT,
    encoding: "utf8",
  });
  return stdout.split("\n").filter((file) => file !== "" && fs.existsSync(path.join(ROOT, file)));
}

export function bin(name) {
  return path.join(ROOT, "node_modules", ".bin", name);
}

/** Folders of the Go modules that have tests. */
function goModulesWithTests() {
  const tests = projectFiles("*_test.go");
  return projectFiles("*go.mod")
    .map((file) => path.dirname(file))
    .filter((folder) => tests.some((test) => test.startsWith(`${folder}/`)));
}

/**
 * How long a check may run, in seconds, on a machine that is busy with other checks. A check that hangs is ended, or CI
 * would end all of them without showing why.
 */
const LIMIT = 30 * 60;
/** One that compiles from nothing, with sanitizers or for several compilers. */
const LIMIT_OF_BUILDS = 40 * 60;
/** All sources of Pulumi and its providers, compiled beside all other checks: all engine tests wait for them. */
const LIMIT_OF_TOOLCHAIN = 70 * 60;
/** A control plane of Kubernetes, compiled beside all other checks. */
const LIMIT_OF_KUBERNETES = 80 * 60;
/**
 * A file of engine tests and, in it, a single test. mocha's limit comes first, so that the file can still clean up, and
 * say which test hung.
 */
const LIMIT_OF_ENGINE_TESTS = 30 * 60;
const LIMIT_OF_ONE_ENGINE_TEST = 10 * 60;

/** Roughly how many seconds the long files of engine tests take. Long ones start first, so that none is left at the end. */
const SECONDS = {
  awsImage: 740,
  reuse: 620,
  fleet: 430,
  awsSession: 390,
  local: 290,
  image: 280,
  container: 260,
  aws: 250,
  awsCapacity: 210,
  patchedImage: 190,
  // It takes longer, but measures times: so it begins when the compilers have ended.
  bench: 150,
  agent: 150,
  hooks: 130,
  ssh: 120,
  fleetEngines: 120,
  spot: 110,
  fleetLosses: 100,
  drift: 90,
  awsProd: 90,
  fleetModels: 80,
  policy: 80,
  s3Model: 70,
  interrupted: 60,
  gateway: 60,
};

/**
 * A check for each file of engine tests. Of those that use Docker, each with an engine of its own, two run at a time,
 * so they come first. One BuildKit at a time has the layers in the user's cache; another one would compile all again.
 */
function engineTests() {
  const files = projectFiles("test/engine/*.test.ts").map((file) => {
    const name = path.basename(file, ".test.ts");
    const source = fs.readFileSync(path.join(ROOT, file), "utf8");
    const docker = source.includes('"./dockerEngine"');
    const layers = source.includes('disk: "user"');
    return {
      docker,
      seconds: SECONDS[name] ?? 0,
      title: `engine tests, ${name}`,
      mocha: ["--timeout", String(LIMIT_OF_ONE_ENGINE_TEST * 1000), file],
      limit: LIMIT_OF_ENGINE_TESTS,
      uses: ["engine", ...(docker ? ["docker"] : []), ...(layers ? ["layers"] : [])],
      after: name.startsWith("fleet") ? KUBERNETES : TOOLCHAIN,
    };
  });
  return files.sort((a, b) => Number(b.docker) - Number(a.docker) || b.seconds - a.seconds);
}

const TOOLCHAIN = "engine tests, toolchain";
const KUBERNETES = "tools of Kubernetes";

/** Checks that keep one core busy. */
function lintAndUnit() {
  // Both look again at what has changed, by content. eslint could not: what it says of a file depends on others' types.
  const incremental = ["--incremental", "--tsBuildInfoFile", "node_modules/.cache/tsc.tsbuildinfo"];
  const cached = ["--cache", "--cache-strategy", "content"];
  return [
    // The longest come first.
    // They wait for programs for a third of their time.
    { title: "unit tests", mocha: ["--parallel", "--jobs", "2", "test/unit/**/*.test.ts"], fast: true },
    { title: "eslint", words: [bin("eslint"), "."], fast: true },
    { title: "tsc", words: [bin("tsc"), "--noEmit", ...incremental], fast: true },
    {
      title: "prettier",
      words: [bin("prettier"), "--check", "--log-level", "warn", ...cached, "."],
      fast: true,
    },
    {
      title: "shellcheck",
      needs: "shellcheck",
      words: ["shellcheck", "-s", "bash", ...projectFiles("*.sh"), ".ci/run"],
      fast: true,
    },
    { title: "lock file", words: [process.execPath, "scripts/lint/lock.mjs"], fast: true },
    {
      title: "pip requirements",
      words: [process.execPath, "scripts/lint/requirements.mjs", ...projectFiles("*requirements.txt")],
      fast: true,
    },
    { title: "ruff", needs: "python3", words: ["bash", "scripts/lint/python.sh"], fast: true },
    // A minute, or less: what the stacks ask of AWS, replayed against moto.
    { title: "AWS", needs: "python3", words: [process.execPath, "scripts/test/aws.mjs"] },
    { title: "clang-format", needs: "clang-format-14", words: ["bash", "scripts/lint/cpp.sh"], fast: true },
  ];
}

/** Checks that compile, on all cores. */
function compiled() {
  const native = (title, ...words) => ({ title, needs: "cmake", words: ["bash", ...words] });
  return [
    { ...native("native core", "native/xsched/tests/run.sh", "plain"), fast: true },
    {
      title: "model of scheduling domains",
      needs: "spin",
      words: ["bash", "native/xsched/model/run.sh"],
      fast: true,
    },
    { ...native("TensorRT backend", "native/tensorrt_backend/tests/run.sh", "plain"), fast: true },
    { ...native("Triton hooks", "native/triton_hooks/tests/run.sh", "plain"), fast: true },
    native("native core, sanitizers", "native/xsched/tests/run.sh", "thread", "address"),
    native("TensorRT backend, sanitizers", "native/tensorrt_backend/tests/run.sh", "thread", "address"),
    native("Triton hooks, sanitizers", "native/triton_hooks/tests/run.sh", "thread", "address"),
    native("native core, compilers", "native/xsched/tests/compilers.sh"),
    ...goModulesWithTests().map((folder) => ({
      title: `go test ${folder}`,
      needs: "go",
      words: ["go", "test", "./..."],
      cwd: path.join(ROOT, folder),
    })),
  ];
}

/**
 * One entry per check, in the order in which they start:
 *
 * - `title`; `npm test -- NAME…` takes the checks whose title begins with a name
 * - `words`, a program and its arguments, or `mocha`, arguments of mocha
 * - `needs`: a program that it requires
 * - `uses`: resources with a limited number of places (see `places`): a check waits until it has one of each
 * - `limit`: how many seconds it may run; a default for each
 * - `after`: the title of a check that must end before
 * - `fast`: part of `npm run test:fast`
 */
export function allChecks() {
  const checks = [
    {
      title: TOOLCHAIN,
      words: [process.execPath, "scripts/test/engine-tools.mjs"],
      uses: ["engine"],
      limit: LIMIT_OF_TOOLCHAIN,
    },
    {
      title: KUBERNETES,
      // A quarter of an hour where they are not cached, so they leave the processors to all others.
      words: ["nice", "-n", "10", process.execPath, "scripts/test/engine-tools.mjs", "--kubernetes"],
      uses: ["kubernetes"],
      limit: LIMIT_OF_KUBERNETES,
      after: TOOLCHAIN,
    },
    ...lintAndUnit().map((check) => ({ ...check, uses: ["lint"] })),
    // Keeps all cores busy for more than a minute, with processes that start and end.
    { title: "agent", needs: "python3", words: ["bash", "scripts/test/agent.sh"], uses: ["agent"] },
    ...compiled().map((check) => ({ ...check, uses: ["compilers"], limit: LIMIT_OF_BUILDS })),
    ...engineTests(),
  ];
  return checks.map((check) => ({ limit: LIMIT, ...check }));
}

/**
 * How many checks may use a resource at a time; one by default. Engine tests mostly wait: the longest keep a core busy
 * for a fifth of their time. So more of them run than there are cores, and without them more linters.
 */
export function places(checks, cores) {
  const engine = checks.some(({ uses }) => uses.includes("engine"));
  return { engine: cores + 1, docker: 2, lint: engine ? 1 : cores };
}
