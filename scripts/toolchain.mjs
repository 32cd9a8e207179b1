// Finds the Pulumi binaries that this project runs with, each one where it can be had: installed already, as the
// vendor's own download, or built with Go. What it finds it keeps in a folder of the project, so that the next run
// only reads a few small files. docs/toolchain.md describes the folder and what can be overridden.
//
// Plain Node without dependencies: it runs before `npm ci` has.

import { spawn } from "node:child_process";
import { createHash } from "node:crypto";
import * as fs from "node:fs";
import * as os from "node:os";
import * as path from "node:path";
import { Readable, Transform } from "node:stream";
import { pipeline } from "node:stream/promises";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath, pathToFileURL } from "node:url";

const cliVersion = "3.259.0";

/**
 * What can be asked for. `version` is the vendor's release that is looked for and downloaded; `builds` is the Go
 * package that the module in `tools/<name>/` builds instead, and `minutes` how long that takes on two cores.
 * The language hosts belong to the CLI: they lie beside it, in the same download. A daemon is one that tests start.
 */
const tools = {
  pulumi: {
    kind: "cli",
    version: cliVersion,
    builds: "github.com/pulumi/pulumi/pkg/v3/cmd/pulumi",
    stamps: { "github.com/pulumi/pulumi/sdk/v3/go/common/version.Version": `v${cliVersion}` },
    minutes: 6,
  },
  "pulumi-language-nodejs": {
    kind: "host",
    version: cliVersion,
    builds: ".",
    stamps: {},
    minutes: 1,
  },
  "pulumi-language-yaml": {
    kind: "host",
    version: cliVersion,
    builds: "github.com/pulumi/pulumi-yaml/cmd/pulumi-language-yaml",
    stamps: {},
    minutes: 4,
  },
  "pulumi-resource-command": {
    kind: "provider",
    provider: "command",
    version: "1.2.1",
    builds: ".",
    stamps: {},
    minutes: 3,
  },
  "pulumi-resource-docker-build": {
    kind: "provider",
    provider: "docker-build",
    version: "0.0.22",
    builds: "github.com/pulumi/pulumi-docker-build/provider/cmd/pulumi-resource-docker-build",
    stamps: { "github.com/pulumi/pulumi-docker-build/provider.Version": "0.0.22" },
    minutes: 6,
  },
  buildkitd: {
    kind: "daemon",
    version: "0.31.0",
    builds: "github.com/moby/buildkit/cmd/buildkitd",
    stamps: { "github.com/moby/buildkit/version.Version": "v0.31.0" },
    minutes: 2,
  },
};

/** What `npm run up` needs. The others are asked for by name. */
export const defaultTools = ["pulumi", "pulumi-language-nodejs", "pulumi-resource-command"];

const project = path.dirname(path.dirname(fileURLToPath(import.meta.url)));

/** Seconds without an answer or a byte after which the download server counts as out of reach. */
const serverTimeout = 4;
/** Seconds between two lines about something that takes long. */
const progressInterval = 15;

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
 * @throws {ToolchainError} when a tool can be had in no way; its message says what was tried and how to install it
 */
export async function ensureTools(names = defaultTools, { log = () => {}, environment = process.env } = {}) {
  const unknown = names.filter((name) => !Object.hasOwn(tools, name));
  if (unknown.length > 0) {
    throw new ToolchainError(`no such tool: ${unknown.join(", ")}; known: ${Object.keys(tools).join(", ")}`);
  }
  const cache = cacheFolder(environment);
  let found = readStamps(cache, names);
  if (names.some((name) => !found[name])) {
    found = await withLock(cache, log, async () => {
      const search = new Search(cache, environment, log);
      // Another process may have found some of them while this one waited for the lock.
      for (const name of names) if (!readStamp(cache, name)) await search.find(name);
      return readStamps(cache, names);
    });
    const changed = names.filter((name) => !found[name]);
    if (changed.length > 0) {
      throw new ToolchainError(
        `tools/${changed.join(", tools/")} changed while it was built; fix: run this again`,
      );
    }
  }
  return { path: path.join(cache, "bin"), home: path.join(cache, "home"), tools: found };
}

