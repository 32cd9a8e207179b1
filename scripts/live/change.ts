import { type DeployedServer } from "../triton/deployedServer";
import { UserError } from "../triton/userError";

/**
 * The words of a command that changes a model of a running server: [STACK] MODEL VALUE.
 *
 * @param what is given as the value, with its article
 * @throws UserError with the usage where one is missing
 */
export function changeWords(
  words: readonly string[],
  what: string,
  usage: string,
): { readonly stack: string; readonly model: string; readonly value: string } {
  const [stack, model, value] = words.length === 3 ? words : ["local", ...words];
  if (stack === undefined || model === undefined || value === undefined || words.length > 3) {
    throw new UserError(`a model or ${what} is missing`, usage);
  }
  return { stack, model, value };
}

/** @throws UserError if the stack has no such model */
export function findModel(
  { stack, models }: DeployedServer,
  model: string,
): DeployedServer["models"][number] {
  const found = models.find(({ name }) => name === model);
  if (found !== undefined) return found;
  throw new UserError(
    `the stack "${stack}" has no model "${model}"`,
    `use one of its models: ${models.map(({ name }) => name).join(", ")}`,
  );
}

/** How to make a change last: lines for a person. */
export function keepChange(
  { stack, models }: DeployedServer,
  model: string,
  key: "floor" | "priority" | "weight",
  value: number,
): string[] {
  const index = models.findIndex(({ name }) => name === model);
  return [
    `To keep it, set in Pulumi.${stack}.yaml, models[${index}] (${model}):`,
    `    ${key}: ${value}`,
    `and run: npm run up${stack === "local" ? "" : ` -- ${stack}`}`,
  ];
}
