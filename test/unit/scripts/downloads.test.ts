import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import * as fs from "node:fs";
import * as path from "node:path";

const ROOT = path.resolve(__dirname, "../../..");

/** How something gets here from elsewhere, and what must be in the same file because it checks what has come. */
const WAYS: readonly {
  readonly what: string;
  readonly found: RegExp;
  readonly checked?: RegExp;
  /** Files that do it, with a check of their own, which a test of theirs proves. */
  readonly known?: readonly string[];
}[] = [
  {
    what: "pip installs only what has the hash of its requirement",
    found: /\bpip3?\b["',\s]+(?:install|download)\b/g,
    checked: /--require-hashes/g,
  },
  {
    what: "curl and wget, which check nothing, fetch nothing",
    found: /\b(?:curl|wget)\s[^\n]*https?:/g,
    // A message that shows how to learn one's own address.
    known: ["components/settings/awsHostSettings.ts"],
  },
  { what: "Docker adds nothing from an address", found: /^\s*ADD\s+(?:--\S+\s+)*https?:/gim },
  {
    what: "Python opens an address only where a signature is checked before use",
    found: /\burl(?:open|retrieve)\(/g,
    known: [
      "components/host/agent/agent/cloudwatch.py",
      // It asks the API server of its cluster, by the cluster's certificate: components/host/agent/tests/test_rollout.py.
      "components/host/agent/agent/guard.py",
      // It pushes, and gives another tag to what whoever may push has put there: docs/security.md.
      "components/host/agent/agent/registry.py",
      // It asks Triton, on the loopback interface of its own pod.
      "scripts/bench/fleetPod.ts",
    ],
  },
  {
    what: "git fetches sources only at a commit that it has to be",
    found: /\bgit\b[^\n]*\s(?:clone|fetch)\s/g,
    checked: /rev-parse HEAD\)" = "\$2"/g,
  },
  {
    what: "archives are unpacked only where their digest or signature is checked before",
    found: /"tar", \[|\btar\s+-?-?x|"dpkg", "-i"|"dpkg-deb", "-x"/g,
    known: [
      // The SHA-256 digest of the vendor's release: test/unit/toolchain.test.ts.
      "scripts/toolchain/downloads.mjs",
      // Amazon's signature: components/host/agent/tests/test_cloudwatch.py.
      "components/host/agent/agent/cloudwatch.py",
      // `apt-get download` refuses a package without the hash of a signed index.
      "components/host/agent/agent/server/install.py",
      "scripts/test/aws.mjs",
      // A model's own environment, which is as trusted as the model's code: Triton itself unpacks it and runs what is in it.
      "components/host/agent/agent/server/stub.py",
    ],
  },
];

/** Code that runs here, on a host or in a build; not the tests, whose stand-ins are local. */
function sources(): string[] {
  const listed = execFileSync("git", ["ls-files", "-co", "--exclude-standard"], {
    cwd: ROOT,
    encoding: "utf8",
  });
  return listed
    .split("\n")
    .filter((file) => /\.(?:sh|py|mjs|cjs|ts)$|Dockerfile$|^\.ci\//.test(file))
    .filter((file) => !/^test\/unit\/|\/tests\/(?:test_|stand_in)|^test\/engine\//.test(file))
    .filter((file) => fs.existsSync(path.join(ROOT, file)));
}

/** Without comments on lines of their own, which may name anything. */
const codeOf = (file: string): string =>
  fs.readFileSync(path.join(ROOT, file), "utf8").replaceAll(/^\s*(?:#|\/\/|\*|\/\*).*$/gm, "");

const count = (text: string, pattern: RegExp): number => text.match(pattern)?.length ?? 0;

describe("what comes from elsewhere", () => {
  const files = sources().map((file) => ({ file, code: codeOf(file) }));

  for (const { what, found, checked, known = [] } of WAYS) {
    it(`is checked: ${what}`, () => {
      const unchecked = files
        .filter(({ file }) => !known.includes(file))
        .filter(({ code }) => count(code, found) > (checked === undefined ? 0 : count(code, checked)))
        .map(({ file }) => file);
      assert.deepEqual(unchecked, []);
    });
  }

  it("is found where it is known to be", () => {
    for (const { found, known = [] } of WAYS) {
      for (const file of known) assert.ok(count(codeOf(file), found) > 0, `${file} no longer does this`);
    }
    const pip = files.filter(({ code }) => count(code, WAYS[0]!.found) > 0).map(({ file }) => file);
    assert.ok(pip.includes("images/triton/Dockerfile") && pip.length >= 3, pip.join(", "));
  });
});
