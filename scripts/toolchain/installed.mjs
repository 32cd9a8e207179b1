// Finds tools that are installed on this machine.
import * as fs from "node:fs";
import * as os from "node:os";
import * as path from "node:path";

import { isExecutable, lastLines, run } from "./processes.mjs";
import { cliVersion, NotThisWay, tools } from "./tools.mjs";

/** Searches PATH and Pulumi's plugins. Remembers which CLI it has found. */
export class Installed {
  constructor(cache, environment) {
    this.cache = cache;
    this.environment = environment;
  }

  async find(name) {
    this.cache.takeInstalled(name, await this.fileOf(name));
  }

  fileOf(name) {
    switch (tools[name].kind) {
      case "provider":
        return this.provider(name);
      case "daemon":
        return this.daemon(name);
      case "data":
        throw new NotThisWay("only tests need it");
      default:
        return this.nextToCli(name);
    }
  }

  daemon(name) {
    const file = this.onPath(name);
    if (file) return file;
    throw new NotThisWay("not on PATH");
  }

  provider(name) {
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

  async nextToCli(name) {
    const cli = await (this.cli ??= this.findCli());
    if (name === "pulumi") return cli;
    const file = path.join(path.dirname(fs.realpathSync(cli)), name);
    if (isExecutable(file)) return file;
    throw new NotThisWay(`not next to ${cli}`);
  }

  async findCli() {
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

  /** A nested run finds the cache on its PATH and in its PULUMI_HOME, and would link a tool to itself. */
  isForeign(file) {
    return !file.startsWith(this.cache.root + path.sep);
  }
}

function isOlder(version, than) {
  const [a, b] = [version, than].map((text) => text.split(".").map(Number));
  const difference = a.map((part, index) => part - b[index]).find((part) => part !== 0);
  return (difference ?? 0) < 0;
}
