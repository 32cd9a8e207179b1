import assert from "node:assert/strict";
import { execFileSync, spawnSync } from "node:child_process";
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

  const run = (...checks: string[]) =>
    spawnSync(process.execPath, [path.join(project, "scripts/test.mjs"), ...checks], {
      encoding: "utf8",
      env: { ...process.env, CI: "", FORCE_COLOR: "1" },
    });

  before(() => {
    project = fs.mkdtempSync(path.join(os.tmpdir(), "xsched-triton-npm-test-"));
    execFileSync("git", ["init", "--quiet", project]);
    for (const file of ["package.json", "package-lock.json", ".mocharc.json", "tsconfig.json", "scripts"])
      fs.cpSync(path.join(repository, file), path.join(project, file), { recursive: true });
    for (const file of ["test/counting-reporter.cjs", "test/properties.ts", "test/setup.ts"])
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
    write("scripts/lint/python.sh", 'for n in 1 2 3 4 5; do echo "python $n"; sleep 0.2; done\n');
    write("native/tensorrt_backend/tests/run.sh", "(sleep 60 & echo $! > background) ; exit 0\n");
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

  it("does not wait for what a check has left running", () => {
    const started = Date.now();
    const { status } = run("TensorRT backend, sanitizers");
    const pid = Number(fs.readFileSync(path.join(project, "background"), "utf8"));
    process.kill(pid);
    assert.equal(status, 0);
    assert.ok(Date.now() - started < 30_000);
  });
});
