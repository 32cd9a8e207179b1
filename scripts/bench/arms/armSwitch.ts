import { UserError } from "../../triton/userError";
import {
  type ConfiguredPriority,
  configuredPriority,
  type ModelConfig,
  sameButPriority,
  sameConfig,
} from "../../triton/modelConfig";
import { modelOf, type Queue, type Scheduler } from "../../triton/scheduler";
import { type TritonApi } from "../../triton/tritonApi";
import { configFor, type Role, type Setting, UNSCHEDULED } from "./arms";
import { isRunning, type Journal, type JournalEntry } from "./journal";

const ROLES: readonly Role[] = ["high", "low"];

/** What arms are switched on. */
export interface Server {
  readonly api: TritonApi;
  /** Where the models of the server are scheduled and the scheduler can be reached. */
  readonly scheduler?: Scheduler;
  /** The stack behind it, if it is known. */
  readonly stack?: string;
  readonly journal: Journal;
}

/**
 * Gives two models of a server one setting after the other, by loading them with another configuration than the
 * stack's, which stays as it is. What has to be put back is in the journal before anything changes.
 */
export class ArmSwitch {
  private current: Setting = "own";
  /** Somebody else has loaded one of the models: what the stack has now counts. */
  private deployedMeanwhile = false;

  private constructor(
    private readonly server: Server,
    private readonly models: Readonly<Record<Role, string>>,
    private readonly entry: Omit<JournalEntry, "owner">,
  ) {}

  /** @throws UserError if another benchmark runs, or the models are not there or in the wrong order */
  public static async begin(server: Server, models: Readonly<Record<Role, string>>): Promise<ArmSwitch> {
    const { api, scheduler, stack, journal } = server;
    const left = journal.read();
    if (left !== undefined && isRunning(left)) {
      throw new UserError(
        `another benchmark uses the server at ${api.place} (process ${left.owner.pid})`,
        "run this again when it has ended",
      );
    }
    for (const role of ROLES) await api.requireReady(models[role]);
    const configs: Record<string, ModelConfig> = {};
    for (const role of ROLES) configs[models[role]] = await api.config(models[role]);
    const entry = {
      place: api.place,
      stack,
      configs,
      queues: scheduler ? queuePriorities(scheduler.queues()) : {},
    };
    journal.write(entry);
    return new ArmSwitch(server, models, entry);
  }

  /** The configured priorities of a model as the stack has deployed it. */
  public priorityOf(role: Role): ConfiguredPriority {
    return configuredPriority(this.before(role));
  }

  /** @returns once both models serve in the setting */
  public async use(setting: Setting): Promise<void> {
    if (setting !== this.current) {
      for (const role of ROLES) {
        const config = configFor(setting, role, this.before(role));
        if (config === undefined) await putBack(this.server.api, this.models[role], this.before(role));
        else await this.server.api.reload(this.models[role], config);
      }
      this.current = setting;
      if (setting === "own" && this.server.scheduler) putBackQueues(this.server.scheduler, this.entry.queues);
    }
    this.useQueues();
    await this.check();
  }

  /**
   * Transparent mode gives each queue the priority of its CUDA stream, and streams may be made when the first request
   * comes: to be called after the warm-up, too.
   */
  public useQueues(): void {
    const { scheduler } = this.server;
    if (scheduler === undefined || this.current === "own") return;
    for (const queue of scheduler.queues()) {
      const ours = modelOf(queue) === "" || Object.values(this.models).includes(modelOf(queue));
      if (ours && queue.priority !== UNSCHEDULED) scheduler.setPriority(String(queue.id), UNSCHEDULED);
    }
  }

  /** @throws Error if somebody else has loaded one of the models since */
  public async check(): Promise<void> {
    for (const role of ROLES) {
      const wanted = configFor(this.current, role, this.before(role)) ?? this.before(role);
      if (!sameConfig(await this.server.api.config(this.models[role]), wanted)) {
        this.deployedMeanwhile = true;
        throw new UserError(
          `the model "${this.models[role]}" is not as the benchmark has loaded it; was it deployed, or the server started again, meanwhile?`,
          "run the benchmark again, and npm run up only when it has ended",
        );
      }
    }
  }

  /** Puts everything back as it was. */
  public restore(): Promise<string[]> {
    return restore(this.server, this.entry, this.deployedMeanwhile);
  }

  private before(role: Role): ModelConfig {
    const config = this.entry.configs[this.models[role]];
    if (config === undefined) throw new Error(`no configuration of ${this.models[role]} was read`);
    return config;
  }
}

/**
 * Puts back what an entry of the journal says, and forgets the entry.
 *
 * @param deployedMeanwhile load the models as the stack has them, whatever the entry says
 * @returns what a person should know
 */
export async function restore(
  { api, scheduler, journal }: Server,
  { configs, queues }: Omit<JournalEntry, "owner">,
  deployedMeanwhile = false,
): Promise<string[]> {
  const remarks: string[] = [];
  for (const [model, before] of Object.entries(configs)) {
    if (deployedMeanwhile) await api.reload(model);
    if (
      !(deployedMeanwhile ? sameConfig(await api.config(model), before) : await putBack(api, model, before))
    ) {
      remarks.push(`the model "${model}" was deployed anew meanwhile; it serves as the stack has it`);
    }
  }
  if (scheduler) putBackQueues(scheduler, queues);
  journal.remove();
  return remarks;
}

/**
 * Loads a model as its stack has it. If only its priority is then another than before, that had been changed live,
 * and is again.
 *
 * @returns false if it is not what it was, because the stack has another one now
 */
async function putBack(api: TritonApi, model: string, before: ModelConfig): Promise<boolean> {
  if (sameConfig(await api.config(model), before)) return true;
  await api.reload(model);
  const deployed = await api.config(model);
  if (sameConfig(deployed, before)) return true;
  if (!sameButPriority(deployed, before)) return false;
  await api.reload(model, before);
  return sameConfig(await api.config(model), before);
}

/** Gives queues that are still there the priorities that they had. */
function putBackQueues(scheduler: Scheduler, queues: JournalEntry["queues"]): void {
  const now = queuePriorities(scheduler.queues());
  for (const [queue, priority] of Object.entries(queues)) {
    if (now[queue] !== undefined && now[queue] !== priority) scheduler.setPriority(queue, priority);
  }
}

/** Priorities by the model that queues work for; by id where they have no name. */
function queuePriorities(queues: readonly Queue[]): Record<string, number> {
  return Object.fromEntries(queues.map((queue) => [modelOf(queue) || String(queue.id), queue.priority]));
}
