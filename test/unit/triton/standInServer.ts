import { type DeployedServer, type Finished } from "../../../scripts/triton/deployedServer";
import { type ModelConfig } from "../../../scripts/triton/modelConfig";
import { type Queue } from "../../../scripts/triton/scheduler";

interface Served {
  /** The stack's configuration. */
  deployed: ModelConfig;
  /** The served configuration. */
  served: ModelConfig;
}

export function modelConfig(name: string, priority: number): ModelConfig {
  const cuda = priority > 0 ? "PRIORITY_MAX" : priority < 0 ? "PRIORITY_MIN" : "PRIORITY_DEFAULT";
  return {
    name,
    max_batch_size: 8,
    optimization: { priority: cuda, eager_batching: false },
    parameters: { xsched_priority: { string_value: String(priority) }, mine: { string_value: "kept" } },
  };
}

/** What xsched-ctl's commands change of a queue. */
const KEYS: ReadonlyMap<string, keyof Queue> = new Map<string, keyof Queue>([
  ["priority", "priority"],
  ["floor", "floor_percent"],
  ["weight", "weight"],
]);

/**
 * A deployed server, as its host's agent reports it: Triton with models and, if it is scheduled, queues that each load
 * creates anew.
 */
export class StandInServer implements DeployedServer {
  public readonly stack = "dev";
  public readonly endpoints = { http: "http://127.0.0.1:8000", grpc: "127.0.0.1:8001" };
  public readonly loads: string[] = [];
  /** Which load fails, counted from 1. */
  public failingLoad = 0;
  public queues: Queue[] | undefined;
  private readonly served: Map<string, Served>;
  private nextQueue = 1;

  /** @param mode of the scheduler; queues have no names in transparent mode */
  public constructor(
    public readonly models: DeployedServer["models"],
    private readonly mode?: "explicit" | "transparent",
  ) {
    this.served = new Map(
      models.map(({ name, priority }) => {
        const config = modelConfig(name, priority);
        return [name, { deployed: config, served: config }];
      }),
    );
    if (mode !== undefined) {
      this.queues = [];
      for (const { name } of models) this.makeQueue(name);
    }
  }

  public config(model: string): ModelConfig {
    return this.of(model).served;
  }

  /** The state after an `up` that changed a priority in the running scheduler, without a load. */
  public deployWithoutLoad(model: string, priority: number): void {
    this.of(model).deployed = modelConfig(model, priority);
    this.changedInScheduler.set(model, priority);
    const queue = this.queueOf(model);
    this.queues = this.queues?.map((each) => (each === queue ? { ...each, priority } : each));
  }

  /** The state after another `up`. */
  public deploy(config: ModelConfig): void {
    this.served.set(config.name, { deployed: config, served: config });
  }

  /** The priority of a model's queue; of the n-th queue in transparent mode. */
  public queuePriority(model: string): number | undefined {
    return this.queueOf(model)?.priority;
  }

  public onHost(words: readonly string[], input = ""): Finished {
    const [command = "", ...rest] = words;
    switch (command) {
      case "ask":
        return this.ask(rest[1] ?? "");
      case "reload":
        return this.reload(rest[0] ?? "", input);
      case "scheduler":
        return this.control(rest);
      case "status":
        return done(JSON.stringify({ models: [...this.served.keys()].map((name) => this.describe(name)) }));
      default:
        return failed(1, `no command ${command}`);
    }
  }

  private readonly changedInScheduler = new Map<string, number>();

  /** As the host's agent: what was changed in the scheduler counts in the place of what is loaded. */
  private describe(name: string): { name: string; priority: number; floor: number; weight: number } {
    const loaded = Number(this.of(name).served.parameters?.xsched_priority?.string_value);
    return { name, priority: this.changedInScheduler.get(name) ?? loaded, floor: 0, weight: 0 };
  }

  private of(model: string): Served {
    const found = this.served.get(model);
    if (found === undefined) throw new Error(`no model ${model}`);
    return found;
  }

  private ask(path: string): Finished {
    if (path === "/v2/models/stats") {
      return answer({ model_stats: [...this.served.keys()].map((name) => ({ name, version: "1" })) });
    }
    const [, model = "", what] = /^\/v2\/models\/([^/]*)(?:\/(.*))?$/.exec(path) ?? [];
    const found = this.served.get(model);
    if (found === undefined) return answer({}, 400);
    return what === "config" ? answer(found.served) : answer({});
  }

  private reload(model: string, input: string): Finished {
    this.loads.push(`${model}${input === "" ? "" : " overridden"}`);
    if (this.loads.length === this.failingLoad) return failed(1, "error: out of memory");
    const found = this.of(model);
    this.changedInScheduler.delete(model);
    found.served = input === "" ? found.deployed : (JSON.parse(input) as ModelConfig);
    if (this.queues) {
      this.queues = this.queues.filter((queue) => queue !== this.queueOf(model));
      this.makeQueue(model);
    }
    return done("");
  }

  private readonly queueIds = new Map<string, number>();

  private queueOf(model: string): Queue | undefined {
    return this.queues?.find(({ id }) => id === this.queueIds.get(model));
  }

  private makeQueue(model: string): void {
    const { served } = this.of(model);
    const priority =
      this.mode === "transparent"
        ? served.optimization?.priority === "PRIORITY_MAX"
          ? 255
          : -255
        : Number(served.parameters?.xsched_priority?.string_value);
    const id = this.nextQueue++;
    this.queueIds.set(model, id);
    const name = this.mode === "transparent" ? "" : `${model}/0`;
    this.queues?.push({ id, name, priority, launches: 0, blocked: 0, blocked_ns: 0, preemptions: 0 });
  }

  private control([command, ...rest]: readonly string[]): Finished {
    if (this.queues === undefined) return failed(3, "error: this server runs as a process");
    if (command === "status") return done("scheduled  yes\n");
    if (command === "stats") return done(JSON.stringify({ queues: this.queues }));
    const [queue = "", value] = rest;
    const meant = this.queues.filter(({ id, name }) => String(id) === queue || name.split("/")[0] === queue);
    const key = KEYS.get(command ?? "");
    if (key === undefined || meant.length === 0) return failed(1, `error: no queue is called ${queue}`);
    this.queues = this.queues.map((found) =>
      meant.includes(found) ? { ...found, [key]: Number(value) } : found,
    );
    return done("");
  }
}

function done(stdout: string): Finished {
  return { status: 0, stdout, stderr: "" };
}

function answer(body: object, status = 200): Finished {
  return done(JSON.stringify({ status, body: JSON.stringify(body) }));
}

function failed(status: number, stderr: string): Finished {
  return { status, stdout: "", stderr };
}
