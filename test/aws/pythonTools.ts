import { execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import * as fs from "node:fs";
import * as path from "node:path";

import { userCache } from "../userCache";

const REQUIREMENTS = path.resolve(__dirname, "../fixtures/aws/requirements.txt");

/** Runs a Python module from the tests' own packages. The program is named after the module. */
const WRAPPER = (python: string, folder: string, module: string): string =>
  `#!/bin/bash\nPYTHONPATH='${folder}' exec '${python}' -m ${module} "$@"\n`;

/** The interpreter itself: `python3` may be a script of a version manager, which costs a tenth of a second each time. */
function interpreter(): string {
  return execFileSync("python3", ["-c", "import sys; print(sys.executable)"], { encoding: "utf8" }).trim();
}

/**
 * The real AWS CLI, and moto, which speaks AWS's protocols on the loopback interface. Installed once, into the user's
 * cache.
 *
 * @returns a folder with the programs `aws` and `moto_server`
 */
export function pythonTools(): string {
  const python = interpreter();
  // Packages with compiled parts belong to one interpreter.
  const digest = createHash("sha256").update(python).update(fs.readFileSync(REQUIREMENTS)).digest("hex");
  const folder = userCache(`aws-tools-${digest.slice(0, 16)}`);
  const programs = path.join(folder, "programs");
  if (!fs.existsSync(programs)) {
    fs.mkdirSync(path.dirname(folder), { recursive: true });
    // Installed aside and renamed, so that two runs at once and an interrupted one do no harm.
    const staging = fs.mkdtempSync(`${folder}.`);
    execFileSync(
      python,
      [
        "-m",
        "pip",
        "install",
        "--quiet",
        "--no-deps",
        "--require-hashes",
        "--disable-pip-version-check",
      ].concat([...["--root-user-action=ignore", "--target", staging, "-r", REQUIREMENTS]]),
      { stdio: ["ignore", "ignore", "inherit"] },
    );
    fs.mkdirSync(path.join(staging, "programs"));
    for (const [program, module] of [
      ["aws", "awscli"],
      ["moto_server", "moto.server"],
    ] as const) {
      const text = WRAPPER(python, folder, module);
      fs.writeFileSync(path.join(staging, "programs", program), text, { mode: 0o755 });
    }
    try {
      fs.renameSync(staging, folder);
    } catch {
      // Another run finished first.
      fs.rmSync(staging, { recursive: true, force: true });
    }
  }
  return programs;
}
