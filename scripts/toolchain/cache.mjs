// The tools' cache: one folder per user, which all clones share.
//
//   store/<tool>-…      each binary that was downloaded or built, under a name that identifies its sources
//   sets/<digest>/      the tools of one state of this project: bin/ has the CLI, its hosts and daemons, home/ is a
//                       PULUMI_HOME whose plugins are the providers, stamps/<tool>.json is written last and marks the
//                       tool as complete
//   lock, temporary-*   belong to a run that is getting tools
//
// A set's tools are hard links into the store, or links to programs that are installed on this machine. Clones whose
// tools have the same sources share a set.
import { createHash } from "node:crypto";
import * as fs from "node:fs";
import * as os from "node:os";
import * as path from "node:path";
import { setTimeout as sleep } from "node:timers/promises";

import { goVersion, moduleDigest } from "../../offline/build.mjs";
import { isRunning } from "./processes.mjs";
import { ToolchainError, tools } from "./tools.mjs";

/** How long a killed run's temporary files stay, in milliseconds. */
const LEFTOVERS_STAY = 24 * 60 * 60 * 1000;

/** The folder of all clones: XSCHED_TRITON_TOOLCHAIN, or a folder in the user's cache by the XDG specification. */
function cacheFolder(environment) {
  if (environment.XSCHED_TRITON_TOOLCHAIN) return path.resolve(environment.XSCHED_TRITON_TOOLCHAIN);
  // The specification says to ignore a relative path.
  const caches = path.isAbsolute(environment.XDG_CACHE_HOME ?? "")
    ? environment.XDG_CACHE_HOME
    : path.join(environment.HOME || os.homedir(), ".cache");
  return path.join(caches, "xsched-triton", "toolchain");
}

function digest(value) {
  return createHash("sha256").update(JSON.stringify(value)).digest("hex").slice(0, 16);
}

function sourcesOf(name) {
  return digest([tools[name], moduleDigest(name), process.platform, process.arch]);
}

export class Cache {
  constructor(environment) {
    this.root = cacheFolder(environment);
    this.environment = environment;
    /** By tool, a digest of everything that its binary depends on, except for the compiler. */
    this.sources = Object.fromEntries(Object.keys(tools).map((name) => [name, sourcesOf(name)]));
    this.set = path.join(this.root, "sets", digest(this.sources));
    this.bin = path.join(this.set, "bin");
    this.home = path.join(this.set, "home");
  }

  /** A tool's path in the set. */
  file(name) {
    const { kind, provider, version } = tools[name];
    return kind === "provider"
      ? path.join(this.home, "plugins", `resource-${provider}-v${version}`, name)
      : path.join(this.bin, name);
  }

  /** A tool of the set; undefined if it has to be searched for. */
  read(name) {
    try {
      const { from, go } = JSON.parse(fs.readFileSync(this.stampFile(name), "utf8"));
      const file = this.file(name);
      // An installed tool is a link, and may have been uninstalled since.
      if (!fs.existsSync(file)) return undefined;
      if (go !== undefined && !this.isCurrentGo(go)) return undefined;
      return { file, version: tools[name].version, from };
    } catch {
      return undefined; // absent or damaged: search again
    }
  }

  stampFile(name) {
    return path.join(this.set, "stamps", `${name}.json`);
  }

  /** A binary built by another release of Go is built again; without Go, it will do. */
  isCurrentGo(version) {
    this.go ??= goVersion(this.environment) ?? "";
    return this.go === "" || this.go === version;
  }

  // The store ---------------------------------------------------------------------------------------------------

  /** Fails if a tool's sources have changed since this run began. */
  requireUnchanged(name) {
    if (sourcesOf(name) === this.sources[name]) return;
    throw new ToolchainError(`offline/${name} changed while it was built; fix: run this again`);
  }

  /** The vendor's release's name in the store. */
  downloadedName(name) {
    return `${name}-${tools[name].version}-${process.platform}-${process.arch}`;
  }

  /** The name in the store of a binary that a release of Go has built from our sources. */
  builtName(name, go) {
    return `${name}-${tools[name].version}-${this.sources[name]}-${go}`;
  }

