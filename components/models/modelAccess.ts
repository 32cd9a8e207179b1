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
  /** How its engine is built; what is an output says nothing of where it is shared. */
  readonly engine?: pulumi.Input<{ shared?: pulumi.Input<string> }>;
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
  return [...readModels(places), ...shareEngines(models)];
}

function readModels(
  places: readonly { readonly bucket: pulumi.Input<string>; readonly prefix: string }[],
): PolicyStatementArgs[] {
  if (places.length === 0) return [];
  return [
    {
      sid: "ReadModels",
      actions: ["s3:GetObject", "s3:GetObjectVersion"],
      resources: places.map(({ bucket, prefix }) => pulumi.interpolate`arn:aws:s3:::${bucket}/${prefix}/*`),
    },
  ];
}

/** Below the prefixes that the hosts share engines in, reading and adding. */
function shareEngines(models: readonly FetchedModel[]): PolicyStatementArgs[] {
  const places = models.flatMap(({ engine }) =>
    engine === undefined || engine instanceof Promise || pulumi.Output.isInstance(engine) || !engine.shared
      ? []
      : [pulumi.output(engine.shared)],
  );
  if (places.length === 0) return [];
  return [
    {
      sid: "ShareEngines",
      actions: ["s3:GetObject", "s3:PutObject"],
      resources: pulumi
        .all(places)
        .apply((known) =>
          [...new Set(known)].map((place) => `arn:aws:s3:::${place.slice("s3://".length)}/*`),
        ),
    },
  ];
}
