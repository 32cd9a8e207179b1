// Refuses a Node.js that is older than package.json allows, before anything fails on it with words that name no cause.
// Whoever needs that imports it first. It runs on what it refuses, from Node.js 14.18 on.
import { readFileSync } from "node:fs";

const { engines } = JSON.parse(readFileSync(new URL("../package.json", import.meta.url), "utf8"));
const [major, minor] = engines.node.match(/\d+/g).map(Number);
const [ownMajor, ownMinor] = process.versions.node.split(".").map(Number);
if (ownMajor < major || (ownMajor === major && ownMinor < minor)) {
  console.error(
    `error: Node.js ${process.versions.node} (${process.execPath}) is too old: ${major}.${minor} or newer is needed\n` +
      "fix: install Node.js 22 or 24 (https://nodejs.org/en/download); distributions often have an older one",
  );
  process.exit(1);
}
