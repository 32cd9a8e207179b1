import * as pulumi from "@pulumi/pulumi";

import type { PolicyStatementArgs } from "../aws";
import { s3Location } from "../settings/s3Location";
import { keysOf } from "./uploadFiles";

/** A model that a host fetches. */
export interface FetchedModel {
  readonly name: string;
  /** A folder on this machine, or `s3://bucket/prefix`. */
  readonly source: string;
  /** Bucket that a folder's files travel through. */
  readonly bucket?: pulumi.Input<string>;
}

/**
 * What the role of a host may do so that it can fetch its models: read below their prefixes. Old versions, because what
 * serves may have been overwritten since. It may not list them, as the program tells it what lies there.
 */
export function modelAccess(models: readonly FetchedModel[]): PolicyStatementArgs[] {
  const places = models.flatMap(({ name, source, bucket }) => {
    const location = s3Location(source);
    if (location !== undefined) return [location];
    return bucket === undefined ? [] : [{ bucket, prefix: keysOf(name) }];
  });
  if (places.length === 0) return [];
  return [
    {
      sid: "ReadModels",
      actions: ["s3:GetObject", "s3:GetObjectVersion"],
      resources: places.map(({ bucket, prefix }) => pulumi.interpolate`arn:aws:s3:::${bucket}/${prefix}/*`),
    },
  ];
}
