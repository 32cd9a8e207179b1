import { type DeployedServer } from "../triton/deployedServer";
import { Scheduler } from "../triton/scheduler";
import { DeployedApi } from "../triton/tritonApi";
import { UserError } from "../triton/userError";
import { findModel, keepChange } from "./change";

/** Something that a model's queues have together, and that only the scheduler can change without a reload. */
export interface Share {
  /** Key of a model in the stack's config. */
  readonly key: "floor" | "weight";
  /** Parameter of the model's configuration that it is rendered to; absent: 0. */
  readonly parameter: string;
  /** For a person, with its article: `a floor of 20 %`. */
  readonly words: (value: number) => string;
  readonly set: (scheduler: Scheduler, model: string, value: number) => void;
}

/**
 * Changes it for a served model in the running scheduler, at once.
 *
 * @returns what happened, and how long it will last, for a person
 * @throws UserError where nothing is scheduled, or the scheduler refuses it
 */
export async function setShare(
  server: DeployedServer,
  { key, parameter, words, set }: Share,
  model: string,
  value: number,
): Promise<string> {
  const { stack } = server;
  findModel(server, model);
  const api = new DeployedApi(server);
  await api.requireReady(model);
  const scheduler = new Scheduler(server);
  const state = scheduler.state();
  if (!state.active) {
    throw new UserError(
      `nothing is scheduled on the host (${state.reason})`,
      `a ${key} needs a model on the GPU, in a container whose image has the core`,
    );
  }
  set(scheduler, model, value);
  const { parameters } = await api.config(model);
  const inConfig = Number(parameters?.[parameter]?.string_value ?? 0);
  return [
    `${model} now has ${words(value)}: changed in the running scheduler, without delaying a request.`,
    ...(value === inConfig
      ? [`This is also the ${key} in the config of the stack "${stack}".`]
      : [
          `The config of the stack "${stack}" still has ${inConfig}. ` +
            "The change lasts until the model is reloaded or the server restarts; npm run up puts it back.",
          ...keepChange(server, model, key, value),
        ]),
  ].join("\n");
}
