// Installs the npm packages that package-lock.json names, once.
import { spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import fs from "node:fs";
import path from "node:path";

/** Runs `npm ci` in `root`, unless the packages that the lock file names are installed. */
export function installPackages(root) {
  const lock = fs.readFileSync(path.join(root, "package-lock.json"));
  const wanted = createHash("sha256").update(lock).digest("hex");
  const stamp = path.join(root, "node_modules", ".installed-lock");
  if (fs.existsSync(stamp) && fs.readFileSync(stamp, "utf8") === wanted) return;
  console.error("Installing npm packages …");
  // The toolchain has the providers; the packages' own install scripts would look for a Pulumi CLI first.
  // With NODE_ENV=production, npm would leave out the packages that the tests and the live view need.
  const words = ["ci", "--include=dev", "--ignore-scripts", "--no-audit", "--no-fund"];
  const { status, error } = spawnSync("npm", words, {
    cwd: root,
    stdio: ["ignore", "inherit", "inherit"],
  });
  if (error) throw error;
  if (status !== 0)
    throw new Error("npm ci failed; see its error above. Fix that, then run the command again.");
  fs.writeFileSync(stamp, wanted);
}
