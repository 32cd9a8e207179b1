import * as pulumi from "@pulumi/pulumi";

import { type PolicyStatementArgs, s3Location } from "../settings";
import { type Travelling, travelsThroughBucket } from "./travel";
import { keysOf, sharedEngines } from "./uploadFiles";

/** A model that a host fetches. */
export interface FetchedModel extends Travelling {
  readonly name: string;
  /** How its engine is built; an output does not say where it is shared. */
  readonly engine?: pulumi.Input<{ readonly shared?: pulumi.Input<string> | undefined } | undefined>;
}

/**
 * What the role of a host may do so that it can fetch its models: read below their prefixes. Old versions, because what
 * serves may have been overwritten since. It may not list them, as the program tells it which objects there are.
 *
 * @param bucket that folders travel through
 */
export function modelAccess(
  models: readonly FetchedModel[],
  bucket: pulumi.Input<string> | undefined,
): PolicyStatementArgs[] {
  const places = models.flatMap((model) => {
    const location = s3Location(model.source);
    if (location !== undefined) return [location];
    return bucket !== undefined && travelsThroughBucket(model)
      ? [{ bucket, prefix: keysOf(model.name) }]
      : [];
  });
  return [...readModels(places), ...shareEngines(models, bucket)];
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
function shareEngines(
  models: readonly FetchedModel[],
  bucket: pulumi.Input<string> | undefined,
): PolicyStatementArgs[] {
  const places = models.flatMap(({ engine }) => {
    if (engine === undefined || engine instanceof Promise || pulumi.Output.isInstance(engine)) return [];
    const shared = engine.shared ?? sharedEngines(bucket);
    return shared === undefined ? [] : [pulumi.output(shared)];
  });
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