/** Whether a tool is there already, so that `ensureTools` has nothing to do for it. */
export function isReady(name, environment = process.env) {
  return readStamp(cacheFolder(environment), name) !== undefined;
}

function cacheFolder(environment) {
  return path.resolve(environment.XSCHED_TRITON_TOOLCHAIN || path.join(project, ".local", "toolchain"));
}

export class ToolchainError extends Error {}

// ---------------------------------------------------------------------------------------------------------------
// The cache: <cache>/bin/<CLI, hosts and daemons>, <cache>/home/plugins/resource-<provider>-v<version>/<provider binary>, and
// <cache>/stamps/<tool>.json, which is written last and says that the tool is complete.

function target(cache, name) {
  const tool = tools[name];
  return tool.kind === "provider"
    ? path.join(cache, "home", "plugins", `resource-${tool.provider}-v${tool.version}`, name)
    : path.join(cache, "bin", name);
}

/** Changes whenever a cached binary must not be used any more. */
function key(name) {
  const digest = createHash("sha256");
  const add = (folder) => {
    const entries = fs
      .readdirSync(folder, { withFileTypes: true })
      .sort((a, b) => (a.name < b.name ? -1 : 1));
    for (const entry of entries) {
      const file = path.join(folder, entry.name);
      if (entry.isDirectory()) add(file);
      else if (!entry.name.endsWith("_test.go"))
        digest.update(`${file.slice(project.length)}\0`).update(fs.readFileSync(file));
    }
  };
  add(path.join(project, "tools", name));
  digest.update(JSON.stringify([tools[name], process.platform, process.arch]));
  return digest.digest("hex");
}

function stampFile(cache, name) {
  return path.join(cache, "stamps", `${name}.json`);
}

function readStamp(cache, name) {
  try {
    const stamp = JSON.parse(fs.readFileSync(stampFile(cache, name), "utf8"));
    const file = target(cache, name);
    // An installed tool is a link, and may have been uninstalled since.
    if (stamp.key !== key(name) || !fs.existsSync(file)) return undefined;
    return { file, version: tools[name].version, from: stamp.from };
  } catch {
    return undefined; // absent or damaged: looked for again
  }
}

function readStamps(cache, names) {
  return Object.fromEntries(names.map((name) => [name, readStamp(cache, name)]));
}

/**
 * Puts a tool into the cache with `place(file)`. Each step is a rename, so that a reader sees the old tool, the new
 * one, or none.
 */
async function install(cache, name, from, place) {
  const file = target(cache, name);
  const source = key(name);
  const temporary = path.join(cache, "temporary", name);
  fs.mkdirSync(path.dirname(file), { recursive: true });
  fs.rmSync(stampFile(cache, name), { force: true });
  fs.rmSync(temporary, { force: true });
  await place(temporary);
  fs.renameSync(temporary, file);
  const stamp = path.join(cache, "temporary", `${name}.json`);
  fs.mkdirSync(path.join(cache, "stamps"), { recursive: true });
  fs.writeFileSync(stamp, `${JSON.stringify({ key: source, from })}\n`);
  fs.renameSync(stamp, stampFile(cache, name));
}

/**
 * Runs `work` while no other process works on the cache, so that two runs do not build the same thing. Should the
 * lock ever be taken twice, only work is lost: the renames of `install` keep the cache whole.
 */
async function withLock(cache, log, work) {
  const lock = path.join(cache, "lock");
  fs.mkdirSync(cache, { recursive: true });
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
  try {
    fs.rmSync(path.join(cache, "temporary"), { recursive: true, force: true });
    fs.mkdirSync(path.join(cache, "temporary"));
    return await work();
  } finally {
    clearInterval(alive);
    fs.rmSync(path.join(cache, "temporary"), { recursive: true, force: true });
    fs.rmSync(lock, { force: true });
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
    // The holder touches the lock every 5 s. An empty lock is one that is just being written.
    if (age > 60_000 || (holder > 0 && !isRunning(holder))) fs.rmSync(lock, { force: true });
  } catch {
    // given back in the meantime
  }
  return false;
}

