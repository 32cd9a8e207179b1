import * as assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import * as fs from "node:fs";
import * as os from "node:os";
import * as path from "node:path";

const COMPONENTS = path.resolve(__dirname, "../../../components");
const REGISTRY = "111122223333.dkr.ecr.eu-central-1.amazonaws.com";

describe("docker-login.sh with the role of an instance", () => {
  let folder: string;

  const file = (...parts: string[]): string => path.join(folder, ...parts);

  const program = (name: string, ...lines: string[]): void => {
    fs.writeFileSync(file(name), ["#!/bin/bash", ...lines, ""].join("\n"), { mode: 0o755 });
  };

  /** Logs in, and prints the credentials that docker would use. */
  const login = (image: string): { status: number | null; stdout: string; stderr: string } => {
    const script = [
      `. ${COMPONENTS}/host/scripts/host-directory.sh`,
      `. ${COMPONENTS}/server/scripts/docker-login.sh`,
      'docker_login_by_role "$1"',
      'cat "$DOCKER_CONFIG/config.json"',
      'echo "$DOCKER_CONFIG"',
    ];
    return spawnSync("bash", ["-c", script.join("\n"), "bash", image], {
      encoding: "utf8",
      env: { PATH: `${folder}:${process.env.PATH}`, FOLDER: folder },
    });
  };

  beforeEach(() => {
    folder = fs.mkdtempSync(path.join(os.tmpdir(), "xsched-triton-login-"));
    program("docker", "exit 1");
    program("aws", 'echo "$*" >"$FOLDER/asked"', "echo password");
  });

  afterEach(() => {
    fs.rmSync(folder, { recursive: true });
  });

  it("asks AWS in the registry's region for a password, and stores it nowhere", () => {
    const { status, stdout } = login(`${REGISTRY}/triton@sha256:abc`);
    assert.equal(status, 0);
    const [config = "", used = ""] = stdout.split("\n");
    const auth = Buffer.from("AWS:password").toString("base64");
    assert.deepEqual(JSON.parse(config), { auths: { [REGISTRY]: { auth } } });
    assert.equal(fs.readFileSync(file("asked"), "utf8"), "ecr get-login-password --region eu-central-1\n");
    assert.ok(!fs.existsSync(used));
  });

  it("reports that the role may not", () => {
    program("aws", "echo AccessDeniedException >&2", "exit 254");
    const { status, stderr } = login(`${REGISTRY}/triton@sha256:abc`);
    assert.equal(status, 1);
    assert.match(stderr, /^AccessDeniedException\n/m);
    assert.match(
      stderr,
      new RegExp(`^error: the role of this instance may not log in to ${REGISTRY}\n`, "m"),
    );
  });

  it("refuses another registry", () => {
    for (const image of ["registry.example.com/triton", `${REGISTRY}.example.com/triton`, "triton"]) {
      const { status, stderr } = login(image);
      assert.equal(status, 1);
      assert.match(stderr, /^error: \S+ is not a registry of Amazon ECR\n/m);
      assert.ok(!fs.existsSync(file("asked")));
    }
  });
});
