import { HIGHEST_WEIGHT, WEIGHT_PARAMETER } from "../../components/weight";
import { type DeployedServer } from "../triton/deployedServer";
import { UserError } from "../triton/userError";
import { changeWords } from "./change";
import { setShare } from "./setShare";

export const USAGE = "npm run set-weight -- [STACK] MODEL WEIGHT";

/** @throws UserError that says what is allowed */
export function parseWeight(text: string): number {
  const value = /^\d{1,3}$/.test(text) ? Number(text) : NaN;
  if (!(value <= HIGHEST_WEIGHT)) {
    throw new UserError(
      `"${text}" is not a weight`,
      `give an integer from 0 (none) to ${HIGHEST_WEIGHT}; models of equal priority share the GPU's time in the ratio of their weights`,
    );
  }
  return value;
}

/** As setShare. */
export function setWeight(server: DeployedServer, model: string, weight: number): Promise<string> {
  return setShare(
    server,
    {
      key: "weight",
      parameter: WEIGHT_PARAMETER,
      words: (value) => (value === 0 ? "no weight" : `weight ${value}`),
      set: (scheduler, ...change) => {
        scheduler.setWeight(...change);
      },
    },
    model,
    weight,
  );
}

/** @param words the command line's arguments: [STACK] MODEL WEIGHT */
export function parseWords(words: readonly string[]): { stack: string; model: string; weight: number } {
  const { stack, model, value } = changeWords(words, "a weight", USAGE);
  return { stack, model, weight: parseWeight(value) };
}
