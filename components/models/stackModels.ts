import * as fs from "node:fs";
import * as path from "node:path";

import type { ModelSettings, Settings } from "../settings";
import { s3Location } from "../settings/s3Location";
import { ModelBucket } from "./modelBucket";

/** From this size on a folder travels through a bucket: over SSH, which is one stream, it would take minutes. */
const LARGE_BYTES = 64 << 20;

/** The bucket that a stack's models travel through, if one of them does. */
export function modelBucket(
  name: string,
  { host, models }: Pick<Settings, "host" | "models">,
): ModelBucket | undefined {
  return host.kind === "aws" && models.some(travelsThroughBucket)
    ? new ModelBucket(name, { tags: host.tags })
    : undefined;
}

/** Whether a model of a host on AWS is to travel through a bucket. */
export function travelsThroughBucket({ source, upload }: Pick<ModelSettings, "source" | "upload">): boolean {
  if (s3Location(source) !== undefined) return false;
  switch (upload) {
    case "ssh":
      return false;
    case "s3":
      return true;
    case "auto":
      return folderBytes(source) >= LARGE_BYTES;
    default:
      return upload satisfies never;
  }
}

function folderBytes(folder: string): number {
  return fs
    .readdirSync(folder, { recursive: true, encoding: "utf8" })
    .map((name) => fs.statSync(path.join(folder, name), { throwIfNoEntry: false }))
    .reduce((sum, status) => sum + (status?.isFile() === true ? status.size : 0), 0);
}
