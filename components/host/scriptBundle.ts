import * as fs from "node:fs";
import * as path from "node:path";

const COMPONENTS = path.resolve(__dirname, "..");

/**
 * Every script that runs on a host (`components/<concern>/scripts/*.sh`), as standard input of `unpack-scripts.sh`: one
 * line a script, its name and its base64 text. Sorted, so that the same scripts give the same bundle.
 */
export function scriptBundle(): string {
  const scripts = fs
    .readdirSync(COMPONENTS)
    .map((concern) => path.join(COMPONENTS, concern, "scripts"))
    .filter((folder) => fs.existsSync(folder))
    .flatMap((folder) => fs.readdirSync(folder).map((name) => path.join(folder, name)))
    .filter((file) => file.endsWith(".sh"))
    .sort((a, b) => (path.basename(a) < path.basename(b) ? -1 : 1));
  return scripts
    .map((file) => `${path.basename(file)} ${fs.readFileSync(file).toString("base64")}\n`)
    .join("");
}
