import { createHash } from "node:crypto";
import * as fs from "node:fs";
import * as path from "node:path";

import { s3Location } from "../settings";
import { readS3Model } from "./s3";

/** The text of the `config.pbtxt` in a model's source, or undefined if there is none. */
export function ownConfig(source: string): string | undefined | Promise<string | undefined> {
  if (s3Location(source) !== undefined) {
    return readS3Model(source).then(({ config }) => config);
  }
  const file = path.join(source, "config.pbtxt");
  return fs.existsSync(file) ? fs.readFileSync(file, "utf8") : undefined;
}

/** Names a configuration together with the files that it belongs to: 16 hexadecimal digits. */
export function modelDigest(config: string, filesDigest: string): string {
  return createHash("sha256").update(filesDigest).update("\0").update(config).digest("hex").slice(0, 16);
}
