import { createHash } from "node:crypto";

import * as pulumi from "@pulumi/pulumi";

import { isVersion } from "../../settings";
import { isLeftover } from "../leftovers";

/** One object of a model. */
export interface ModelObject {
  /** Key without the model's prefix and the slash behind it. A folder's marker ends with a slash. */
  readonly path: string;
  /** What S3 calls this content, without quotes. */
  readonly etag: string;
  readonly bytes: number;
}

/** The configuration, which is rendered for each deployment. */
export const CONFIG = "config.pbtxt";

/** An ETag becomes a word of a line; https://docs.aws.amazon.com/AmazonS3/latest/API/API_Object.html */
const ETAG = /^[A-Za-z0-9+/=_-]{1,128}$/;

/**
 * What of the listed objects reaches the host, in a fixed order.
 *
 * @param source for messages
 * @param isEnsemble whether it may lack its version folder, which is empty, and of which S3 keeps nothing
 * @throws RunError where the objects cannot be laid out as a model
 */
export function modelObjects(
  source: string,
  listed: readonly ModelObject[],
  isEnsemble = false,
): readonly ModelObject[] {
  const objects = listed
    .filter(({ path }) => path !== "" && path !== CONFIG && !path.split("/").some(isLeftover))
    .toSorted((a, b) => Buffer.compare(Buffer.from(a.path), Buffer.from(b.path)));
  const names = new Set(objects.map(({ path }) => path));
  for (const { path, etag } of objects) {
    const steps = path.replace(/\/$/, "").split("/");
    if (steps.some((step) => !isName(step))) {
      throw new pulumi.RunError(
        `${source}: the key ${JSON.stringify(path)} cannot be the path of a file\n  fix: rename or remove the object`,
      );
    }
    if (!ETAG.test(etag)) {
      throw new pulumi.RunError(
        `${source}/${path}: its ETag ${JSON.stringify(etag)} is not one of S3's\n  fix: use a store that speaks S3's protocol`,
      );
    }
    const file = steps.map((_, index) => steps.slice(0, index).join("/")).find((above) => names.has(above));
    if (file !== undefined) {
      throw new pulumi.RunError(
        `${source}: ${file} is an object and a folder with ${path} in it\n  fix: rename or remove one of the two`,
      );
    }
  }
  if (!isEnsemble && !objects.some(({ path }) => path.includes("/") && isVersion(path.split("/")[0] ?? ""))) {
    throw new pulumi.RunError(
      `${source}: ${listed.length === 0 ? "there are no objects" : "there is no version folder"}\n` +
        `  allowed: objects below at least one version: ${source}/1/…\n  fix: put the model's files there, or correct the source`,
    );
  }
  return objects;
}

/** Whether a step of a key can be a file's name that survives being a word of a line. */
function isName(step: string): boolean {
  return step !== "" && step !== "." && step !== ".." && step.trim() === step && !/\p{Cc}/u.test(step);
}

/** Names the state of a model's objects: 16 hexadecimal digits. It changes with each object's ETag, size or name. */
export function digestObjects(objects: readonly ModelObject[]): string {
  return createHash("sha256").update("s3\n").update(objectLines(objects)).digest("hex").slice(0, 16);
}

/** ETag, bytes and path, a line each. */
function objectLines(objects: readonly ModelObject[]): string {
  return objects.map(({ etag, bytes, path }) => `${etag} ${bytes} ${path}\n`).join("");
}
