import * as assert from "node:assert/strict";
import { execFileSync, spawnSync } from "node:child_process";
import * as fs from "node:fs";
import * as os from "node:os";
import * as path from "node:path";

const SCRIPT = path.resolve(__dirname, "../../../components/host/aws/install-host-key.sh");

describe("install-host-key.sh", () => {
  let folder: string;

  const file = (...parts: string[]): string => path.join(folder, ...parts);

  /** A program on the machine. */
  const program = (name: string, ...lines: string[]): void => {
    fs.writeFileSync(file("bin", name), ["#!/bin/bash", ...lines, ""].join("\n"), { mode: 0o755 });
  };

  const run = (): { status: number | null; stderr: string } =>
    spawnSync(
      "bash",
      ["-c", fs.readFileSync(SCRIPT, "utf8"), "install-host-key.sh", "us-east-1", "/key", file("ssh")],
      {
        encoding: "utf8",
        env: { PATH: `${file("bin")}:${process.env.PATH}`, RETRY_SECONDS: "0", FOLDER: folder },
      },
    );

  const keys = (): string[] =>
    fs
      .readdirSync(file("ssh"))
      .filter((name) => name.startsWith("ssh_host_"))
      .sort();

  beforeEach(() => {
    folder = fs.mkdtempSync(path.join(os.tmpdir(), "xsched-triton-host-key-"));
    for (const name of ["bin", "ssh"]) fs.mkdirSync(file(name));
    for (const name of ["key", "other"]) {
      execFileSync("ssh-keygen", ["-q", "-t", "ed25519", "-N", "", "-C", "", "-f", file(name)]);
    }
    // The machine image's own key.
    fs.copyFileSync(file("other"), file("ssh/ssh_host_ed25519_key"));
    fs.copyFileSync(file("other"), file("ssh/ssh_host_rsa_key"));
    program("systemctl", 'echo "$*" >"$FOLDER/systemctl"');
    program("aws", 'echo "$*" >>"$FOLDER/aws"', 'cat "$FOLDER/key"');
  });

  afterEach(() => {
    fs.rmSync(folder, { recursive: true });
  });

  it("replaces every other key by the parameter's", () => {
    assert.deepEqual(run().status, 0);
    assert.deepEqual(keys(), ["ssh_host_ed25519_key", "ssh_host_ed25519_key.pub"]);
    assert.equal(
      fs.readFileSync(file("ssh/ssh_host_ed25519_key"), "utf8"),
      fs.readFileSync(file("key"), "utf8"),
    );
    assert.equal(fs.statSync(file("ssh/ssh_host_ed25519_key")).mode & 0o777, 0o600);
    const own = fs.readFileSync(file("key.pub"), "utf8").trim();
    assert.equal(fs.readFileSync(file("ssh/ssh_host_ed25519_key.pub"), "utf8").trim(), own);
    assert.equal(
      fs.readFileSync(file("aws"), "utf8"),
      "ssm get-parameter --region us-east-1 --name /key --with-decryption --query Parameter.Value --output text\n",
    );
    assert.ok(!fs.existsSync(file("systemctl")));
  });

  it("can run again, as it does at each boot", () => {
    assert.equal(run().status, 0);
    assert.equal(run().status, 0);
    assert.deepEqual(keys(), ["ssh_host_ed25519_key", "ssh_host_ed25519_key.pub"]);
  });

  it("asks again until the role exists", () => {
    program(
      "aws",
      'echo . >>"$FOLDER/aws"',
      '[ "$(wc -l <"$FOLDER/aws")" -ge 5 ] || exit 253',
      'cat "$FOLDER/key"',
    );
    assert.equal(run().status, 0);
    assert.equal(fs.readFileSync(file("aws"), "utf8").length, 10);
  });

  it("keeps the key of an earlier boot when AWS does not answer, but no other", () => {
    assert.equal(run().status, 0);
    program("aws", 'echo . >>"$FOLDER/asked"', "exit 255");
    const { status, stderr } = run();
    assert.equal(status, 0);
    assert.match(stderr, /the key of an earlier boot stays/);
    assert.equal(fs.readFileSync(file("asked"), "utf8"), ".\n".repeat(3));
    assert.ok(!fs.existsSync(file("systemctl")));
    fs.copyFileSync(file("other"), file("ssh/ssh_host_ed25519_key"));
    assert.equal(run().status, 1);
    assert.ok(fs.existsSync(file("systemctl")));
  });

  for (const [what, lines] of [
    ["may not be read", ['echo "AccessDeniedException: not authorized" >&2', "exit 254"]],
    ["is not a key", ["echo nonsense"]],
    ["cannot be fetched without an AWS CLI", ["exec /nonexistent/aws"]],
  ] as const) {
    it(`keeps SSH off, and says why, when the parameter ${what}`, () => {
      program("aws", ...lines);
      const { status, stderr } = run();
      assert.equal(status, 1);
      assert.match(stderr, /the SSH host key cannot be read from the parameter \/key in us-east-1:\n[^]+\n/);
      assert.match(stderr, /SSH stays off until the next boot/);
      assert.equal(
        fs.readFileSync(file("systemctl"), "utf8"),
        "mask --runtime --now ssh.service ssh.socket\n",
      );
    });
  }
});