/** Whether a process of this machine runs. */
export function isRunning(pid) {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return error.code === "EPERM";
  }
}

// ---------------------------------------------------------------------------------------------------------------
// The search.

/** One search for missing tools. Remembers what it has learnt about the machine. */
class Search {
  constructor(cache, environment, log) {
    this.cache = cache;
    this.environment = environment;
    this.log = log;
    this.releases = (environment.XSCHED_TRITON_PULUMI_RELEASES || "https://get.pulumi.com/releases").replace(
      /\/$/,
      "",
    );
    /** Why the download server is out of reach, once that is known: a closed network costs one timeout, not four. */
    this.outOfReach = undefined;
  }

  async find(name) {
    const tried = [];
    for (const [what, way] of [
      ["installed", () => this.installed(name)],
      ["download", () => this.downloaded(name)],
      ["build", () => this.built(name)],
    ]) {
      try {
        await way();
        return;
      } catch (error) {
        if (!(error instanceof NotThisWay)) throw error;
        tried.push(`  ${what}: ${error.message.replaceAll("\n", "\n    ")}`);
      }
    }
    throw new ToolchainError(
      [`${name} ${tools[name].version} is missing. Tried:`, ...tried, `fix: ${howToInstall(name)}`].join(
        "\n",
      ),
    );
  }

  // Installed -------------------------------------------------------------------------------------------------

  async installed(name) {
    const file = await this.installedFile(name);
    await install(this.cache, name, `installed at ${file}`, (link) => fs.symlinkSync(file, link));
  }

  async installedFile(name) {
    switch (tools[name].kind) {
      case "provider":
        return this.installedProvider(name);
      case "daemon":
        return this.installedOnPath(name);
      default:
        return this.installedBesideCli(name);
    }
  }

  installedOnPath(name) {
    const file = this.onPath(name);
    if (file) return file;
    throw new NotThisWay("not on PATH");
  }

  installedProvider(name) {
    // The engine prefers a provider on PATH to every other, whatever its version, so it is the one to report.
    const ambient = this.onPath(name);
    if (ambient) return ambient;
    const { provider, version } = tools[name];
    const home = this.environment.PULUMI_HOME || path.join(this.environment.HOME || os.homedir(), ".pulumi");
    const file = path.join(home, "plugins", `resource-${provider}-v${version}`, name);
    if (this.isForeign(file) && isExecutable(file)) return file;
    throw new NotThisWay(
      `not on PATH, and no plugin ${provider} ${version} in ${path.join(home, "plugins")}`,
    );
  }

  async installedBesideCli(name) {
    const cli = await (this.cli ??= this.installedCli());
    if (name === "pulumi") return cli;
    const file = path.join(path.dirname(fs.realpathSync(cli)), name);
    if (isExecutable(file)) return file;
    throw new NotThisWay(`not beside ${cli}`);
  }

  async installedCli() {
    const cli = this.onPath("pulumi");
    if (!cli) throw new NotThisWay("pulumi is not on PATH");
    const result = await run(cli, ["version"], {
      env: { ...this.environment, PULUMI_SKIP_UPDATE_CHECK: "true" },
    });
    const version = /^v?(\d+\.\d+\.\d+)/.exec(result.output.trim())?.[1];
    if (result.code !== 0 || !version)
      throw new NotThisWay(`${cli} version fails: ${lastLines(result.output)}`);
    if (isOlder(version, cliVersion)) throw new NotThisWay(`${cli} is ${version}, older than ${cliVersion}`);
    return cli;
  }

