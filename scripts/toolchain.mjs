// Finds this project's Pulumi binaries: installed already, cached by an earlier run, downloaded from the vendor, or built
// with Go. docs/reference/toolchain.md describes the cache and what can be overridden.
//
// Plain Node without dependencies: it runs before `npm ci` has.
import "./node-version.mjs";

import * as fs from "node:fs";
import { pathToFileURL } from "node:url";

import { Builds } from "./toolchain/builds.mjs";
import { Cache } from "./toolchain/cache.mjs";
import { Downloads } from "./toolchain/downloads.mjs";
import { Installed } from "./toolchain/installed.mjs";
import { defaultTools, howToInstall, NotThisWay, ToolchainError, tools } from "./toolchain/tools.mjs";

export { defaultTools, ToolchainError };
export { isRunning } from "./toolchain/processes.mjs";

/**
 * Makes sure that the named tools are there.
 *
 * @param {string[]} names of `tools`
 * @param {{ log?: (line: string) => void, environment?: Record<string, string | undefined> }} options
 *   `log` gets a line whenever something takes time; `environment` is `process.env` by default.
 * @returns {Promise<{
 *   path: string, // folder with the CLI and its language hosts, to be put first on PATH
 *   home: string, // a PULUMI_HOME whose plugins are the providers
 *   tools: Record<string, { file: string, version: string, from: string }>,
 * }>}
 * @throws {ToolchainError} if no way to get a tool works; its message says what was tried and how to install it
 */
export async function ensureTools(names = defaultTools, { log = () => {}, environment = process.env } = {}) {
  const unknown = names.filter((name) => !Object.hasOwn(tools, name));
  if (unknown.length > 0) {
    throw new ToolchainError(`no such tool: ${unknown.join(", ")}; known: ${Object.keys(tools).join(", ")}`);
  }
  const cache = new Cache(environment);
  if (names.some((name) => !cache.read(name))) {
    await cache.withLock(log, async () => {
      const search = new Search(cache, environment, log);
      // Another process may have found some of them while this one waited for the lock.
      for (const name of names) if (!cache.read(name)) await search.find(name);
    });
  }
  const found = Object.fromEntries(names.map((name) => [name, cache.read(name)]));
  const lost = names.filter((name) => !found[name]);
  if (lost.length > 0) {
    throw new ToolchainError(`${lost.join(", ")} disappeared from ${cache.root}; fix: run this again`);
  }
  return { path: cache.bin, home: cache.home, tools: found };
}

/** Whether a tool is ready, so that `ensureTools` has nothing to do. */
export function isReady(name, environment = process.env) {
  return new Cache(environment).read(name) !== undefined;
}

/** A search for missing tools, which tries each way in turn. */
class Search {
  constructor(cache, environment, log) {
    this.ways = {
      installed: new Installed(cache, environment),
      kept: { find: (name) => takeKept(cache, name) },
      download: new Downloads(cache, environment, log),
      build: new Builds(cache, environment, log),
    };
  }

  async find(name) {
    const tried = [];
    for (const [what, way] of Object.entries(this.ways)) {
      try {
        await way.find(name);
        return;
      } catch (error) {
        if (!(error instanceof NotThisWay)) throw error;
        if (error.message !== "") tried.push(`  ${what}: ${error.message.replaceAll("\n", "\n    ")}`);
      }
    }
    const missing = `${name} ${tools[name].version} is missing. Tried:`;
    throw new ToolchainError([missing, ...tried, `fix: ${howToInstall(name)}`].join("\n"));
  }
}

/** Takes a tool that another clone, or an earlier state of this one, has downloaded or built. */
function takeKept(cache, name) {
  const kept = cache.stored(name);
  // Nobody can do anything about this, so it isn't worth a line.
  if (!kept) throw new NotThisWay("");
  cache.takeStored(name, kept);
}

/**
 * `node scripts/toolchain.mjs [NAME…]` prints the result as JSON, and its progress on stderr; with `--path`, it prints
 * only the folder to put on PATH.
 */
async function main(words) {
  const names = words.filter((word) => word !== "--path");
  try {
    const found = await ensureTools(names.length > 0 ? names : defaultTools, {
      log: (line) => {
        console.error(line);
      },
    });
    console.log(words.includes("--path") ? found.path : JSON.stringify(found, undefined, 2));
  } catch (error) {
    if (!(error instanceof ToolchainError)) throw error;
    console.error(error.message);
    process.exitCode = 1;
  }
}

if (process.argv[1] && import.meta.url === pathToFileURL(fs.realpathSync(process.argv[1])).href) {
  await main(process.argv.slice(2));
}
