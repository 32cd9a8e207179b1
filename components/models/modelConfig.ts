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

/** Whether a version folder in a model's source has the file of a TensorRT engine. */
export function hasPlan(source: string): boolean | Promise<boolean> {
  if (s3Location(source) !== undefined) {
    return readS3Model(source).then(({ objects }) => objects.some((object) => isPlan(object.path)));
  }
  if (!fs.existsSync(source)) return false;
  return fs
    .readdirSync(source)
    .some((folder) => isVersion(folder) && fs.existsSync(path.join(source, folder, TENSORRT_FILE)));
}

/** @param file its path below the model's folder */
function isPlan(file: string): boolean {
  const [folder = "", ...steps] = file.split("/");
  return isVersion(folder) && steps.join("/") === TENSORRT_FILE;
}

/** Names a configuration together with the files that it belongs to: 16 hexadecimal digits. */
export function modelDigest(config: string, filesDigest: string): string {
  return createHash("sha256").update(filesDigest).update("\0").update(config).digest("hex").slice(0, 16);
}