  onPath(name) {
    for (const folder of (this.environment.PATH ?? "").split(path.delimiter)) {
      const file = path.join(folder, name);
      if (path.isAbsolute(folder) && this.isForeign(file) && isExecutable(file)) return file;
    }
    return undefined;
  }

  /** A run inside a run finds the cache on its PATH and in its PULUMI_HOME: a link to itself would be the result. */
  isForeign(file) {
    return !file.startsWith(this.cache + path.sep);
  }

  // Download --------------------------------------------------------------------------------------------------

  async downloaded(name) {
    const { kind, provider, version } = tools[name];
    if (kind === "daemon") throw new NotThisWay("only tests need it");
    const system = { linux: "linux", darwin: "darwin" }[process.platform];
    const machine = { x64: "amd64", arm64: "arm64" }[process.arch];
    if (!system || !machine)
      throw new NotThisWay(`the vendor has none for ${process.platform} ${process.arch}`);
    if (kind === "provider") {
      await this.unpack(`plugins/pulumi-resource-${provider}-v${version}-${system}-${machine}.tar.gz`, name, [
        name,
      ]);
      return;
    }
    // The CLI's download has the hosts too. Taking them along keeps the three of one release together.
    const hosts = Object.keys(tools).filter((other) => tools[other].kind === "host");
    const archive = `sdk/pulumi-v${version}-${system}-${process.arch}.tar.gz`;
    await this.unpack(archive, name, name === "pulumi" ? [name, ...hosts] : [name]);
  }

  /** Installs those of `members` that the archive has; `name` must be one of them. */
  async unpack(archive, name, members) {
    const url = `${this.releases}/${archive}`;
    const file = path.join(this.cache, "temporary", path.basename(archive));
    const folder = `${file}.unpacked`;
    await this.fetch(url, file);
    fs.mkdirSync(folder);
    const { code, output } = await run("tar", ["-xzf", file, "-C", folder], { env: this.environment });
    if (code !== 0) throw new NotThisWay(`${url} does not unpack: ${lastLines(output)}`);
    // The CLI's archive has one folder at its root, a plugin's has none.
    const find = (member) =>
      [path.join(folder, member), path.join(folder, "pulumi", member)].find((place) => isExecutable(place));
    if (!find(name)) throw new NotThisWay(`${url} has no ${name}`);
    for (const member of members) {
      const unpacked = find(member);
      if (unpacked) await install(this.cache, member, url, (place) => fs.renameSync(unpacked, place));
    }
  }

  async fetch(url, file) {
    if (this.outOfReach) throw new NotThisWay(this.outOfReach);
    const abort = new AbortController();
    let timer;
    const expectMore = () => {
      clearTimeout(timer);
      timer = setTimeout(
        () => abort.abort(new Error(`no answer for ${serverTimeout} s`)),
        serverTimeout * 1000,
      );
    };
    expectMore();
    try {
      const response = await fetch(url, { signal: abort.signal });
      if (!response.ok) throw new NotThisWay(`${url}: HTTP ${response.status}`);
      const progress = new Progress(this.log, `downloading ${url}`);
      const total = Number(response.headers.get("content-length"));
      let received = 0;
      const count = new Transform({
        transform(chunk, _encoding, done) {
          expectMore();
          received += chunk.length;
          progress.update(total > 0 ? `${Math.floor((100 * received) / total)} %` : `${received >> 20} MiB`);
          done(null, chunk);
        },
      });
      await pipeline(Readable.fromWeb(response.body), count, fs.createWriteStream(file));
    } catch (error) {
      if (error instanceof NotThisWay) throw error;
      this.outOfReach = `${new URL(url).origin} is out of reach: ${error.cause?.message || error.message}`;
      throw new NotThisWay(this.outOfReach);
    } finally {
      clearTimeout(timer);
    }
  }

  // Build -----------------------------------------------------------------------------------------------------

