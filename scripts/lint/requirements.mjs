// Fails if a package that pip installs could be swapped: pip checks hashes only where a requirement has them.
//
// node scripts/lint/requirements.mjs FILE…
import * as fs from "node:fs";

/** A release and its files' hashes, as pip takes them: a marker may stand between. */
const PINNED = /^[A-Za-z0-9._-]+==[^\s;]+(?:\s*;[^#]*?)?(?:\s+--hash=sha256:[0-9a-f]{64})+$/;

/** Requirements, without comments; those over several lines as one. */
function requirements(text) {
  return text
    .replaceAll(/^\s*#.*$/gm, "")
    .replaceAll(/\\\n/g, " ")
    .split("\n")
    .map((line) => line.replaceAll(/\s+/g, " ").trim())
    .filter((line) => line !== "");
}

let failed = false;
for (const file of process.argv.slice(2)) {
  const found = requirements(fs.readFileSync(file, "utf8"));
  for (const line of found.filter((each) => !PINNED.test(each))) {
    failed = true;
    console.error(`${file}: ${line.split(" ")[0]} is not one release with the SHA-256 hashes of its files`);
  }
}
if (failed) {
  console.error("fix: write the file with pip-compile --generate-hashes, of pip-tools");
  process.exitCode = 1;
}
