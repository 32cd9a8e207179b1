import * as pulumi from "@pulumi/pulumi";

import { currentPartition } from "../aws";
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
 * @param opts the resource that asks, whose provider decides about the partition of the ARNs
 */
export function modelAccess(
  models: readonly FetchedModel[],
  bucket: pulumi.Input<string> | undefined,
  opts: pulumi.InvokeOptions = {},
): PolicyStatementArgs[] {
  const places = models.flatMap((model) => {
    const location = s3Location(model.source);
    if (location !== undefined) return [location];
    return bucket !== undefined && travelsThroughBucket(model)
      ? [{ bucket, prefix: keysOf(model.name) }]
      : [];
  });
  const engines = sharedPlaces(models, bucket);
  if (places.length === 0 && engines.length === 0) return [];
  const s3 = pulumi.interpolate`arn:${currentPartition(opts).partition}:s3:::`;
  return [...readModels(places, s3), ...shareEngines(engines, s3)];
}

function readModels(
  places: readonly { readonly bucket: pulumi.Input<string>; readonly prefix: string }[],
  s3: pulumi.Output<string>,
): PolicyStatementArgs[] {
  if (places.length === 0) return [];
  return [
    {
      sid: "ReadModels",
      actions: ["s3:GetObject", "s3:GetObjectVersion"],
      resources: places.map(({ bucket, prefix }) => pulumi.interpolate`${s3}${bucket}/${prefix}/*`),
    },
  ];
}

/** Where the hosts share engines: `s3://BUCKET/PREFIX`. */
function sharedPlaces(
  models: readonly FetchedModel[],
  bucket: pulumi.Input<string> | undefined,
): pulumi.Output<string>[] {
  return models.flatMap(({ engine }) => {
    if (engine === undefined || engine instanceof Promise || pulumi.Output.isInstance(engine)) return [];
    const shared = engine.shared ?? sharedEngines(bucket);
    return shared === undefined ? [] : [pulumi.output(shared)];
  });
}

/** Reading and adding. */
function shareEngines(places: pulumi.Output<string>[], s3: pulumi.Output<string>): PolicyStatementArgs[] {
  if (places.length === 0) return [];
  return [
    {
      sid: "ShareEngines",
      actions: ["s3:GetObject", "s3:PutObject"],
      resources: pulumi
        .all([s3, pulumi.all(places)])
        .apply(([prefix, known]) =>
          [...new Set(known)].map((place) => `${prefix}${place.slice("s3://".length)}/*`),
        ),
    },
  ];
}
