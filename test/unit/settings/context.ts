import * as path from "node:path";

import { readSettings, Settings, SettingsContext, SettingsError } from "../../../components/settings";

/** Configurations in the folder of a model; that of `p` is an ensemble of the models a and b. */
const CONFIGS: Readonly<Record<string, string>> = {
  "/project/models/p/config.pbtxt": ensemble("a", "b"),
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
  secretKeys: new Set(["host"]),
  files: {
    kind: (place) =>
      /^\/project\/models\/([a-z]|empty)(\/[1-9])?$/.test(place)
        ? "folder"
        : path.extname(place) === ".plan" || place === "/project/models/x/1/model.onnx"
          ? "file"
          : "missing",
    entries: (folder) =>
      folder.endsWith("empty") ? ["config.pbtxt", "01", "latest"] : ["1", "config.pbtxt"],
    text: (file) => CONFIGS[file],
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
