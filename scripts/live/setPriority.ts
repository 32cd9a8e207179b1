import { HIGHEST_PRIORITY, LOWEST_PRIORITY, PRIORITY_NAMES } from "../../components/settings/allowedValues";
import { type DeployedServer } from "../triton/deployedServer";
import { UserError } from "../triton/userError";
import { configuredPriority, withPriority } from "../triton/modelConfig";
import { Scheduler } from "../triton/scheduler";
import { DeployedApi } from "../triton/tritonApi";

export const USAGE = "npm run set-priority -- [STACK] MODEL PRIORITY";

/** @throws UserError that says what is allowed */
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
      `give an integer from ${LOWEST_PRIORITY} to ${HIGHEST_PRIORITY}, larger is more urgent, or one of ${names.join(", ")}`,
    );
  }
  return value + 0; // −0 becomes 0.
}

/**
 * Gives a model that is served another priority, at once where the XSched core runs, otherwise by loading it again.
 *
 * @returns what has happened and what will become of it, for a person
 */
export async function setPriority(server: DeployedServer, model: string, priority: number): Promise<string> {
  const deployed = server.models.find(({ name }) => name === model);
  if (deployed === undefined) {
    throw new UserError(
      `the stack "${server.stack}" has no model "${model}"`,
      `use one of its models: ${server.models.map(({ name }) => name).join(", ")}`,
    );
  }
  const api = new DeployedApi(server);
  await api.requireReady(model);
  const how = changeQueues(server, model, priority);
  if (!how.done) await reload(api, model, priority, priority === deployed.priority);
  return [
    how.done
      ? `${model} has priority ${priority} now: changed in the running scheduler, no request was held up.`
      : `${model} has priority ${priority} now: it was loaded again, since ${how.reason}.`,
    ...future(server, model, priority, deployed.priority, how.done),
  ].join("\n");
}

type Change = { readonly done: true } | { readonly done: false; readonly reason: string };

function changeQueues(server: DeployedServer, model: string, priority: number): Change {
  const scheduler = new Scheduler(server);
  const state = scheduler.state();
  if (!state.active) return { done: false, reason: `nothing is scheduled there (${state.reason})` };
  try {
    scheduler.setPriority(model, priority);
    return { done: true };
  } catch (error) {
    // In transparent mode queues have no model's name, and a model on the CPU has none.
    return { done: false, reason: error instanceof Error ? error.message : String(error) };
  }
}

async function reload(api: DeployedApi, model: string, priority: number, asDeployed: boolean): Promise<void> {
  await api.reload(model, asDeployed ? undefined : withPriority(await api.config(model), priority));
  const { xsched } = configuredPriority(await api.config(model));
  if (xsched !== priority)
    throw new Error(`Triton serves ${model} at ${xsched ?? "no priority"} nevertheless`);
}

/** How long it lasts, and how to make it last. */
function future(
  { stack, models }: DeployedServer,
  model: string,
  priority: number,
  inConfig: number,
  byScheduler: boolean,
): string[] {
  if (priority === inConfig) return [`That is what the stack "${stack}" says, too.`];
  const until = byScheduler
    ? "until the model or the server is loaded again"
    : "until the model or the server is started again";
  const index = models.findIndex(({ name }) => name === model);
  return [
    `The stack "${stack}" still says ${inConfig}. The change lasts ${until}; npm run up does not see it.`,
    `To keep it, write in Pulumi.${stack}.yaml, models[${index}] (${model}):`,
    `    priority: ${priority}`,
    `then: npm run up${stack === "local" ? "" : ` -- ${stack}`}`,
  ];
}

/** @param words of the command line: [STACK] MODEL PRIORITY */
export function parseWords(words: readonly string[]): { stack: string; model: string; priority: number } {
  const [stack, model, priority] = words.length === 3 ? words : ["local", ...words];
  if (stack === undefined || model === undefined || priority === undefined || words.length > 3) {
    throw new UserError("a model and its priority are needed", USAGE);
  }
  return { stack, model, priority: parsePriority(priority) };
}
