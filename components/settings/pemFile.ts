import * as path from "node:path";

import type { PemFault } from "./pem";
import { mapped, type Rule, text } from "./rules";

/** A file on the machine that deploys, read as its absolute path. */
export function pemFile(what: string, example: string, fault: (content: string) => PemFault): Rule<string> {
  const written = text({
    allowed: `the path of a file with ${what}`,
    example,
    refuse: (value) => (value === "" ? `give a path, for example ${example}` : undefined),
  });
  return mapped(written, (value, at) => {
    const { files, projectDirectory } = at.context;
    const file = path.resolve(projectDirectory, value);
    const content = files.kind(file) === "file" ? files.text(file) : undefined;
    if (content === undefined) {
      const fix = `create ${file}, or correct the path (relative to ${projectDirectory})`;
      return at.fault(value, "a file that exists and can be read", fix);
    }
    const fix = fault(content);
    return fix === undefined ? file : at.fault(value, `a file with ${what}`, fix);
  });
}
