import { FLOOR_PARAMETER, HIGHEST_FLOOR } from "../../components/floor";
import { type DeployedServer } from "../triton/deployedServer";
import { Scheduler } from "../triton/scheduler";
import { DeployedApi } from "../triton/tritonApi";
import { UserError } from "../triton/userError";
import { changeWords, findModel, keepChange } from "./change";

export const USAGE = "npm run set-floor -- [STACK] MODEL PERCENT";

/** @throws UserError that says what is allowed */
export function parseFloor(text: string): number {
  const value = /^\d{1,3}$/.test(text) ? Number(text) : NaN;
  if (!(value <= HIGHEST_FLOOR)) {
    throw new UserError(
      `"${text}" is not a floor`,
      `give an integer from 0 (none) to ${HIGHEST_FLOOR}, in percent of the GPU's time`,
    );
  }
  return value;
}

/**
 * Changes the floor of a served model in the running scheduler, at once.
 *
 * @returns what happened, and how long it will last, for a person
 * @throws UserError where nothing is scheduled, or the scheduler refuses it
 */
export async function setFloor(server: DeployedServer, model: string, floor: number): Promise<string> {
  const { stack } = server;
  findModel(server, model);
  const api = new DeployedApi(server);
  await api.requireReady(model);
  const scheduler = new Scheduler(server);
  const state = scheduler.state();
  if (!state.active) {
    throw new UserError(
      `nothing is scheduled on the host (${state.reason})`,
      "a floor needs a model on the GPU, in a container whose image has the core",
    );
  }
  scheduler.setFloor(model, floor);
  const { parameters } = await api.config(model);
  const inConfig = Number(parameters?.[FLOOR_PARAMETER]?.string_value ?? 0);
  return [
    `${model} now has a floor of ${floor} %: changed in the running scheduler, without delaying a request.`,
    ...(floor === inConfig
      ? [`This is also the floor in the config of the stack "${stack}".`]
      : [
          `The config of the stack "${stack}" still has ${inConfig}. ` +
            "The change lasts until the model is reloaded or the server restarts; npm run up puts it back.",
          ...keepChange(server, model, "floor", floor),
        ]),
  ].join("\n");
}

/** @param words the command line's arguments: [STACK] MODEL PERCENT */
export function parseWords(words: readonly string[]): { stack: string; model: string; floor: number } {
  const { stack, model, value } = changeWords(words, "a share", USAGE);
  return { stack, model, floor: parseFloor(value) };
}
