import * as path from "node:path";

import { mapped, Rule, text } from "./rules";

const folder = text({
  allowed: "the path of a folder on this machine",
  example: "models/my-model",
  refuse: (given) =>
    given !== "" && given.length <= 1024 && !/\p{Cc}/u.test(given)
      ? undefined
      : "give the path of the model's folder, for example models/my-model",
});

/** A model's folder on this machine: reads as its absolute path. */
export const modelSource: Rule<string> = mapped(folder, (given, at) => {
  const { files, projectDirectory } = at.context;
  const source = path.resolve(projectDirectory, given);
  switch (files.kind(source)) {
    case "missing":
      return at.fault(
        given,
        "a folder that exists",
        `create ${source}, or correct the path (relative to ${projectDirectory})`,
      );
    case "file":
      return at.fault(given, "a folder", "give the folder that holds the version folders, such as 1/");
    case "folder":
      break;
  }
  return files
    .entries(source)
    .some((entry) => isVersion(entry) && files.kind(path.join(source, entry)) === "folder")
    ? source
    : at.fault(
        given,
        "a folder with at least one version folder: 1, 2, …",
        `put the model's files into ${path.join(source, "1")}`,
      );
});

/**
 * Whether Triton takes a folder of this name for a version.
 * https://github.com/triton-inference-server/server/blob/r22.06/docs/model_repository.md#model-versions
 */
export function isVersion(name: string): boolean {
  return /^[1-9][0-9]{0,18}$/.test(name);
}
