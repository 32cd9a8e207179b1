import * as fs from "node:fs";
import * as path from "node:path";

import type { Fault } from "./checks";

/** What this machine needs to reach an instance through Session Manager, and how to get it. */
const PROGRAMS = {
  aws: "https://docs.aws.amazon.com/cli/latest/userguide/getting-started-install.html",
  "session-manager-plugin":
    "https://docs.aws.amazon.com/systems-manager/latest/userguide/session-manager-working-with-install-plugin.html",
  ssh: "OpenSSH's client; on Debian and Ubuntu, apt-get install openssh-client",
};

/** The programs that this machine lacks for sessions. */
export function missingPrograms(places = process.env.PATH ?? ""): readonly Fault[] {
  const folders = places.split(path.delimiter).filter((folder) => folder !== "");
  return Object.entries(PROGRAMS)
    .filter(([name]) => !folders.some((folder) => isExecutable(path.join(folder, name))))
    .map(([name, source]) => ({
      what: `this machine has no ${name} on its PATH, which host.access: sessionManager needs`,
      fix: `install it: ${source}`,
    }));
}

function isExecutable(file: string): boolean {
  try {
    fs.accessSync(file, fs.constants.X_OK);
    return fs.statSync(file).isFile();
  } catch {
    return false;
  }
}
