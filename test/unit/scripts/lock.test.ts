import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import * as fs from "node:fs";
import * as os from "node:os";
import * as path from "node:path";

const LINT = path.resolve(__dirname, "../../../scripts/lint/lock.mjs");
const LOCK = path.resolve(__dirname, "../../../package-lock.json");

type Entry = Readonly<Record<string, unknown>>;

describe("the check of the lock file", () => {
  let folder = "";

  before(() => {
    folder = fs.mkdtempSync(path.join(os.tmpdir(), "xsched-triton-lock-"));
  });

  after(() => {
    fs.rmSync(folder, { recursive: true });
  });

  /** What it says of this project's own lock file with some entries changed. */
  function lint(change: Readonly<Record<string, Entry>>): { status: number | null; lines: string[] } {
    const lock = JSON.parse(fs.readFileSync(LOCK, "utf8")) as { packages: Record<string, Entry> };
    const file = path.join(folder, "package-lock.json");
    fs.writeFileSync(file, JSON.stringify({ ...lock, packages: { ...lock.packages, ...change } }));
    const { status, stderr } = spawnSync(process.execPath, [LINT, file], { encoding: "utf8" });
    return { status, lines: stderr.trim().split("\n").slice(0, -1) };
  }

  const sha512 = `sha512-${"a".repeat(86)}==`;

  it("accepts this project's", () => {
    const { status, stderr } = spawnSync(process.execPath, [LINT], { encoding: "utf8" });
    assert.deepEqual([status, stderr], [0, ""]);
  });

  for (const [what, change, fault] of [
    [
      "a package without a hash",
      { "node_modules/mocha": { version: "12.0.3" } },
      "node_modules/mocha has no integrity hash",
    ],
    [
      "one without a hash below another",
      { "components/node_modules/a/node_modules/@b/c": { version: "1.0.0" } },
      "components/node_modules/a/node_modules/@b/c has no integrity hash",
    ],
    [
      "a hash that can be forged",
      { "node_modules/a": { integrity: "sha1-2jmj7l5rSw0yVb/vlWAYkK/YBwk=" } },
      "node_modules/a has a weak integrity hash: sha1",
    ],
    [
      "a package from a branch",
      { "node_modules/a": { resolved: "git+ssh://git@example.com/a.git#main", integrity: sha512 } },
      "node_modules/a comes from git+ssh://git@example.com/a.git#main, whose content nothing fixes",
    ],
  ] as const) {
    it(`refuses ${what}`, () => {
      assert.deepEqual(lint(change), { status: 1, lines: [fault] });
    });
  }

  for (const [what, change] of [
    ["a package with a hash", { "node_modules/a": { integrity: sha512 } }],
    ["one of several hashes that is strong", { "node_modules/a": { integrity: `sha1-2jmj= ${sha512}` } }],
    ["a link to a package of the repository", { "node_modules/a": { resolved: "a", link: true } }],
    ["a package within the archive of another", { "node_modules/a/node_modules/b": { inBundle: true } }],
  ] as const) {
    it(`accepts ${what}`, () => {
      assert.equal(lint(change).status, 0);
    });
  }

  it("refuses a lock file that names no packages", () => {
    const file = path.join(folder, "old.json");
    fs.writeFileSync(file, JSON.stringify({ lockfileVersion: 1, dependencies: {} }));
    assert.equal(spawnSync(process.execPath, [LINT, file]).status, 1);
  });
});
