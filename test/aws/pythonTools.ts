import { execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import * as fs from "node:fs";
import * as path from "node:path";

const ROOT = path.resolve(__dirname, "../..");
const REQUIREMENTS = path.join(ROOT, "test/fixtures/aws/requirements.txt");

/** Runs a Python module from the tests' own packages. The program is named after the module. */
const WRAPPER = (folder: string, module: string): string =>
  `#!/bin/bash\nPYTHONPATH='${folder}' exec python3 -m ${module} "$@"\n`;

/**
 * The real AWS CLI, and moto, which speaks AWS's protocols on the loopback interface. Installed once.
 *
 * @returns a folder with the programs `aws` and `moto_server`
 */
export function pythonTools(): string {
  const digest = createHash("sha256").update(fs.readFileSync(REQUIREMENTS)).digest("hex").slice(0, 12);
  const parent = path.join(ROOT, ".local/test-tools");
  const folder = path.join(parent, `aws-${digest}`);
  const programs = path.join(folder, "programs");
  if (!fs.existsSync(programs)) {
    const staging = path.join(parent, `.staging-${process.pid}`);
    execFileSync(
      "python3",
      ["-m", "pip", "install", "--quiet", "--no-deps", "--disable-pip-version-check"].concat([
        ...["--root-user-action=ignore", "--target", staging, "-r", REQUIREMENTS],
      ]),
      { stdio: ["ignore", "ignore", "inherit"] },
    );
    fs.mkdirSync(path.join(staging, "programs"));
    for (const [program, module] of [
      ["aws", "awscli"],
      ["moto_server", "moto.server"],
    ] as const) {
      fs.writeFileSync(path.join(staging, "programs", program), WRAPPER(folder, module), { mode: 0o755 });
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
