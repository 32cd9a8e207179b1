import * as pulumi from "@pulumi/pulumi";

import { sdk } from "../aws";
import type { FolderItem } from "./modelFolder";
import type { ModelObject } from "./s3";

/** Each file is a resource; a model of more files is better put into S3 by a tool made for that. */
const MOST_FILES = 200;

/** What the keys of all models' files begin with in the bucket that they travel through. */
export const MODEL_KEYS = "models";

/** What the keys of a model's files begin with there. */
function keysOf(model: string): string {
  return `${MODEL_KEYS}/${model}`;
}

/** Where hosts share engines in that bucket, if there is one. */
export function sharedEngines(bucket: pulumi.Input<string> | undefined): pulumi.Output<string> | undefined {
  return bucket === undefined ? undefined : pulumi.interpolate`s3://${bucket}/engines`;
}

/**
 * Uploads a model's files, each under its own path, so that a file which has not changed is not uploaded again.
 *
 * @returns where they are, and what the host is to fetch; the ETags are known once the files are there
 * @throws RunError if there are too many
 */
export function uploadFiles(
  name: string,
  bucket: pulumi.Output<string>,
  model: { readonly name: string; readonly source: string },
  items: readonly FolderItem[],
  opts: pulumi.CustomResourceOptions,
): { source: pulumi.Output<string>; objects: pulumi.Output<readonly ModelObject[]> } {
  // A folder that holds something comes with that.
  const entries = items.filter(({ file, empty }) => file !== undefined || empty);
  if (entries.length > MOST_FILES) {
    throw new pulumi.RunError(
      `${model.source}: ${entries.length} files are too many to upload one by one (at most ${MOST_FILES})\n` +
        `  fix: aws s3 sync ${model.source} s3://BUCKET/${model.name}, and give that as the source`,
    );
  }
  const prefix = keysOf(model.name);
  const uploaded = entries.map(({ path, file, bytes }) => {
    const object = new sdk.s3.BucketObjectv2(
      `${name}/${path}`,
      {
        bucket,
        key: `${prefix}/${path}`,
        ...(file === undefined ? { content: "" } : { source: new pulumi.asset.FileAsset(file) }),
      },
      // No model's name has a slash. With the dash of earlier releases, x-1/a and x/1-a were the same.
      pulumi.mergeOptions(opts, { aliases: [{ name: `${name}-${path}` }] }),
    );
    return object.etag.apply((etag): ModelObject => ({ path, etag: etag.replaceAll('"', ""), bytes }));
  });
  return { source: pulumi.interpolate`s3://${bucket}/${prefix}`, objects: pulumi.all(uploaded) };
}
