/** Where objects are in S3. */
export interface S3Location {
  readonly bucket: string;
  /** The prefix of the keys, without leading and trailing slashes. */
  readonly prefix: string;
}

/** The parts of `s3://bucket/prefix`, or undefined of anything else. */
export function s3Location(source: string): S3Location | undefined {
  const [, bucket, prefix] = /^s3:\/\/([^/]+)\/(.+?)\/*$/.exec(source) ?? [];
  return bucket === undefined || prefix === undefined ? undefined : { bucket, prefix };
}

const NAMING_RULES = "https://docs.aws.amazon.com/AmazonS3/latest/userguide/bucketnamingrules.html";

/** Reserved by S3; the same source as the rules. */
const RESERVED_STARTS: readonly string[] = ["xn--", "sthree-", "amzn-s3-demo-"];
const RESERVED_ENDS: readonly string[] = ["-s3alias", "--ol-s3", ".mrap", "--x-s3", "--table-s3"];

/** What the name of a general-purpose bucket looks like, in words. */
export const BUCKET_NAME = `a bucket name of 3 to 63 lower-case letters, digits, dots and dashes, a letter or digit at both ends (${NAMING_RULES})`;

/** Why no general-purpose bucket can have this name, worded as a fix; undefined if one can. */
export function refuseBucketName(name: string): string | undefined {
  if (name.length < 3 || name.length > 63) {
    return `S3's names have 3 to 63 characters, this one has ${name.length}`;
  }
  if (/[A-Z]/.test(name)) {
    return `S3's names are in lower case: ${name.toLowerCase()}`;
  }
  if (!/^[a-z0-9.-]+$/.test(name)) {
    return `use only letters, digits, dots and dashes: ${name.replace(/[^a-z0-9.-]+/g, "-")}`;
  }
  if (!/^[a-z0-9].*[a-z0-9]$/.test(name)) {
    return "begin and end the name with a letter or a digit";
  }
  if (name.includes("..")) {
    return "put no two dots beside each other";
  }
  if (/^\d+\.\d+\.\d+\.\d+$/.test(name)) {
    return "a bucket's name does not look like an IP address";
  }
  const start = RESERVED_STARTS.find((each) => name.startsWith(each));
  if (start !== undefined) {
    return `S3 keeps names that begin with ${start} for itself`;
  }
  const end = RESERVED_ENDS.find((each) => name.endsWith(each));
  return end === undefined ? undefined : `S3 keeps names that end with ${end} for itself`;
}

/** Longest key that S3 accepts, less room for what follows the prefix. */
const LONGEST_PREFIX = 768;

/**
 * Why a text that begins like an S3 location cannot be the one of a model, as the fix. The prefix also becomes part
 * of a policy, where some characters have a meaning.
 */
export function refuseS3Location(value: string): string | undefined {
  if (!value.startsWith("s3://")) {
    return "write s3://bucket/prefix, for example s3://my-bucket/models/my-model";
  }
  const [bucket = "", ...rest] = value.slice("s3://".length).split("/");
  const fault = refuseBucketName(bucket);
  if (fault !== undefined) {
    return fault;
  }
  const prefix = rest.join("/").replace(/\/+$/, "");
  if (prefix === "") {
    return `name what the model's objects begin with, for example s3://${bucket}/models/my-model`;
  }
  if (prefix.split("/").some((segment) => segment === "" || segment === "." || segment === "..")) {
    return "leave out doubled slashes and the segments . and ..";
  }
  return prefix.length <= LONGEST_PREFIX && /^[A-Za-z0-9!_.'()=+@,:/-]+$/.test(prefix)
    ? undefined
    : `keep the prefix to ${LONGEST_PREFIX} letters, digits and ! _ . ' ( ) = + @ , : / -`;
}
