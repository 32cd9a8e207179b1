import { HIGHEST_PRIORITY, LOWEST_PRIORITY, PRIORITY_NAMES } from "../../components/priority";
import { type DeployedServer } from "../triton/deployedServer";
import { UserError } from "../triton/userError";
import { configuredPriority, type ModelConfig, withPriority } from "../triton/modelConfig";
import { Scheduler } from "../triton/scheduler";
import { DeployedApi } from "../triton/tritonApi";
import { changeWords, findModel, keepChange } from "./change";

export const USAGE = "npm run set-priority -- [STACK] MODEL PRIORITY";

/** @throws UserError that lists what is allowed */
export function parsePriority(text: string): number {
  const value = Object.hasOwn(PRIORITY_NAMES, text)
    ? PRIORITY_NAMES[text]
    : /^[+-]?\d+$/.test(text)
      ? Number(text)
      : NaN;
  if (value === undefined || !(value >= LOWEST_PRIORITY && value <= HIGHEST_PRIORITY)) {
    const names = Object.entries(PRIORITY_NAMES).map(([name, number]) => `${name} (${number})`);
    throw new UserError(
      `"${text}" is not a priority`,
      `give an integer from ${LOWEST_PRIORITY} to ${HIGHEST_PRIORITY} (larger is more urgent), or one of ${names.join(", ")}`,
    );
  }
  return value + 0; // −0 becomes 0.
}

/**
 * Changes the priority of a served model: at once if the XSched core runs, otherwise by reloading the model.
 *
 * @returns what happened, and how long it will last, for a person
 */
export async function setPriority(server: DeployedServer, model: string, priority: number): Promise<string> {
  const deployed = findModel(server, model);
  const api = new DeployedApi(server);
  await api.requireReady(model);
  const how = changeQueues(server, model, priority);
  if (!how.done) await reload(api, model, priority, priority === deployed.priority);
  return [
    how.done
      ? `${model} now has priority ${priority}: changed in the running scheduler, without delaying a request.`
      : `${model} now has priority ${priority}: it was reloaded, because ${how.reason}.`,
    ...future(server, model, priority, deployed.priority),
  ].join("\n");
}

type Change = { readonly done: true } | { readonly done: false; readonly reason: string };

function changeQueues(server: DeployedServer, model: string, priority: number): Change {
  const scheduler = new Scheduler(server);
  const state = scheduler.state();
  if (!state.active) return { done: false, reason: `nothing is scheduled on the host (${state.reason})` };
  try {
    scheduler.setPriority(model, priority);
    return { done: true };
  } catch (error) {
    // Queues carry no model's name in the image's variant transparent; a model on the CPU has no queue.
    return { done: false, reason: error instanceof Error ? error.message : String(error) };
  }
}

async function reload(api: DeployedApi, model: string, priority: number, asDeployed: boolean): Promise<void> {
  await api.reload(model, asDeployed ? undefined : withPriority(await configOf(api, model), priority));
  const { xsched } = configuredPriority(await api.config(model));
  if (xsched !== priority)
    throw new Error(
      `Triton still serves ${model} with ${xsched === undefined ? "no priority" : `priority ${xsched}`}`,
    );
}

/** @throws UserError for an ensemble, which runs nothing itself and for which Triton allows no `optimization` */
async function configOf(api: DeployedApi, model: string): Promise<ModelConfig> {
  const config = await api.config(model);
  if (config.ensemble_scheduling === undefined) return config;
  throw new UserError(
    `${model} is an ensemble, which has no priority on the GPU`,
    `set the priority of the models that it is made of: ${(await partsOf(api, config)).join(", ")}`,
  );
}

/** The models that an ensemble is made of, each once; of ensembles among them, theirs. */
async function partsOf(
  api: DeployedApi,
  { ensemble_scheduling: scheduling }: ModelConfig,
): Promise<string[]> {
  const parts = new Set<string>();
  for (const name of new Set(scheduling?.step?.map((step) => step.model_name))) {
    const config = await api.config(name);
    const own = config.ensemble_scheduling === undefined ? [name] : await partsOf(api, config);
    own.forEach((part) => parts.add(part));
  }
  return [...parts];
}

/** How long it lasts, and how to make it last. */
function future(server: DeployedServer, model: string, priority: number, inConfig: number): string[] {
  const { stack } = server;
  if (priority === inConfig) return [`This is also the priority in the config of the stack "${stack}".`];

  return [
    `The config of the stack "${stack}" still has ${inConfig}. ` +
      "The change lasts until the model is reloaded or the server restarts; npm run up puts it back.",
    ...keepChange(server, model, "priority", priority),
  ];
}

/** @param words the command line's arguments: [STACK] MODEL PRIORITY */
export function parseWords(words: readonly string[]): { stack: string; model: string; priority: number } {
  const { stack, model, value } = changeWords(words, "a priority", USAGE);
  return { stack, model, priority: parsePriority(value) };
}
