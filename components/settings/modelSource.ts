import * as path from "node:path";

import { ensembleStepsOf } from "./ensemble";
import { mapped, Rule, text } from "./rules";
import { BUCKET_NAME, refuseS3Location } from "./s3Location";

const FOLDER = "the path of a folder on this machine, or s3://bucket/prefix";

const place = text({
  allowed: FOLDER,
  example: "models/my-model",
  refuse: (value) =>
    value !== "" && value.length <= 1024 && !/\p{Cc}/u.test(value)
      ? undefined
      : "give the path of the model's folder, for example models/my-model",
});

/** The beginning of every address in S3, and of nothing else. */
const S3 = /^(s3:|arn:aws[a-z-]*:s3:|https?:\/\/[^/]*s3[^/]*\.amazonaws\.)/i;

/** A model's folder on this machine, read as its absolute path, or `s3://bucket/prefix` without a trailing slash. */
export const modelSource: Rule<string> = mapped(place, (value, at) => {
  if (S3.test(value)) {
    const fix = refuseS3Location(value);
    return fix === undefined
      ? value.replace(/\/+$/, "")
      : at.fault(value, `s3://bucket/prefix with ${BUCKET_NAME}`, fix);
  }
  const { files, projectDirectory } = at.context;
  const source = path.resolve(projectDirectory, value);
  switch (files.kind(source)) {
    case "missing":
      return at.fault(
        value,
        "a folder that exists",
        `create ${source}, or correct the path (relative to ${projectDirectory})`,
      );
    case "file":
      return at.fault(value, "a folder", "give the folder that holds the version folders, such as 1/");
    case "folder":
      break;
  }
  const hasVersion = files
    .entries(source)
    .some((entry) => isVersion(entry) && files.kind(path.join(source, entry)) === "folder");
  // The version folder of an ensemble is empty, and Git keeps no empty folders: the host gets one.
  return hasVersion || ensembleStepsOf(files.text(path.join(source, "config.pbtxt")) ?? "") !== undefined
    ? source
    : at.fault(
        value,
        "a folder with at least one version folder: 1, 2, …",
        `put the model's files into ${path.join(source, "1")}`,
      );
});

/** Versions are numbers of 64 bits: `ModelVersionPolicy.Specific` of model_config.proto. */
export const MAX_VERSION = 2n ** 63n - 1n;

/**
 * Whether a folder of this name is a version.
 * https://github.com/triton-inference-server/server/blob/r22.06/docs/model_repository.md#model-versions
 */
export function isVersion(name: string): boolean {
  return /^[1-9][0-9]{0,18}$/.test(name) && BigInt(name) <= MAX_VERSION;
}
