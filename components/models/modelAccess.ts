import * as pulumi from "@pulumi/pulumi";

import { currentPartition } from "../aws";
import { placesByPolicy, placesOf, type PolicyStatementArgs, type S3Location } from "../settings";
import { type Travelling, travelsThroughBucket } from "./travel";
import { MODEL_KEYS, sharedEngines } from "./uploadFiles";

/** A model that a host fetches. */
export interface FetchedModel extends Travelling {
  readonly name: string;
  /** How its engine is built; an output does not say where it is shared. */
  readonly engine?: pulumi.Input<{ readonly shared?: pulumi.Input<string> | undefined } | undefined>;
}

/** What the role of a host may do so that it can fetch its models. */
export interface ModelAccess {
  /** In the role's own policy. */
  readonly policyStatements: PolicyStatementArgs[];
  /** What IAM does not take there, because it is too long: the statements of further policies. */
  readonly managedPolicies: PolicyStatementArgs[][];
}

/**
 * What the role of a host may do so that it can fetch its models: read below their prefixes. Old versions, because what
 * serves may have been overwritten since. It may not list them, as the program tells it which objects there are.
 *
 * @param bucket that folders travel through, which has nothing but the models and engines of this host
 * @param opts the resource that asks, whose provider decides about the partition of the ARNs
 */
export function modelAccess(
  models: readonly FetchedModel[],
  bucket: pulumi.Input<string> | undefined,
  opts: pulumi.InvokeOptions = {},
): ModelAccess {
  const [own, ...further] = placesByPolicy(placesOf(models));
  const travelling = bucket !== undefined && models.some(travelsThroughBucket);
  const later = sharedLater(models, bucket);
  if (own.models.length + own.engines.length + later.length === 0 && !travelling) {
    return { policyStatements: [], managedPolicies: [] };
  }
  const s3 = pulumi.interpolate`arn:${currentPartition(opts).partition}:s3:::`;
  const below = (place: pulumi.Input<string>): pulumi.Output<string> => pulumi.interpolate`${s3}${place}/*`;
  const all = (places: readonly S3Location[]): pulumi.Output<string>[] =>
    places.map((place) => below(`${place.bucket}/${place.prefix}`));
  return {
    policyStatements: [
      ...readModels([
        ...all(own.models),
        ...(travelling ? [below(pulumi.interpolate`${bucket}/${MODEL_KEYS}`)] : []),
      ]),
      ...shareEngines([
        ...all(own.engines),
        ...later.map((place) => below(place.apply((known) => known.slice("s3://".length)))),
      ]),
    ],
    managedPolicies: further.map((places) => [
      ...readModels(all(places.models)),
      ...shareEngines(all(places.engines)),
    ]),
  };
}

/** Where the hosts share engines, `s3://BUCKET/PREFIX`, as far as it is known only later. */
function sharedLater(
  models: readonly FetchedModel[],
  bucket: pulumi.Input<string> | undefined,
): pulumi.Output<string>[] {
  return models.flatMap(({ engine }) => {
    if (engine === undefined || engine instanceof Promise || pulumi.Output.isInstance(engine)) return [];
    const shared = engine.shared ?? sharedEngines(bucket);
    return shared === undefined || typeof shared === "string" ? [] : [pulumi.output(shared)];
  });
}

function readModels(arns: pulumi.Output<string>[]): PolicyStatementArgs[] {
  const actions = ["s3:GetObject", "s3:GetObjectVersion"];
  return arns.length === 0 ? [] : [{ sid: "ReadModels", actions, resources: arns }];
}

/** Reading and adding. */
function shareEngines(arns: pulumi.Output<string>[]): PolicyStatementArgs[] {
  if (arns.length === 0) return [];
  const resources = pulumi.all(arns).apply((known) => [...new Set(known)]);
  return [{ sid: "ShareEngines", actions: ["s3:GetObject", "s3:PutObject"], resources }];
}
