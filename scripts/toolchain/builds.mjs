// Builds tools with Go, from the modules in offline/.
import { BuildError, build, goVersion, modules } from "../../offline/build.mjs";
import { lastLines } from "./processes.mjs";
import { Progress } from "./progress.mjs";
import { NotThisWay } from "./tools.mjs";

export class Builds {
  constructor(cache, environment, log) {
    this.cache = cache;
    this.environment = environment;
    this.log = log;
  }

  async find(name) {
    const go = goVersion(this.environment);
    if (go === undefined) throw new NotThisWay("go is not on PATH");
    const what = `building ${name} with go (once, about ${modules[name].minutes} min)`;
    const progress = new Progress(this.log, what);
    const ticker = setInterval(() => progress.update("running"), 1000);
    const entry = this.cache.builtName(name, go);
    try {
      await this.cache.store(entry, async (file) => {
        await build(name, file, this.environment);
        this.cache.requireUnchanged(name);
      });
    } catch (error) {
      if (!(error instanceof BuildError)) throw error;
      throw new NotThisWay(`go build in offline/${name} fails:\n${lastLines(error.message)}`);
    } finally {
      clearInterval(ticker);
    }
    this.cache.takeStored(name, { entry, go });
    this.log(`built ${name} in ${progress.elapsed()}`);
  }
}
