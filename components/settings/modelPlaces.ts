import type { Place } from "./place";
import { itemsOf, keyOf } from "./rules";
import { type S3Location, s3Location } from "./s3Location";

/** Places in S3 that one policy allows. */
export interface ModelPlaces {
  /** Where models are read from. */
  readonly models: readonly S3Location[];
  /** Where engines are shared: read and added. */
  readonly engines: readonly S3Location[];
}

/**
 * IAM's limits for a role, in characters without white space: all of its inline policies together, and each managed policy, of
 * which a role has 10 unless the account's quota is higher.
 * https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_iam-quotas.html
 */
const INLINE_CHARACTERS = 10_240;
const MANAGED_CHARACTERS = 6144;
const MOST_MANAGED = 10;

/** Enough for all that a host's role may do beside its models, in the longest names of regions and partitions. */
const OTHER_INLINE_CHARACTERS = 2740;
/** A managed policy of models and engines, without their places. */
const EMPTY_CHARACTERS = 250;

/** The places in S3 that come into the policies of a host's role: first those in its own, then those of each further one. */
export function placesByPolicy({ models, engines }: ModelPlaces): readonly [ModelPlaces, ...ModelPlaces[]] {
  const own: Places = { models: [], engines: [] };
  const further: Places[] = [];
  let left = INLINE_CHARACTERS - OTHER_INLINE_CHARACTERS;
  const add = (kind: keyof Places, place: S3Location): void => {
    const characters = charactersOf(place);
    if (characters > left) {
      further.push({ models: [], engines: [] });
      left = MANAGED_CHARACTERS - EMPTY_CHARACTERS;
    }
    left -= characters;
    (further.at(-1) ?? own)[kind].push(place);
  };
  for (const place of withoutCovered(models)) add("models", place);
  for (const place of withoutCovered(engines)) add("engines", place);
  return [own, ...further];
}

interface Places {
  readonly models: S3Location[];
  readonly engines: S3Location[];
}

/** What a place takes in a list of resources, in the longest partition. No character of it needs an escape in JSON. */
function charactersOf({ bucket, prefix }: S3Location): number {
  return `"arn:aws-us-gov:s3:::${bucket}/${prefix}/*",`.length;
}

/** Those that are below no other one, each once. */
function withoutCovered(places: readonly S3Location[]): readonly S3Location[] {
  const known = new Set(places.map(({ bucket, prefix }) => `${bucket}/${prefix}`));
  return places.filter(({ bucket, prefix }, index) => {
    const segments = `${bucket}/${prefix}`.split("/");
    // A bucket alone is no place.
    const isBelow = segments.some((_, end) => end > 1 && known.has(segments.slice(0, end).join("/")));
    const first = places.findIndex((other) => other.bucket === bucket && other.prefix === prefix);
    return !isBelow && first === index;
  });
}

/** The places of models that are known. */
export function placesOf(
  models: readonly { readonly source?: unknown; readonly engine?: unknown }[],
): ModelPlaces {
  const known = (places: readonly unknown[]): S3Location[] =>
    places.flatMap((place) => {
      const location = typeof place === "string" ? s3Location(place) : undefined;
      return location === undefined ? [] : [location];
    });
  return {
    models: known(models.map(({ source }) => source)),
    engines: known(models.map(({ engine }) => keyOf(engine, "shared"))),
  };
}

/** Refuses more places in S3 than the role of a host on AWS can name. */
export function refuseTooManyPlaces(models: unknown, at: Place): void {
  const all = itemsOf(models).map((model) => ({
    source: keyOf(model, "source"),
    engine: keyOf(model, "engine"),
  }));
  const policies = placesByPolicy(placesOf(all));
  if (policies.length <= MOST_MANAGED + 1) return;
  const places = policies.flatMap((each) => [...each.models, ...each.engines]);
  const characters = places.reduce((sum, place) => sum + charactersOf(place), 0);
  const room =
    INLINE_CHARACTERS - OTHER_INLINE_CHARACTERS + MOST_MANAGED * (MANAGED_CHARACTERS - EMPTY_CHARACTERS);
  at.fault(
    models,
    `models whose places in S3 the role of the host can name, in some ${Math.floor(room / 1000)}000 characters of ARNs: these are ${places.length} places of ${characters} characters`,
    "shorten the prefixes in S3, or divide the models among several stacks",
  );
}
