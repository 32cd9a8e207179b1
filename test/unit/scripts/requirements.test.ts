import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import * as fs from "node:fs";
import * as os from "node:os";
import * as path from "node:path";

const LINT = path.resolve(__dirname, "../../../scripts/lint/requirements.mjs");
const HASH = `--hash=sha256:${"a1".repeat(32)}`;

describe("the check of pip's requirements", () => {
  let folder = "";

  before(() => {
    folder = fs.mkdtempSync(path.join(os.tmpdir(), "xsched-triton-requirements-"));
  });

  after(() => {
    fs.rmSync(folder, { recursive: true });
  });

  function lint(text: string): { status: number | null; lines: string[] } {
    const file = path.join(folder, "requirements.txt");
    fs.writeFileSync(file, text);
    const { status, stderr } = spawnSync(process.execPath, [LINT, file], { encoding: "utf8" });
    return { status, lines: stderr.replaceAll(`${file}: `, "").trim().split("\n").slice(0, -1) };
  }

  for (const [what, text] of [
    ["a release with its hash", `a==1.0 ${HASH}\n`],
    [
      "several hashes over several lines",
      `# What for.\na-b_c==1.0.post1 \\\n    ${HASH} \\\n    ${HASH}\nd==2 ${HASH}\n`,
    ],
    ["a marker", `a==1.0 ; python_version < "3.12" ${HASH}\n`],
  ] as const) {
    it(`accepts ${what}`, () => {
      assert.deepEqual(lint(text), { status: 0, lines: [] });
    });
  }

  for (const [what, text, name] of [
    ["a release without a hash", `a==1.0\nb==1.0 ${HASH}\n`, "a==1.0"],
    ["any release", `a ${HASH}\n`, "a"],
    ["a range of releases", `a>=1.0 ${HASH}\n`, "a>=1.0"],
    ["a weak hash", "a==1.0 --hash=md5:d41d8cd98f00b204e9800998ecf8427e\n", "a==1.0"],
    ["a hash in a comment", `a==1.0 # ${HASH}\n`, "a==1.0"],
    ["an address", `https://example.com/a.whl ${HASH}\n`, "https://example.com/a.whl"],
    ["another index", `--index-url https://example.com\na==1.0 ${HASH}\n`, "--index-url"],
  ] as const) {
    it(`refuses ${what}`, () => {
      const fault = `${name} is not one release with the SHA-256 hashes of its files`;
      assert.deepEqual(lint(text), { status: 1, lines: [fault] });
    });
  }
});
