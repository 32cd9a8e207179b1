import { createHash } from "node:crypto";
import * as fs from "node:fs";

import { attempt, configOfFolder, readModelFolder } from "../models";
import type { ModelSettings } from "../settings";

/** Most bytes that Kubernetes takes in a ConfigMap: `MaxSecretSize` of its validation. */
const MOST_BYTES = 1 << 20;

/** A model's files as a ConfigMap has them. */
export interface ModelFiles {
  /** Name in requests, and of the model's folder. */
  readonly model: string;
  /** First 10 hexadecimal digits of a SHA-256 of everything below. */
  readonly digest: string;
  /** Texts by their keys. */
  readonly data: Readonly<Record<string, string>>;
  /** Other contents in base64, by their keys. */
  readonly binaryData: Readonly<Record<string, string>>;
  /** Where in the model's folder each key is, and its mode. */
  readonly items: readonly { readonly key: string; readonly path: string; readonly mode: number }[];
}

/** A model that is larger than a ConfigMap. */
export interface TooLarge {
  readonly model: string;
  readonly bytes: number;
}

const UTF8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

/**
 * Reads the files of a model that is a folder on this machine, with the configuration that is rendered for it.
 *
 * @throws ModelConfigError, or RunError naming a file that cannot be read
 */
export function modelFiles(model: ModelSettings): ModelFiles | TooLarge {
  const config = configOfFolder(model);
  const { items } = readModelFolder(model.source, model.allowOutsideLinks);
  // Before anything is read: it can be gigabytes.
  const bytes = items.reduce((sum, item) => sum + item.bytes, Buffer.byteLength(config));
  if (bytes > MOST_BYTES) return { model: model.name, bytes };
  const files = items.flatMap(({ path, file, empty, executable }) => {
    if (file !== undefined)
      return [{ path, executable, content: attempt(file, () => fs.readFileSync(file)) }];
    // A volume has no empty folder, and the version folder of an ensemble is one.
    return empty ? [{ path: `${path}.empty`, executable: false, content: Buffer.alloc(0) }] : [];
  });
  const all = [{ path: "config.pbtxt", executable: false, content: Buffer.from(config) }, ...files];
  const keyed = all.map((file, index) => ({
    ...file,
    key: keyOf(file.path, index),
    text: textOf(file.content),
  }));
  const data = Object.fromEntries(
    keyed.flatMap(({ key, text }) => (text === undefined ? [] : [[key, text] as const])),
  );
  const binaryData = Object.fromEntries(
    keyed.flatMap(({ key, text, content }) =>
      text === undefined ? [[key, content.toString("base64")]] : [],
    ),
  );
  const placed = keyed.map(({ key, path, executable }) => ({ key, path, mode: executable ? 0o555 : 0o444 }));
  const digest = createHash("sha256")
    .update(JSON.stringify([model.name, data, binaryData, placed]))
    .digest("hex")
    .slice(0, 10);
  return { model: model.name, digest, data, binaryData, items: placed };
}

/** A key may have letters, digits, dashes, dots and underscores. The number keeps two paths apart that look alike so. */
function keyOf(path: string, index: number): string {
  return `${index}-${path.replaceAll(/[^A-Za-z0-9._-]/g, "_").slice(-200)}`;
}

/** A file's text, if it is one that comes back as the same bytes. */
function textOf(content: Buffer): string | undefined {
  try {
    const text = UTF8.decode(content);
    return /[^\P{Cc}\t\n\r]/u.test(text) ? undefined : text;
  } catch {
    return undefined;
  }
}

/** Whether there is nothing to serve. */
export function isTooLarge(files: ModelFiles | TooLarge): files is TooLarge {
  return "bytes" in files;
}
