// Downloads tools from the vendor.
import * as fs from "node:fs";
import * as path from "node:path";
import { Readable, Transform } from "node:stream";
import { pipeline } from "node:stream/promises";

import { isExecutable, lastLines, run } from "./processes.mjs";
import { Progress } from "./progress.mjs";
import { NotThisWay, tools } from "./tools.mjs";

/** Seconds without an answer or a byte after which the download server counts as unreachable. */
const SERVER_TIMEOUT = 4;

export class Downloads {
  constructor(cache, environment, log) {
    this.cache = cache;
    this.environment = environment;
    this.log = log;
    this.releases = (environment.XSCHED_TRITON_PULUMI_RELEASES || "https://get.pulumi.com/releases").replace(
      /\/$/,
      "",
    );
    /** Why the download server is unreachable, once known: a closed network costs one timeout, not four. */
    this.outOfReach = undefined;
  }

  async find(name) {
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
    // The CLI's download includes the hosts. Taking all three keeps them on the same release.
    const hosts = Object.keys(tools).filter((other) => tools[other].kind === "host");
    const archive = `sdk/pulumi-v${version}-${system}-${process.arch}.tar.gz`;
    await this.unpack(archive, name, name === "pulumi" ? [name, ...hosts] : [name]);
  }

  /** Takes those of `members` that the archive contains; `name` must be one of them. */
  async unpack(archive, name, members) {
    const url = `${this.releases}/${archive}`;
    const file = path.join(this.cache.temporary, path.basename(archive));
    const folder = `${file}.unpacked`;
    await this.fetch(url, file);
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

  async fetch(url, file) {
    if (this.outOfReach) throw new NotThisWay(this.outOfReach);
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
}
