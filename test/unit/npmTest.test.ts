import assert from "node:assert/strict";
import { execFileSync, spawn, spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import * as fs from "node:fs";
import * as os from "node:os";
import * as path from "node:path";

const repository = path.resolve(__dirname, "../..");

/** What CI shows of a long log, in characters, is little; the reasons and the table have to be within it. */
const END_OF_LOG = 10_000;

describe("npm test", () => {
  let project = "";

  const write = (file: string, content: string) => {
    fs.mkdirSync(path.dirname(path.join(project, file)), { recursive: true });
    fs.writeFileSync(path.join(project, file), content);
  };

  const command = (...checks: string[]) => [path.join(project, "scripts/test.mjs"), ...checks];
  const environment = { ...process.env, CI: "", FORCE_COLOR: "1" };

  const run = (...checks: string[]) =>
    spawnSync(process.execPath, command(...checks), { encoding: "utf8", env: environment });

  /** A line that a check has written to a file of its project. */
  const written = (file: string) => fs.readFileSync(path.join(project, file), "utf8").trim();

  const runs = (pid: string) => fs.existsSync(`/proc/${pid}`) && !/^State:\tZ/m.test(state(pid));
  const state = (pid: string) => fs.readFileSync(`/proc/${pid}/status`, "utf8");

  /** A check's processes have ended, and its temporary folder is gone with what was mounted or a disk there. */
  const assertNothingLeft = (...processes: string[]) => {
    for (const name of processes) assert.ok(!runs(written(name)), `${name} runs`);
    const folder = written("folder");
    assert.match(path.basename(folder), /^xt-/);
    assert.ok(!fs.existsSync(folder), `${folder} is there`);
    assert.ok(!fs.readFileSync("/proc/mounts", "utf8").includes(folder), `${folder} has mounts`);
    const loops = fs
      .readdirSync("/sys/block")
      .map((device) => `/sys/block/${device}/loop/backing_file`)
      .filter((file) => fs.existsSync(file))
      .map((file) => fs.readFileSync(file, "utf8"));
    assert.ok(!loops.join().includes(folder), `${folder} has a loop device`);
  };

  before(() => {
    project = fs.mkdtempSync(path.join(os.tmpdir(), "xsched-triton-npm-test-"));
    execFileSync("git", ["init", "--quiet", project]);
    for (const file of ["package.json", "package-lock.json", ".mocharc.json", "tsconfig.json", "scripts"])
      fs.cpSync(path.join(repository, file), path.join(project, file), { recursive: true });
    for (const file of [
      ...["components/compile.cjs", "test/counting-reporter.cjs", "test/properties.ts", "test/setup.ts"],
    ])
      write(file, fs.readFileSync(path.join(repository, file), "utf8"));
    // The packages of this repository, as what `npm ci` has installed already.
    const packages = path.join(repository, "node_modules");
    const lock = createHash("sha256").update(fs.readFileSync(path.join(project, "package-lock.json")));
    write("node_modules/.installed-lock", lock.digest("hex"));
    for (const name of fs.readdirSync(packages).filter((name) => name !== ".installed-lock"))
      fs.symlinkSync(path.join(packages, name), path.join(project, "node_modules", name));
    write(
      "native/xsched/tests/run.sh",
      `if [ "$1" = plain ]; then seq -f 'line %g of the core' 500; echo the core hung >&2; exit 1; fi
       for n in 1 2 3 4 5; do echo "sanitizer $n"; sleep 0.2; done\n`,
    );
    write("native/xsched/tests/compilers.sh", "echo every compiler\n");
    write("native/triton_hooks/tests/run.sh", "echo the hooks\n");
    write("scripts/lint/python.sh", 'for n in 1 2 3 4 5; do echo "python $n"; sleep 0.2; done\n');
    // The processes of a check are of many kinds. If they were left, they would end ten minutes later.
    write(
      "native/tensorrt_backend/tests/run.sh",
      `echo the backend starts
       echo "$TMPDIR" > folder
       cp "$(command -v sleep)" "$TMPDIR/server"
       mkdir "$TMPDIR/a disk"
       mount -t tmpfs none "$TMPDIR/a disk" 2>/dev/null && touch "$TMPDIR/a disk/file"
       truncate --size 1M "$TMPDIR/image"
       losetup --find "$TMPDIR/image" 2>/dev/null
       sleep 600 & echo $! > background
       (setsid sleep 600 & echo $! > session)
       (env --ignore-environment setsid "$TMPDIR/server" 600 & echo $! > clean)
       [ "$1" = plain ] || exit 0
       (trap '' TERM; exec sleep 600) & echo $! > deaf
       touch hangs
       wait\n`,
    );
    write(
      "test/unit/some.test.ts",
      `describe("the sum", () => {
         it("is right", () => undefined);
         it("is wrong", () => { throw new Error("one and one was 3"); });
         for (let i = 0; i < 300; i++) it("is right again " + i, () => undefined);
       });`,
    );
  });

  after(() => {
    fs.rmSync(project, { recursive: true });
  });

  it("says at its end why each check failed, however much was printed before", () => {
    const { status, stdout } = run("native core", "unit");
    const end = stdout.slice(-END_OF_LOG);
    assert.equal(status, 1);
    assert.match(end, /━━ why native core failed\n… \d+ lines before these\nline /);
    assert.match(end, /line 500 of the core\nthe core hung\n/);
    assert.match(end, /━━ why unit tests failed\n1\) the sum is wrong\nError: one and one was 3\n/);
    assert.match(end, /✗ native core .* 0 passed, 1 failed, 0 skipped\n/);
    assert.match(end, /✓ native core, sanitizers .* 1 passed, 0 failed, 0 skipped\n✓ native core, compilers/);
    assert.match(end, /✗ unit tests {2}.* 301 passed, 1 failed, 0 skipped\n/);
    assert.match(end, /\n303 passed, 2 failed, 0 skipped\n$/);
  });

  it("ends tests that have left something open, and names it", () => {
    const file = "test/engine/open.test.ts";
    write(file, `it("leaves a server", (done) => { require("node:net").createServer().listen(0, done); });`);
    const { status, stdout } = spawnSync(process.execPath, command("engine tests, open"), {
      encoding: "utf8",
      env: { ...environment, MOCHA_END_SECONDS: "1" },
      timeout: 240_000,
    });
    fs.rmSync(path.join(project, file));
    assert.equal(status, 1, stdout);
    assert.match(stdout, /1\) the end of the tests\nstill open 1 s after the last test: TCPServerWrap\n/);
    assert.match(stdout, /\n1 passed, 1 failed, 0 skipped\n$/);
  });

  it("gives no reasons where nothing failed", () => {
    const { status, stdout } = run("native core, compilers");
    assert.equal(status, 0);
    assert.doesNotMatch(stdout, /why/);
    assert.match(stdout, /every compiler\n[^]*\n1 passed, 0 failed, 0 skipped\n$/);
  });

  it("runs checks side by side, and keeps together what each one prints", () => {
    const { stdout } = run("ruff", "native core, sanitizers");
    const lines = (what: string): string => [1, 2, 3, 4, 5].map((n) => `${what} ${n}\n`).join("");
    assert.ok(stdout.includes(lines("sanitizer")), stdout);
    assert.ok(stdout.includes(lines("python")), stdout);
    const begun = ["ruff", "native core, sanitizers"].map((title) => stdout.indexOf(`▸ ${title}`));
    assert.ok(Math.max(...begun) < stdout.indexOf("━━"), "both have begun before one ends");
  });

  it("leaves out what takes long when it is to be fast", () => {
    const { stdout } = run("--fast", "native");
    assert.match(stdout, /✗ native core /);
    assert.doesNotMatch(stdout, /sanitizers|compilers/);
  });

  it("ends what a check has left running, and removes its temporary folder", () => {
    const { status, stdout } = run("TensorRT backend, sanitizers");
    assert.equal(status, 0, stdout);
    assertNothingLeft("background", "session", "clean");
  });

  it("ends a check that runs longer than its limit, and shows what it printed", () => {
    // Enough to start all that is to be ended, on a machine that is busy otherwise.
    const { status, stdout } = run("--limit=12", "--fast", "TensorRT backend");
    assert.equal(status, 1);
    const said = "the backend starts\n\nended after 12 s; the last output is above\n";
    assert.ok(stdout.includes(`━━ TensorRT backend\n${said}`), stdout);
    assert.ok(stdout.includes(`━━ why TensorRT backend failed\n${said.trimEnd()}\n`), stdout);
    assert.match(stdout, /\n0 passed, 1 failed, 0 skipped\n$/);
    assertNothingLeft("background", "session", "clean", "deaf");
  });

  it("ends its checks when it is stopped, and says which ones they were", async () => {
    fs.rmSync(path.join(project, "hangs"), { force: true });
    const npmTest = spawn(process.execPath, command("TensorRT backend"), { env: environment });
    let stdout = "";
    npmTest.stdout.setEncoding("utf8").on("data", (text: string) => (stdout += text));
    const ended = new Promise((resolve) => npmTest.once("close", resolve));
    while (npmTest.exitCode === null && !fs.existsSync(path.join(project, "hangs"))) {
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
    npmTest.kill("SIGTERM");
    assert.equal(await ended, 128 + os.constants.signals.SIGTERM);
    assert.match(stdout, /\nSIGTERM after [\d.]+ s of TensorRT backend\n/);
    assert.doesNotMatch(stdout, /sanitizers$/m);
    assertNothingLeft("background", "session", "clean", "deaf");
  });
});
