import * as assert from "node:assert/strict";

import * as path from "node:path";

import { readSettings, Settings, SettingsContext, SettingsError } from "../../../components/settings";

/** A certificate of gw.test until 2126, and its key: openssl req -x509 -newkey ec … */
export const CERTIFICATE = [
  "-----BEGIN CERTIFICATE-----",
  "MIIBezCCASGgAwIBAgIUJWT+xNj7QWD+iujxgODOcd0wmVkwCgYIKoZIzj0EAwIw",
  "EjEQMA4GA1UEAwwHZ3cudGVzdDAgFw0yNjExMjgwMDM0MTlaGA8yMTI2MTEwNDAw",
  "MzQxOVowEjEQMA4GA1UEAwwHZ3cudGVzdDBZMBMGByqGSM49AgEGCCqGSM49AwEH",
  "A0IABPhwT1b05rnu2dqOeeqNooxFcip79QXFdfwP8WR0vwHGFRleXcBFqtMIffZQ",
  "Xfv4OeAumbwN9837yqwWp87RpASjUzBRMB0GA1UdDgQWBBT5C2gPmAGqlRLNwiTP",
  "7/LlLdehqDAfBgNVHSMEGDAWgBT5C2gPmAGqlRLNwiTP7/LlLdehqDAPBgNVHRMB",
  "Af8EBTADAQH/MAoGCCqGSM49BAMCA0gAMEUCIQCUFuSqQKFwqkhENiWSU18wb3rz",
  "z35sw3V+Qn2bxffnBQIgCtRxaqNAjWOv3k8OPvDQTO1VP0e+eEtmlcHaT9U8v/o=",
  "-----END CERTIFICATE-----",
  "",
].join("\n");
export const CERTIFICATE_KEY = [
  "-----BEGIN PRIVATE KEY-----",
  "MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgwfx44N80I69e3ML5",
  "CsO6sQYmr+GwBEiloF/u9LJV/7qhRANCAAT4cE9W9Oa57tnajnnqjaKMRXIqe/UF",
  "xXX8D/FkdL8BxhUZXl3ARarTCH32UF37+DngLpm8DffN+8qsFqfO0aQE",
  "-----END PRIVATE KEY-----",
  "",
].join("\n");

/**
 * Files by their places: those of a gateway, and the configurations of `p`, an ensemble of the models a and b, and of `q`,
 * one without a version folder.
 */
const TEXTS: Readonly<Record<string, string>> = {
  "/project/tls/chain.pem": CERTIFICATE,
  "/project/tls/key.pem": CERTIFICATE_KEY,
  "/project/tls/empty.pem": "",
  "/project/models/p/config.pbtxt": ensemble("a", "b"),
  "/project/models/q/config.pbtxt": ensemble("a"),
};

/** Text of the `config.pbtxt` of an ensemble. */
export function ensemble(...steps: readonly string[]): string {
  const each = steps.map((name) => `{ model_name: "${name}" model_version: -1 }`);
  return `platform: "ensemble"\nensemble_scheduling { step [ ${each.join(", ")} ] }\n`;
}

/** A machine whose file system contains `/project/models/<letter>/1` for each letter, files, and an ONNX model in `x`. */
export const context: SettingsContext = {
  origin: "config",
  stack: "dev",
  projectDirectory: "/project",
  secretKeys: new Set(["host", "gateway"]),
  files: {
    kind: (place) =>
      /^\/project\/models\/([a-z]|empty)(\/[1-9])?$/.test(place)
        ? "folder"
        : [".plan", ".pem"].includes(path.extname(place)) || place === "/project/models/x/1/model.onnx"
          ? "file"
          : "missing",
    entries: (folder) =>
      folder.endsWith("empty")
        ? ["config.pbtxt", "01", "latest"]
        : folder.endsWith("/q")
          ? ["config.pbtxt"]
          : ["1", "config.pbtxt"],
    text: (file) => TEXTS[file],
  },
  inform: () => undefined,
};

export function parsed(raw: unknown, inform: (message: string) => void = () => undefined): Settings {
  return readSettings(raw, { ...context, inform });
}

/** The error that the config causes; any other exception is a crash. */
export function refusal(raw: unknown): SettingsError {
  try {
    readSettings(raw, context);
  } catch (error) {
    if (error instanceof SettingsError) {
      return error;
    }
    throw error;
  }
  throw new Error("accepted");
}

/** Checks all faults of a config by path, value, what is allowed and the fix; of each, as many of these as are given. */
export function assertRefused(raw: unknown, expected: readonly (readonly unknown[])[]): void {
  const found = refusal(raw).faults.map(({ path, value, allowed, fix }) => [path, value, allowed, fix]);
  assert.deepEqual(
    found.map((fault, index) => fault.slice(0, expected[index]?.length)),
    expected,
  );
}

/** A well-formed key of 32 zero bytes. */
export const HOST_KEY = `ssh-ed25519 ${Buffer.concat([
  Buffer.from([0, 0, 0, 11]),
  Buffer.from("ssh-ed25519"),
  Buffer.from([0, 0, 0, 32]),
  Buffer.alloc(32),
]).toString("base64")}`;

export const PRIVATE_KEY = [
  "-----BEGIN OPENSSH PRIVATE KEY-----",
  "bm90IGEga2V5",
  "-----END OPENSSH PRIVATE KEY-----",
  "",
].join("\n");

/** The beginning of a key in OpenSSH's own form, which names the cipher that its private part is encrypted with. */
export function opensshKey(cipher: string): string {
  const length = Buffer.alloc(4);
  length.writeUInt32BE(cipher.length);
  const bytes = Buffer.concat([
    Buffer.from("openssh-key-v1\0"),
    length,
    Buffer.from(cipher),
    Buffer.alloc(100),
  ]);
  const lines = bytes.toString("base64").match(/.{1,70}/g) ?? [];
  return ["-----BEGIN OPENSSH PRIVATE KEY-----", ...lines, "-----END OPENSSH PRIVATE KEY-----", ""].join(
    "\n",
  );
}

export const SSH = { kind: "ssh", address: "gpu1", privateKey: PRIVATE_KEY, hostKey: HOST_KEY };
export const IMAGE = `registry.example.com/triton@sha256:${"a".repeat(64)}`;
