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
import { configFor, type Contender, type Setting, unmarked, UNSCHEDULED } from "./arms";
import { isRunning, type Journal, type JournalEntry } from "./journal";

/** The server whose arms are switched. */
export interface Server {
  readonly api: TritonApi;
  /** Present if the server's models are scheduled and the scheduler can be reached. */
  readonly scheduler?: Scheduler;
  /** The stack behind it, if known. */
  readonly stack?: string;
  readonly journal: Journal;
}

/**
 * Switches some models of a server between settings by loading them with other configurations. The stack's own files stay
 * as they are. What has to be restored is in the journal before anything changes.
 */
export class ArmSwitch {
  private current: Setting = "own";
  /** Somebody else has loaded one of the models, so the stack's current configuration counts. */
  private deployedMeanwhile = false;

  private constructor(
    private readonly server: Server,
    private readonly contenders: readonly Contender[],
    private readonly entry: Omit<JournalEntry, "owner">,
  ) {}

  /** @throws UserError if another benchmark runs or a model is missing */
  public static async begin(server: Server, contenders: readonly Contender[]): Promise<ArmSwitch> {
    const { api, scheduler, stack, journal } = server;
    const left = journal.read();
    if (left !== undefined && isRunning(left)) {
      throw new UserError(
        `another benchmark is using the server at ${api.place} (process ${left.owner.pid})`,
        "run this again when it has ended",
      );
    }
    for (const { model } of contenders) await api.requireReady(model);
    const configs: Record<string, ModelConfig> = {};
    for (const { model } of contenders) {
      await api.loadDeployed(model);
      configs[model] = await api.config(model);
    }
    const entry = {
      place: api.place,
      stack,
      configs,
      queues: scheduler ? queuePriorities(scheduler.queues()) : {},
    };
    journal.write(entry);
    return new ArmSwitch(server, contenders, entry);
  }

  /** The priorities of a model in the stack's configuration. */
  public priorityOf(model: string): ConfiguredPriority {
    return configuredPriority(this.before(model));
  }

  /** Resolves once all models serve in the setting. */
  public async use(setting: Setting): Promise<void> {
    if (setting !== this.current) {
      for (const { model, role } of this.contenders) {
        const config = configFor(setting, role, this.before(model));
        if (config === undefined) await restoreModel(this.server.api, model, this.before(model));
        else await this.server.api.reload(model, config);
      }
      this.current = setting;
      if (setting === "own" && this.server.scheduler) restoreQueues(this.server.scheduler, this.entry.queues);
    }
    this.useQueues();
    await this.check();
  }

  /**
   * A queue of no model's, such as any in the image's variant transparent, gets the priority of its CUDA stream, and a
   * stream may not exist before the first request. So call this again after the warm-up.
   */
  public useQueues(): void {
    const { scheduler } = this.server;
    if (scheduler === undefined || this.current === "own") return;
    for (const queue of scheduler.queues()) {
      const of = modelOf(queue);
      const ours = of === "" || this.contenders.some(({ model }) => model === of);
      if (ours && queue.priority !== UNSCHEDULED) scheduler.setPriority(String(queue.id), UNSCHEDULED);
    }
  }

  /** @throws UserError if somebody else has loaded one of the models since */
  public async check(): Promise<void> {
    for (const { model, role } of this.contenders) {
      const wanted = configFor(this.current, role, this.before(model)) ?? this.before(model);
      if (!sameConfig(await this.server.api.config(model), wanted)) {
        this.deployedMeanwhile = true;
        throw new UserError(
          `the model "${model}" is no longer the one that the benchmark loaded; was it deployed, or the server restarted, meanwhile?`,
          "run the benchmark again, and wait for its end before npm run up",
        );
      }
    }
  }

  /** Restores everything. */
  public restore(): Promise<string[]> {
    return restore(this.server, this.entry, this.deployedMeanwhile);
  }

  private before(model: string): ModelConfig {
    const config = this.entry.configs[model];
    if (config === undefined) throw new Error(`no configuration of ${model} was read`);
    return config;
  }
}

/**
 * Restores what an entry of the journal says, and removes the entry.
 *
 * @param deployedMeanwhile load the stack's own models, whatever the entry says
 * @returns remarks for the user
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
      !(deployedMeanwhile
        ? sameConfig(await api.config(model), before)
        : await restoreModel(api, model, before))
    ) {
      remarks.push(`the model "${model}" was deployed meanwhile; it keeps the stack's new configuration`);
    }
  }
  if (scheduler) restoreQueues(scheduler, queues);
  journal.remove();
  return remarks;
}

/**
 * Loads a model with its stack's configuration. If only the priority then differs from the one before, it had been
 * changed live, and that change is made again. A plain Triton whose files have not changed keeps the benchmark's
 * configuration when it is asked to load them, so the one before is loaded there, too.
 *
 * @returns false if the model differs from before, because the stack has another one now
 */
async function restoreModel(api: TritonApi, model: string, before: ModelConfig): Promise<boolean> {
  if (sameConfig(await api.config(model), before)) return true;
  await api.reload(model);
  const deployed = await api.config(model);
  if (sameConfig(deployed, before)) return true;
  if (!sameButPriority(unmarked(deployed), before)) return false;
  await api.reload(model, before);
  return sameConfig(await api.config(model), before);
}

/** Restores the priorities of queues that still exist. */
function restoreQueues(scheduler: Scheduler, queues: JournalEntry["queues"]): void {
  const now = queuePriorities(scheduler.queues());
  for (const [queue, priority] of Object.entries(queues)) {
    if (now[queue] !== undefined && now[queue] !== priority) scheduler.setPriority(queue, priority);
  }
}

/** Priorities by the queues' model, or by id where queues have no name. */
function queuePriorities(queues: readonly Queue[]): Record<string, number> {
  return Object.fromEntries(queues.map((queue) => [modelOf(queue) || String(queue.id), queue.priority]));
}
