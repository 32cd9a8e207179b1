import { FLOOR_PARAMETER, HIGHEST_FLOOR } from "../../components/floor";
import { type DeployedServer } from "../triton/deployedServer";
import { UserError } from "../triton/userError";
import { changeWords } from "./change";
import { setShare } from "./setShare";

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

/** As setShare. */
export function setFloor(server: DeployedServer, model: string, floor: number): Promise<string> {
  return setShare(
    server,
    {
      key: "floor",
      parameter: FLOOR_PARAMETER,
      words: (percent) => `a floor of ${percent} %`,
      set: (scheduler, ...change) => {
        scheduler.setFloor(...change);
      },
    },
    model,
    floor,
  );
}

/** @param words the command line's arguments: [STACK] MODEL PERCENT */
export function parseWords(words: readonly string[]): { stack: string; model: string; floor: number } {
  const { stack, model, value } = changeWords(words, "a share", USAGE);
  return { stack, model, floor: parseFloor(value) };
}
