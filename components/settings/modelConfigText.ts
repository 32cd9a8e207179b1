import * as path from "node:path";

import type { SettingsContext } from "./context";
import { keyOf } from "./rules";
import { s3Location } from "./s3Location";

/**
 * Text of a model's own `config.pbtxt`, from its `config` or its `source`, by its raw settings; undefined where there is
 * none, or it is not known yet.
 */
export function modelConfigText(
  model: unknown,
  { files, projectDirectory }: SettingsContext,
): string | undefined {
  const config = keyOf(model, "config");
  const source = keyOf(model, "source");
  const text =
    config === undefined && typeof source === "string" && s3Location(source) === undefined
      ? files.text(path.join(path.resolve(projectDirectory, source), "config.pbtxt"))
      : config;
  return typeof text === "string" ? text : undefined;
}
