// Downloads tools from the vendor, and checks each archive before it is unpacked.
import { createHash } from "node:crypto";
import * as fs from "node:fs";
import * as path from "node:path";
import { Readable, Transform } from "node:stream";
import { pipeline } from "node:stream/promises";

import { isExecutable, lastLines, run } from "./processes.mjs";
import { Progress } from "./progress.mjs";
import { NotThisWay, tools } from "./tools.mjs";

/** Seconds without an answer or a byte after which the download server counts as unreachable. */
const SERVER_TIMEOUT = 4;

/** Repositories of the vendor whose releases have the same archives. */
const REPOSITORIES = {
  command: "pulumi/pulumi-command",
  "docker-build": "pulumi/pulumi-docker-build",
  kubernetes: "pulumi/pulumi-kubernetes",
};
const CLI_REPOSITORY = "pulumi/pulumi";

const GITHUB = "https://api.github.com";

function address(given, byDefault) {
  return (given || byDefault).replace(/\/$/, "");
}

/**
 * Whose requests they are, if the user has said so. Without a token, GitHub answers 60 of an address in an hour, which an office or
 * a CI machine shares: https://docs.github.com/rest/using-the-rest-api/rate-limits-for-the-rest-api
 */
function authorization({ GH_TOKEN, GITHUB_TOKEN }) {
  const token = GH_TOKEN || GITHUB_TOKEN;
  return token ? { Authorization: `Bearer ${token}` } : {};
}

export class Downloads {
  constructor(cache, environment, log) {
    this.cache = cache;
    this.environment = environment;
    this.log = log;
    this.releases = address(environment.XSCHED_TRITON_PULUMI_RELEASES, "https://get.pulumi.com/releases");
    /**
     * Another server than the archives', so that it takes two to deceive. GitHub computes a file's digest when the
     * vendor uploads it, and nobody can change it afterwards:
     * https://github.blog/changelog/2025-06-03-releases-now-expose-digests-for-release-assets/
     */
    this.digests = address(environment.XSCHED_TRITON_PULUMI_DIGESTS, `${GITHUB}/repos`);
    /** Why a server is unreachable, once known: a closed network costs one timeout, not four. */
    this.outOfReach = new Map();
  }

  async find(name) {
    const { kind, provider, version } = tools[name];
    if (kind === "daemon" || kind === "data") throw new NotThisWay("only tests need it");
    const system = { linux: "linux", darwin: "darwin" }[process.platform];
    const machine = { x64: "amd64", arm64: "arm64" }[process.arch];
    if (!system || !machine)
      throw new NotThisWay(`the vendor has none for ${process.platform} ${process.arch}`);
    if (kind === "provider") {
      const archive = `plugins/pulumi-resource-${provider}-v${version}-${system}-${machine}.tar.gz`;
      await this.unpack({ archive, repository: REPOSITORIES[provider], version }, name, [name]);
      return;
    }
    // The CLI's download includes the hosts. Taking all three keeps them on the same release.
    const hosts = Object.keys(tools).filter((other) => tools[other].kind === "host");
    const archive = `sdk/pulumi-v${version}-${system}-${process.arch}.tar.gz`;
    const release = { archive, repository: CLI_REPOSITORY, version };
    await this.unpack(release, name, name === "pulumi" ? [name, ...hosts] : [name]);
  }

  /** Takes those of `members` that the archive contains; `name` must be one of them. */
  async unpack({ archive, repository, version }, name, members) {
    const url = `${this.releases}/${archive}`;
    const file = path.join(this.cache.temporary, path.basename(archive));
    const folder = `${file}.unpacked`;
    const published = await this.publishedDigest(repository, version, path.basename(archive));
    const received = await this.fetch(url, file);
    if (received !== published) {
      fs.rmSync(file);
      const what = `${url} is not what ${repository} has published (sha256 ${received}, not ${published}); it is not unpacked`;
      // What is tried next may work, and then nobody would hear of it.
      this.log(`warning: ${what}`);
      throw new NotThisWay(what);
    }
    fs.mkdirSync(folder);
    const { code, output } = await run("tar", ["-xzf", file, "-C", folder], { env: this.environment });
    if (code !== 0) throw new NotThisWay(`${url} does not unpack: ${lastLines(output)}`);
    // The CLI's archive has a folder at its root, a plugin's has none.
    const find = (member) =>
      [path.join(folder, member), path.join(folder, "pulumi", member)].find((place) => isExecutable(place));
    if (!find(name)) throw new NotThisWay(`${url} has no ${name}`);
    for (const member of members) {
      const unpacked = find(member);
      if (!unpacked) continue;
      const entry = this.cache.downloadedName(member);
      await this.cache.store(entry, (place) => fs.renameSync(unpacked, place));
      this.cache.takeStored(member, { entry }, url);
    }
  }

  /** The SHA-256 digest of a file of a release. */
  async publishedDigest(repository, version, name) {
    const url = `${this.digests}/${repository}/releases/tags/v${version}`;
    const { assets } = await this.request(url, (response) => response.json());
    const found = assets?.find((asset) => asset.name === name)?.digest;
    const digest = /^sha256:([0-9a-f]{64})$/.exec(found ?? "")?.[1];
    if (digest === undefined) throw new NotThisWay(`${url} has no sha256 digest of ${name}`);
    return digest;
  }

  /** Writes what is at an address into a file, and returns its SHA-256 digest. */
  fetch(url, file) {
    return this.request(url, async (response, expectMore) => {
      const progress = new Progress(this.log, `downloading ${url}`);
      const total = Number(response.headers.get("content-length"));
      const hash = createHash("sha256");
      let received = 0;
      const count = new Transform({
        transform(chunk, _encoding, done) {
          expectMore();
          hash.update(chunk);
          received += chunk.length;
          progress.update(total > 0 ? `${Math.floor((100 * received) / total)} %` : `${received >> 20} MiB`);
          done(null, chunk);
        },
      });
      await pipeline(Readable.fromWeb(response.body), count, fs.createWriteStream(file));
      return hash.digest("hex");
    });
  }

  /** Asks a server, and has `read` take its answer; it must call `expectMore` as the answer comes in. */
  async request(url, read) {
    const { origin } = new URL(url);
    if (this.outOfReach.has(origin)) throw new NotThisWay(this.outOfReach.get(origin));
    const abort = new AbortController();
    let timer;
    const expectMore = () => {
      clearTimeout(timer);
      timer = setTimeout(
        () => abort.abort(new Error(`no answer for ${SERVER_TIMEOUT} s`)),
        SERVER_TIMEOUT * 1000,
      );
    };
    expectMore();
    try {
      const headers = origin === GITHUB ? authorization(this.environment) : {};
      const response = await fetch(url, { signal: abort.signal, headers });
      if (response.headers.get("x-ratelimit-remaining") === "0" && !response.ok) {
        throw new NotThisWay(
          `${origin} answers this address no more for up to an hour; set GITHUB_TOKEN for a limit of your own`,
        );
      }
      if (!response.ok) throw new NotThisWay(`${url}: HTTP ${response.status}`);
      return await read(response, expectMore);
    } catch (error) {
      if (error instanceof NotThisWay) throw error;
      const reason = `${origin} is out of reach: ${error.cause?.message || error.message}`;
      this.outOfReach.set(origin, reason);
      throw new NotThisWay(reason);
    } finally {
      clearTimeout(timer);
    }
  }
}
