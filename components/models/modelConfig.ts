import { createHash } from "node:crypto";
import * as fs from "node:fs";
import * as path from "node:path";

import { isVersion, s3Location } from "../settings";
import { TENSORRT_FILE } from "./config";
import { isLeftover } from "./leftovers";
import { readS3Model } from "./s3";

/** The text of the `config.pbtxt` in a model's source, or undefined if there is none. */
export function ownConfig(source: string): string | undefined | Promise<string | undefined> {
  if (s3Location(source) !== undefined) {
    return readS3Model(source).then(({ config }) => config);
  }
  const file = path.join(source, "config.pbtxt");
  return fs.existsSync(file) ? fs.readFileSync(file, "utf8") : undefined;
}

/** The folders in a model's source, each version with the names of the files that are directly in it. */
export type Folders = ReadonlyMap<string, readonly string[]>;

export function foldersOf(source: string): Folders | Promise<Folders> {
  if (s3Location(source) !== undefined) {
    return readS3Model(source).then(({ objects }) => foldersAmong(objects.map((object) => object.path)));
  }
  if (!fs.existsSync(source)) return new Map();
  const folders = fs
    .readdirSync(source)
    .filter((name) => !isLeftover(name) && isFolder(path.join(source, name)));
  return new Map(
    folders.map((name) => [name, isVersion(name) ? fs.readdirSync(path.join(source, name)) : []]),
  );
}

/** A link that leads nowhere is refused where the folder is read. */
function isFolder(place: string): boolean {
  return fs.statSync(place, { throwIfNoEntry: false })?.isDirectory() === true;
}

/** @param files their paths below the model's folder */
function foldersAmong(files: readonly string[]): Folders {
  const folders = new Map<string, string[]>();
  for (const file of files) {
    const [folder = "", ...steps] = file.split("/");
    if (steps.length === 0) continue;
    folders.set(folder, [...(folders.get(folder) ?? []), steps.join("/")]);
  }
  return folders;
}

/** Those of the folders that are versions. */
export function versionsAmong(folders: Folders): Folders {
  return new Map([...folders].filter(([name]) => isVersion(name)));
}

/** Whether a version has the file of a TensorRT engine. */
export function hasPlan(versions: Folders): boolean {
  return [...versions.values()].some((files) => files.includes(TENSORRT_FILE));
}

/** Names a configuration together with the files that it belongs to: 16 hexadecimal digits. */
export function modelDigest(config: string, filesDigest: string): string {
  return createHash("sha256").update(filesDigest).update("\0").update(config).digest("hex").slice(0, 16);
}
