import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import * as fs from "node:fs";
import * as os from "node:os";
import * as path from "node:path";

const SCRIPTS = path.resolve(__dirname, "../../../components/image");
const DIGEST = `sha256:${"a".repeat(64)}`;
const OTHER = `sha256:${"b".repeat(64)}`;
const IMAGE = `registry.example.com/triton@${DIGEST}`;

interface Ended {
  readonly status: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

describe("the scripts of an image's supply chain", () => {
  let folder: string;

  beforeEach(() => {
    folder = fs.mkdtempSync(path.join(os.tmpdir(), "xsched-supply-"));
    fs.mkdirSync(path.join(folder, "programs"));
  });

  afterEach(() => {
    fs.rmSync(folder, { recursive: true });
  });

  /** Puts a program in front of the others. It records its words, and what it is told in the environment. */
  const program = (name: string, answer: string): void => {
    const record = path.join(folder, name);
    const text = `#!/bin/bash
printf '%s\\n' "$@" >>'${record}'
echo "\${COSIGN_PASSWORD-}/\${SIGNING_KEY-}/\${PUBLIC_KEY-}" >>'${record}.environment'
for word; do case $word in *.json) cat "$word" ;; esac; done >>'${record}.files'
${answer}
`;
    fs.writeFileSync(path.join(folder, "programs", name), text, { mode: 0o755 });
  };

  const record = (name: string): string => {
    const file = path.join(folder, name);
    return fs.existsSync(file) ? fs.readFileSync(file, "utf8") : "";
  };

  /** Runs a script as a command does: on standard input. With our own programs, Node, Bash and the usual ones. */
  const run = (words: string, script: string, environment: NodeJS.ProcessEnv): Ended => {
    const PATH = [path.join(folder, "programs"), path.dirname(process.execPath), "/usr/bin", "/bin"];
    // A pipe: where standard input is a socket, as Node makes it, Bash reads its user's settings.
    return spawnSync("/bin/sh", ["-c", `cat "$0" | ${words}`, path.join(SCRIPTS, script)], {
      encoding: "utf8",
      env: { ...environment, PATH: PATH.join(path.delimiter) },
    });
  };

  describe("that look up a digest", () => {
    const pin = (environment: NodeJS.ProcessEnv): Ended => run("node -", "pin-image.cjs", environment);

    const pinned = (environment: NodeJS.ProcessEnv): unknown => {
      const { status, stdout, stderr } = pin(environment);
      assert.equal(status, 0, stderr);
      return (JSON.parse(stdout) as { digest: string }).digest;
    };

    const docker = (answer: unknown): void => {
      program("docker", `cat <<'E'\n${JSON.stringify(answer)}\nE`);
    };

    const manifest = (digest: string, architecture: string): object => ({
      Descriptor: {
        digest,
        platform: { os: architecture === "unknown" ? "unknown" : "linux", architecture },
      },
    });

    it("ask Docker's client about a tag", () => {
      docker(manifest(DIGEST, "amd64"));
      assert.equal(pinned({ IMAGE: "registry.example.com/triton:1" }), DIGEST);
      assert.equal(record("docker"), "manifest\ninspect\n--verbose\nregistry.example.com/triton:1\n");
    });

    it("take the image for our platform of several", () => {
      docker([manifest(OTHER, "arm64"), manifest(DIGEST, "amd64"), manifest(OTHER, "unknown")]);
      assert.equal(pinned({ IMAGE: "registry.example.com/triton:1" }), DIGEST);
    });

    it("need no TLS from a registry on this machine, and from no other", () => {
      docker(manifest(DIGEST, "amd64"));
      for (const registry of [
        "127.0.0.1:5000",
        "localhost:5000",
        "127.0.0.1.example.com",
        "localhost.test",
      ]) {
        assert.equal(pinned({ IMAGE: `${registry}/triton:1` }), DIGEST);
      }
      assert.equal(
        record("docker").match(/--insecure\n127\.0\.0\.1:5000\/|--insecure\nlocalhost:5000\//g)?.length,
        2,
      );
      assert.equal(record("docker").match(/--insecure/g)?.length, 2);
    });

    it("ask nobody about a digest", () => {
      docker(manifest(OTHER, "amd64"));
      assert.equal(pinned({ IMAGE }), DIGEST);
      assert.equal(record("docker"), "");
    });

    it("keep what they have found, until the image or the date is another one", () => {
      docker(manifest(DIGEST, "amd64"));
      const first = pin({ IMAGE: "triton:1", AS_OF: "" }).stdout;
      docker(manifest(OTHER, "amd64"));
      const again = { PULUMI_COMMAND_STDOUT: first };
      assert.equal(pinned({ ...again, IMAGE: "triton:1", AS_OF: "" }), DIGEST);
      assert.equal(pinned({ ...again, IMAGE: "triton:1", AS_OF: "2026-11-28" }), OTHER);
      assert.equal(pinned({ ...again, IMAGE: "triton:2", AS_OF: "" }), OTHER);
      assert.equal(pinned({ IMAGE: "triton:1", AS_OF: "", PULUMI_COMMAND_STDOUT: "not ours" }), OTHER);
    });

    for (const [what, prepare, reason] of [
      [
        "that the tag stands for nothing",
        () => {
          program("docker", "echo 'no such manifest: x' >&2; exit 1");
        },
        "no such manifest: x",
      ],
      [
        "that it is not there for our platform",
        () => {
          docker([manifest(OTHER, "arm64"), manifest(OTHER, "s390x")]);
        },
        "it is not there for linux/amd64",
      ],
    ] as const) {
      it(`report ${what}`, () => {
        prepare();
        const { status, stderr } = pin({ IMAGE: "registry.example.com:5000/triton:1" });
        assert.equal(status, 1);
        assert.equal(
          stderr,
          `error: the digest of the image registry.example.com:5000/triton:1 cannot be looked up: ${reason}\n` +
            "fix: check its name, whether this machine reaches its registry, and the log-in (docker login), or give its digest: registry.example.com:5000/triton@sha256:…\n",
        );
      });
    }

    it("report that Docker's client is missing", () => {
      const nowhere = spawnSync(process.execPath, ["-"], {
        encoding: "utf8",
        input: fs.readFileSync(path.join(SCRIPTS, "pin-image.cjs")),
        env: { PATH: folder, IMAGE: "triton:1" },
      });
      assert.equal(nowhere.status, 1);
      assert.match(
        nowhere.stderr,
        /^error: the digest of .*: Docker's client is not installed on this machine\nfix: /,
      );
    });
  });

  describe("that sign", () => {
    const sign = (environment: NodeJS.ProcessEnv = {}): Ended =>
      run("bash -s", "sign-image.sh", {
        ...{ IMAGE, KEY: "env://SIGNING_KEY", SIGNING_KEY: "the key", COSIGN_PASSWORD: "hunter2" },
        ...{ TRANSPARENCY_LOG: "false", ...environment },
      });

    it("tell nobody else, and give the key and its password to cosign alone", () => {
      program("cosign", "");
      const { status, stdout, stderr } = sign();
      assert.equal(status, 0, stderr);
      assert.equal(stdout, "signed\n");
      assert.match(
        record("cosign"),
        new RegExp(
          `^sign\n--yes\n--key\nenv://SIGNING_KEY\n--signing-config\n.*\n--trusted-root\n.*\n${IMAGE}\n$`,
        ),
      );
      assert.equal(record("cosign.environment"), "hunter2/the key/\n");
      // No log, no time stamp, and nobody to trust but the key.
      assert.deepEqual(
        record("cosign.files")
          .trim()
          .split("\n")
          .map((line) => JSON.parse(line) as unknown),
        [
          {
            mediaType: "application/vnd.dev.sigstore.signingconfig.v0.2+json",
            ...{ rekorTlogConfig: {}, tsaConfig: {} },
          },
          { mediaType: "application/vnd.dev.sigstore.trustedroot+json;version=0.1" },
        ],
      );
    });

    it("use the public log only if they are told so", () => {
      program("cosign", "");
      assert.equal(sign({ TRANSPARENCY_LOG: "true", KEY: "awskms:///alias/images" }).status, 0);
      assert.equal(record("cosign"), `sign\n--yes\n--key\nawskms:///alias/images\n${IMAGE}\n`);
    });

    it("report why it does not work", () => {
      program("cosign", "echo 'Error: decryption failed' >&2; exit 1");
      const { status, stdout, stderr } = sign();
      assert.deepEqual([status, stdout], [1, ""]);
      assert.equal(
        stderr,
        `Error: decryption failed\nerror: the image ${IMAGE} is not signed: cosign's reason is above\n` +
          "fix: check the key and its password, whether it is cosign 3 (cosign version), and whether the login may push\n",
      );
    });

    it("report that cosign is missing", () => {
      const { status, stderr } = sign();
      assert.equal(status, 1);
      assert.match(
        stderr,
        /^error: the image is not signed: cosign is not installed on this machine\nfix: install cosign 3 /,
      );
    });
  });

  describe("that check a signature", () => {
    const verify = (): Ended => run("bash -s", "verify-image.sh", { IMAGE, PUBLIC_KEY: "the public key" });

    it("ask cosign, and no log", () => {
      program("cosign", "echo '[{}]'");
      const { status, stdout, stderr } = verify();
      assert.equal(status, 0, stderr);
      assert.equal(stdout, "verified\n");
      assert.equal(record("cosign"), `verify\n--key\nenv://PUBLIC_KEY\n--insecure-ignore-tlog\n${IMAGE}\n`);
      assert.equal(record("cosign.environment"), "//the public key\n");
    });

    it("refuse an image without it", () => {
      program("cosign", "echo 'Error: no signatures found' >&2; exit 10");
      const { status, stdout, stderr } = verify();
      assert.deepEqual([status, stdout], [1, ""]);
      assert.match(
        stderr,
        /^Error: no signatures found\nerror: the image .* has no signature of this key: .*\nfix: /,
      );
    });

    it("report that cosign is missing", () => {
      assert.match(
        verify().stderr,
        /^error: the image's signature cannot be checked: cosign is not installed /,
      );
    });
  });
});
