// Fails if a package of a lock file could be swapped: `npm ci` checks an integrity hash only where there is one.
//
// node scripts/lint/lock.mjs [FILE]
import * as fs from "node:fs";
import path from "node:path";

const FILE = process.argv[2] ?? path.resolve(import.meta.dirname, "../../package-lock.json");

/** Hashes that nobody can find a second file for. */
const STRONG = /(?:^|\s)sha(?:256|384|512)-[A-Za-z0-9+/]+={0,2}(?:\?|\s|$)/;

/** A package of this repository, or a link to one, comes from no registry. */
function isOwn(place, { link }) {
  return link === true || !/(?:^|\/)node_modules\//.test(place);
}

/** What is wrong with an entry; undefined if nothing is. */
function faultOf({ integrity, resolved, inBundle }) {
  // A bundled one is part of the archive around it, whose hash covers it.
  if (inBundle === true) return undefined;
  if (resolved !== undefined && !/^https:\/\//.test(resolved)) {
    return `comes from ${resolved}, whose content nothing fixes`;
  }
  if (integrity === undefined) return "has no integrity hash";
  return STRONG.test(integrity) ? undefined : `has a weak integrity hash: ${integrity.split("-")[0]}`;
}

const { packages } = JSON.parse(fs.readFileSync(FILE, "utf8"));
if (packages === undefined) {
  console.error(`${FILE}: no packages, so it is of npm 6 or older; fix: write it with a newer npm`);
  process.exit(1);
}
const faults = Object.entries(packages)
  .filter(([place, entry]) => !isOwn(place, entry))
  .flatMap(([place, entry]) => {
    const fault = faultOf(entry);
    return fault === undefined ? [] : [`${place} ${fault}`];
  });
for (const fault of faults) console.error(fault);
if (faults.length > 0) {
  console.error(
    `fix: remove these entries from ${path.basename(FILE)}, and run npm install against the registry`,
  );
  process.exitCode = 1;
}
