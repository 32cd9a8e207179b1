import { createHash } from "node:crypto";
import * as fs from "node:fs";
import * as path from "node:path";

import { isVersion, s3Location } from "../settings";
import { TENSORRT_FILE } from "./config";
import { readS3Model } from "./s3";

/** The text of the `config.pbtxt` in a model's source, or undefined if there is none. */
export function ownConfig(source: string): string | undefined | Promise<string | undefined> {
  if (s3Location(source) !== undefined) {
    return readS3Model(source).then(({ config }) => config);
  }
  const file = path.join(source, "config.pbtxt");
  return fs.existsSync(file) ? fs.readFileSync(file, "utf8") : undefined;
}

/** The version folders of a model's source, each with the names of the files that are directly in it. */
export type Versions = ReadonlyMap<string, readonly string[]>;

export function versionsOf(source: string): Versions | Promise<Versions> {
  if (s3Location(source) !== undefined) {
    return readS3Model(source).then(({ objects }) => versionsAmong(objects.map((object) => object.path)));
  }
  if (!fs.existsSync(source)) return new Map();
  const folders = fs
    .readdirSync(source)
    .filter((name) => isVersion(name) && isFolder(path.join(source, name)));
  return new Map(folders.map((name) => [name, fs.readdirSync(path.join(source, name))]));
}

/** A link that leads nowhere is refused where the folder is read. */
function isFolder(place: string): boolean {
  return fs.statSync(place, { throwIfNoEntry: false })?.isDirectory() === true;
}

/** @param files their paths below the model's folder */
function versionsAmong(files: readonly string[]): Versions {
  const versions = new Map<string, string[]>();
  for (const file of files) {
    const [folder = "", ...steps] = file.split("/");
    if (!isVersion(folder) || steps.length === 0) continue;
    versions.set(folder, [...(versions.get(folder) ?? []), steps.join("/")]);
  }
  return versions;
}

/** Whether a version has the file of a TensorRT engine. */
export function hasPlan(versions: Versions): boolean {
  return [...versions.values()].some((files) => files.includes(TENSORRT_FILE));
}

/** Names a configuration together with the files that it belongs to: 16 hexadecimal digits. */
export function modelDigest(config: string, filesDigest: string): string {
  return createHash("sha256").update(filesDigest).update("\0").update(config).digest("hex").slice(0, 16);
}
