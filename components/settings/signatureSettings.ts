import { createPublicKey } from "node:crypto";

import { type PemFault, unixLines } from "./pem";
import { pemFile } from "./pemFile";
import { type Place } from "./place";
import { boolean, defaulted, keyOf, mapped, object, optional, type ReadBy, secret, text } from "./rules";

const KEY = "a key of cosign: the text of cosign.key";
const KEY_FIX = "make one: cosign generate-key-pair";

function signingKeyFault(content: string): PemFault {
  return /^-----BEGIN ENCRYPTED (SIGSTORE|COSIGN) PRIVATE KEY-----\n[^-]+-----END /.test(unixLines(content))
    ? undefined
    : KEY_FIX;
}

const signingKey = secret({
  what: "a key",
  config: {
    allowed: `${KEY}, encrypted in the stack config`,
    fix: "pulumi config set --secret --path xsched-triton:runtime.signature.key < cosign.key",
  },
  arguments: { allowed: KEY, fix: "pass the contents of cosign.key, from a secret in the stack config" },
  normalize: unixLines,
  refuse(value) {
    const fix = signingKeyFault(value);
    return fix === undefined ? undefined : { shown: "(secret)", fix };
  },
});

const password = secret({
  what: "a password",
  config: {
    allowed: "the password of the key, encrypted in the stack config",
    fix: "pulumi config set --secret --path xsched-triton:runtime.signature.password",
  },
  arguments: {
    allowed: "the password of the key",
    fix: "pass the password, from a secret in the stack config",
  },
  refuse: (value) => (/^[^\p{Cc}]{0,8192}$/u.test(value) ? undefined : { shown: "(secret)" }),
});

/** https://docs.sigstore.dev/cosign/key_management/overview/ */
const keyService = text({
  allowed: "a key of a key service: awskms://, gcpkms://, azurekms:// or hashivault:// and its name",
  example: "awskms:///alias/images",
  refuse: (value) =>
    /^(awskms|gcpkms|azurekms|hashivault):\/\/[^\s\p{Cc}]{1,1024}$/u.test(value)
      ? undefined
      : "give its address as for cosign sign --key",
});

const WAYS = ["key", "keyFile", "kms"] as const;

/** How an image is signed. */
export const imageSignature = object({
  name: "ImageSignature",
  description: "How an image is signed, with cosign: exactly one of `key`, `keyFile` and `kms`.",
  allowed: "an object with a key",
  fields: {
    key: optional(
      signingKey,
      "Private key, the text of cosign's `cosign.key`. A secret.",
      "`keyFile`, or `kms`",
    ),
    keyFile: optional(
      pemFile(KEY, "cosign.key", signingKeyFault),
      "File on the machine that deploys with the private key. Its content is kept in the stack's state, encrypted.",
      "`key`, or `kms`",
    ),
    kms: optional(
      keyService,
      "Key of a key service, which the machine that deploys may sign with. The key never leaves the service.",
      "`key`, or `keyFile`",
    ),
    password: optional(password, "Password of `key` or `keyFile`. A secret.", "empty"),
    transparencyLog: defaulted(
      boolean,
      false,
      "Whether the signature is recorded in Sigstore's public log (Rekor), where everyone can read the image's name and digest, for ever.",
    ),
  },
  check(_, at, raw) {
    const given = WAYS.filter((key) => keyOf(raw, key) !== undefined);
    if (given.length !== 1) {
      at.at("key").faultShown(
        given.length === 0 ? "(not set)" : `(given: ${given.join(", ")})`,
        "key, keyFile or kms, exactly one",
        given.length === 0 ? `add keyFile: cosign.key; ${KEY_FIX}` : "remove the others",
      );
    } else if (given[0] === "kms" && keyOf(raw, "password") !== undefined) {
      at.at("password").faultShown("(given with kms)", "a password only with key or keyFile", "remove it");
    }
  },
});

export type ImageSignature = ReadBy<typeof imageSignature>;

const PUBLIC_KEY = "a public key in PEM form: the text of cosign.pub";

/** What a signature is checked with. */
export const publicKey = mapped(
  text({
    allowed: PUBLIC_KEY,
    example: '"-----BEGIN PUBLIC KEY-----…"',
    refuse(value) {
      const pem = unixLines(value);
      if (!pem.startsWith("-----BEGIN PUBLIC KEY-----")) return "give the key as in cosign.pub, whole";
      try {
        createPublicKey(pem);
        return undefined;
      } catch {
        return "it is damaged: copy it again, whole";
      }
    },
  }),
  unixLines,
);

/** Refuses to sign what is not built here, and to check what is. */
export function refuseStrayKeys(raw: unknown, at: Place): void {
  for (const [key, needed] of [
    ["signature", "build"],
    ["publicKey", "image"],
  ] as const) {
    if (keyOf(raw, key) === undefined || keyOf(raw, needed) !== undefined) continue;
    at.at(key).faultShown("(given)", `${key} only with ${needed}`, `remove it, or give ${needed}`);
  }
}
