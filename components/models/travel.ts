import type { HostLocationArgs } from "../host";
import { type ModelUpload, s3Location } from "../settings";
import { readModelFolder } from "./modelFolder";

/** What decides on the way that a model's files take to the host. */
export interface Travelling {
  /** A folder on this machine, or `s3://bucket/prefix`. */
  readonly source: string;
  readonly upload: ModelUpload;
  /** Whether symbolic links in the folder may lead out of it and the project. */
  readonly allowOutsideLinks?: boolean;
}

/** From this size on a folder travels through a bucket: over SSH, a single stream, it would take minutes. */
const LARGE_BYTES = 64 << 20;

/** Whether a model's folder is sent to the host over SSH. */
export function isSent(
  model: Travelling,
  { ssh }: Pick<HostLocationArgs, "ssh">,
  hasBucket: boolean,
): boolean {
  if (ssh === undefined || s3Location(model.source) !== undefined) return false;
  return !(hasBucket && travelsThroughBucket(model));
}

/** Whether a model is to travel through a bucket, if there is one. */
export function travelsThroughBucket({ source, upload, allowOutsideLinks }: Travelling): boolean {
  if (s3Location(source) !== undefined) return false;
  switch (upload) {
    case "ssh":
      return false;
    case "s3":
      return true;
    case "auto":
      return (
        readModelFolder(source, allowOutsideLinks).items.reduce((sum, { bytes }) => sum + bytes, 0) >=
        LARGE_BYTES
      );
    default:
      return upload satisfies never;
  }
}