  async built(name) {
    const { builds, stamps, minutes } = tools[name];
    if (!this.onPath("go")) throw new NotThisWay("go is not on PATH");
    const linker = ["-s", "-w", ...Object.entries(stamps).map(([symbol, value]) => `-X ${symbol}=${value}`)];
    const progress = new Progress(this.log, `building ${name} with go (once, about ${minutes} min)`);
    const ticker = setInterval(() => progress.update("running"), 1000);
    try {
      await install(this.cache, name, `built from tools/${name}`, async (file) => {
        const { code, output } = await run(
          "go",
          ["build", "-trimpath", "-buildvcs=false", "-ldflags", linker.join(" "), "-o", file, builds],
          // Pure Go needs no C compiler, and an outer go.work must not have a say.
          {
            cwd: path.join(project, "tools", name),
            env: { ...this.environment, CGO_ENABLED: "0", GOWORK: "off" },
          },
        );
        if (code !== 0) throw new NotThisWay(`go build in tools/${name} fails:\n${lastLines(output)}`);
      });
    } finally {
      clearInterval(ticker);
    }
    this.log(`built ${name} in ${progress.elapsed()}`);
  }
}

/** One way to a tool is closed; the next one is tried. */
class NotThisWay extends Error {}

function howToInstall(name) {
  const { kind, provider, version } = tools[name];
  if (kind === "daemon") return `install ${name}, or Go 1.25 or newer`;
  if (kind !== "provider") {
    return `install the Pulumi CLI ${version} or newer (https://www.pulumi.com/docs/install/), or Go 1.25 or newer`;
  }
  return `pulumi plugin install resource ${provider} ${version}, or install Go 1.25 or newer`;
}

// ---------------------------------------------------------------------------------------------------------------

/** Says what is going on, at once and then now and again. */
class Progress {
  constructor(log, what) {
    this.log = log;
    this.what = what;
    this.begin = Date.now();
    this.said = this.begin;
    log(`${what} …`);
  }

  elapsed() {
    const seconds = Math.round((Date.now() - this.begin) / 1000);
    return seconds < 60 ? `${seconds} s` : `${Math.floor(seconds / 60)} min ${seconds % 60} s`;
  }

  update(how) {
    if (Date.now() - this.said < progressInterval * 1000) return;
    this.said = Date.now();
    this.log(`${this.what}: ${how}, ${this.elapsed()}`);
  }
}

function run(command, args, options) {
  return new Promise((resolve) => {
    const child = spawn(command, args, { ...options, stdio: ["ignore", "pipe", "pipe"] });
    let output = "";
    const keep = (chunk) => {
      output += chunk;
    };
    child.stdout.on("data", keep);
    child.stderr.on("data", keep);
    child.on("error", (error) => {
      resolve({ code: -1, output: error.message });
    });
    child.on("close", (code) => {
      resolve({ code, output });
    });
  });
}

function lastLines(output) {
  return output.trim().split("\n").slice(-12).join("\n");
}

function isExecutable(file) {
  try {
    fs.accessSync(file, fs.constants.X_OK);
    return fs.statSync(file).isFile();
  } catch {
    return false;
  }
}

function isOlder(version, than) {
  const [a, b] = [version, than].map((text) => text.split(".").map(Number));
  const difference = a.map((part, index) => part - b[index]).find((part) => part !== 0);
  return (difference ?? 0) < 0;
}

/** `node scripts/toolchain.mjs [NAME…]` prints the result as JSON, what it is doing on stderr. */
async function main(names) {
  try {
    const found = await ensureTools(names.length > 0 ? names : defaultTools, {
      log: (line) => {
        console.error(line);
      },
    });
    console.log(JSON.stringify(found, undefined, 2));
  } catch (error) {
    if (!(error instanceof ToolchainError)) throw error;
    console.error(error.message);
    process.exitCode = 1;
  }
}

if (process.argv[1] && import.meta.url === pathToFileURL(fs.realpathSync(process.argv[1])).href) {
  await main(process.argv.slice(2));
}