  /** A usable binary in the store: its name and the release of Go that built it, if one did. */
  stored(name) {
    const present = fs.existsSync(this.storeFolder) ? fs.readdirSync(this.storeFolder).sort() : [];
    const downloaded = this.downloadedName(name);
    if (present.includes(downloaded)) return { entry: downloaded };
    const built = this.builtName(name, "");
    const entry = present.findLast(
      (other) => other.startsWith(built) && this.isCurrentGo(other.slice(built.length)),
    );
    return entry && { entry, go: entry.slice(built.length) };
  }

  get storeFolder() {
    return path.join(this.root, "store");
  }

  /**
   * Puts a binary into the store with `place(file)`, under a name that identifies its sources. It is renamed into place,
   * so a reader sees the complete binary or none.
   */
  async store(entry, place) {
    const temporary = path.join(this.temporary, entry);
    await place(temporary);
    fs.mkdirSync(this.storeFolder, { recursive: true });
    fs.renameSync(temporary, path.join(this.storeFolder, entry));
  }

  // The set -----------------------------------------------------------------------------------------------------

  /** Adds a binary of the store to the set. */
  takeStored(name, { entry, go }, from = go ? `built from offline/${name}` : "downloaded earlier") {
    const stored = path.join(this.storeFolder, entry);
    this.take(name, { from, go }, (file) => {
      try {
        fs.linkSync(stored, file);
      } catch (error) {
        // Some file systems have no hard links.
        if (error.code === "ENOENT") throw error;
        fs.copyFileSync(stored, file);
      }
    });
  }

  /** Adds a tool that is installed on this machine to the set. */
  takeInstalled(name, from) {
    this.take(name, { from: `installed at ${from}` }, (file) => fs.symlinkSync(from, file));
  }

  /** Each step is a rename, so that a reader sees the old tool, the new one, or none. */
  take(name, stamp, link) {
    const file = this.file(name);
    const temporary = path.join(this.temporary, name);
    fs.mkdirSync(path.dirname(file), { recursive: true });
    fs.mkdirSync(path.join(this.set, "stamps"), { recursive: true });
    fs.rmSync(this.stampFile(name), { force: true });
    // Renaming one name of a file to another name of the same file does nothing.
    fs.rmSync(file, { force: true });
    link(temporary);
    fs.renameSync(temporary, file);
    fs.writeFileSync(`${temporary}.json`, `${JSON.stringify(stamp)}\n`);
    fs.renameSync(`${temporary}.json`, this.stampFile(name));
  }

  // The lock ----------------------------------------------------------------------------------------------------

  /**
   * Runs `work` while no other process works on the cache, so that two runs do not build the same thing. If the lock were
   * ever taken twice, only work would be lost: each run has its own temporary folder, and renames keep the cache intact.
   */
  async withLock(log, work) {
    const lock = path.join(this.root, "lock");
    fs.mkdirSync(this.root, { recursive: true });
    let told = false;
    while (!takeLock(lock)) {
      if (!told) log("waiting for another run that is getting the tools …");
      told = true;
      await sleep(200);
    }
    const alive = setInterval(() => {
      const now = new Date();
      fs.utimes(lock, now, now, () => {});
    }, 5000);
    this.removeLeftovers();
    this.temporary = fs.mkdtempSync(path.join(this.root, "temporary-"));
    try {
      return await work();
    } finally {
      clearInterval(alive);
      fs.rmSync(this.temporary, { recursive: true, force: true });
      fs.rmSync(lock, { force: true });
    }
  }

  removeLeftovers() {
    for (const name of fs.readdirSync(this.root).filter((entry) => entry.startsWith("temporary-"))) {
      const folder = path.join(this.root, name);
      const changed = fs.statSync(folder, { throwIfNoEntry: false })?.mtimeMs ?? Date.now();
      if (Date.now() - changed > LEFTOVERS_STAY) fs.rmSync(folder, { recursive: true, force: true });
    }
  }
}

function takeLock(lock) {
  try {
    fs.writeFileSync(lock, String(process.pid), { flag: "wx" });
    return true;
  } catch (error) {
    if (error.code !== "EEXIST") throw error;
  }
  try {
    const age = Date.now() - fs.statSync(lock).mtimeMs;
    const holder = Number(fs.readFileSync(lock, "utf8"));
    // The holder touches the lock every 5 s. An empty lock is just being written.
    if (age > 60_000 || (holder > 0 && !isRunning(holder))) fs.rmSync(lock, { force: true });
  } catch {
    // released in the meantime
  }
  return false;
}
