import type { S3ClientConfig } from "@aws-sdk/client-s3";
import * as pulumi from "@pulumi/pulumi";

import { ensembleStepsOf, reject, type S3Location, s3Location } from "../../settings";
import { CONFIG, type ModelObject, modelObjects } from "./objectList";
import { s3Fault } from "./s3Fault";

/** A model as it is in S3 at this moment. */
export interface S3Model {
  readonly location: S3Location;
  readonly objects: readonly ModelObject[];
  /** Text of its own `config.pbtxt`, if it has one. */
  readonly config: string | undefined;
}

/** A model of more objects is more likely a prefix that is too short. */
const MOST_OBJECTS = 10_000;

/** Far more than a configuration needs. */
const LARGEST_CONFIG = 1 << 20;

const read = new Map<string, Promise<S3Model>>();

/**
 * Asks S3 for a model's objects, once a run of the program, with the credentials of this machine: a preview then
 * knows whether a model has changed, and a bucket that is not there fails before anything is created.
 *
 * @param source `s3://bucket/prefix`
 * @throws RunError where S3 refuses, or the objects are not a model
 */
export function readS3Model(source: string): Promise<S3Model> {
  const known = read.get(source) ?? readNow(source);
  read.set(source, known);
  return known;
}

async function readNow(source: string): Promise<S3Model> {
  const location = s3Location(source);
  if (location === undefined) throw new pulumi.RunError(`${source}: not of the form s3://bucket/prefix`);
  // Loaded here: a program without a model in S3 never loads it.
  const { GetObjectCommand, paginateListObjectsV2, S3Client } = await import("@aws-sdk/client-s3");
  const client = new S3Client(clientConfig());
  const { bucket: Bucket, prefix } = location;
  const start = `${prefix}/`;
  try {
    const listed: ModelObject[] = [];
    for await (const page of paginateListObjectsV2({ client }, { Bucket, Prefix: start })) {
      for (const { Key = "", ETag = "", Size = 0 } of page.Contents ?? []) {
        listed.push({ path: Key.slice(start.length), etag: ETag.replaceAll('"', ""), bytes: Size });
      }
      if (listed.length > MOST_OBJECTS) {
        throw new pulumi.RunError(
          `${source}: more than ${MOST_OBJECTS} objects are there\n  fix: give the prefix of one model`,
        );
      }
    }
    const own = listed.find(({ path }) => path === CONFIG);
    if (own === undefined) return { location, objects: modelObjects(source, listed), config: undefined };
    if (own.bytes > LARGEST_CONFIG) {
      throw new pulumi.RunError(
        `${source}/${CONFIG}: ${own.bytes} bytes are too many for a configuration\n  fix: put the right file there`,
      );
    }
    const { Body } = await client.send(new GetObjectCommand({ Bucket, Key: `${start}${CONFIG}` }));
    const config = await Body?.transformToString();
    const objects = modelObjects(source, listed, ensembleStepsOf(config ?? "") !== undefined);
    return { location, objects, config };
  } catch (error) {
    return await reject(error instanceof pulumi.RunError ? error : s3Fault(source, location.bucket, error));
  } finally {
    client.destroy();
  }
}

/**
 * Region and profile as Pulumi's own provider of AWS takes them. S3 says where a bucket is, so that any region will
 * do to ask it.
 */
function clientConfig(): S3ClientConfig {
  const aws = new pulumi.Config("aws");
  const { AWS_REGION, AWS_DEFAULT_REGION } = process.env;
  const profile = aws.get("profile");
  return {
    region: aws.get("region") ?? AWS_REGION ?? AWS_DEFAULT_REGION ?? "us-east-1",
    followRegionRedirects: true,
    maxAttempts: 5,
    ...(profile !== undefined && { profile }),
  };
}
