import { execFileSync } from "node:child_process";
import { generateKeyPairSync } from "node:crypto";
import * as fs from "node:fs";
import * as path from "node:path";

/** A cosign to test with in place of the stand-in, which takes many minutes to build. */
const GIVEN = process.env.XSCHED_TRITON_TEST_COSIGN;

/**
 * Signs if the key and its password are right, and verifies what it has signed, if the public key is right. It wants the
 * words that cosign 3 needs to tell nobody else.
 */
const STAND_IN = `#!/bin/bash
set -euo pipefail
here=$(dirname "$0")
case "$*" in
  "sign --yes --key env://SIGNING_KEY --signing-config "*" --trusted-root "*)
    diff <(printf %s "$SIGNING_KEY") "$here/cosign.key" >&2
    [ "$COSIGN_PASSWORD" = "$(<"$here/password")" ] || { echo "Error: decryption failed" >&2; exit 1; }
    grep -q '"auths"' "$DOCKER_CONFIG/config.json"
    echo "\${*: -1}" >>"$here/signed"
    ;;
  "verify --key env://PUBLIC_KEY --insecure-ignore-tlog "*)
    diff <(printf %s "$PUBLIC_KEY") "$here/cosign.pub" >&2 && grep -qxF -- "\${*: -1}" "$here/signed"
    ;;
  *) echo "unknown words: $*" >&2; exit 2 ;;
esac
`;

/** cosign with a pair of keys: a stand-in, or the one that XSCHED_TRITON_TEST_COSIGN names. */
export class Cosign {
  /** Goes on PATH. */
  public readonly folder: string;
  public readonly password = "of the key";

  public constructor(workspace: string) {
    this.folder = path.join(workspace, "cosign");
    fs.mkdirSync(this.folder);
    const program = path.join(this.folder, "cosign");
    if (GIVEN !== undefined) {
      fs.symlinkSync(path.resolve(GIVEN), program);
      execFileSync(program, ["generate-key-pair"], {
        cwd: this.folder,
        stdio: "ignore",
        env: { ...process.env, COSIGN_PASSWORD: this.password },
      });
      return;
    }
    fs.writeFileSync(program, STAND_IN, { mode: 0o755 });
    const { publicKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });
    const kind = "ENCRYPTED SIGSTORE PRIVATE KEY";
    const files = {
      "cosign.key": `-----BEGIN ${kind}-----\nbm90IGEga2V5\n-----END ${kind}-----\n`,
      "cosign.pub": publicKey.export({ type: "spki", format: "pem" }) as string,
      password: this.password,
    };
    for (const [name, text] of Object.entries(files)) fs.writeFileSync(path.join(this.folder, name), text);
  }

  public get keyFile(): string {
    return path.join(this.folder, "cosign.key");
  }

  public get publicKey(): string {
    return fs.readFileSync(path.join(this.folder, "cosign.pub"), "utf8");
  }
}
