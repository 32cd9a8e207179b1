import { createRequire } from "node:module";
import * as path from "node:path";

const load = createRequire(__filename);

/** A module of scripts/, which is plain JavaScript. */
export function loadScript(name: string): unknown {
  return load(path.resolve(__dirname, "../scripts", name));
}
