import { ensembleSteps, type ModelSettings } from "../../settings";
import { parseTextFormat } from "../../textFormat";

/**
 * The models that a model needs loaded: those of the steps of an ensemble, and those that its settings name.
 *
 * @param config its rendered `config.pbtxt`
 * @param served names of all models of the stack; Triton says what it thinks of a step that is not among them
 */
export function modelDependencies(
  config: string,
  { name, dependsOn }: Pick<ModelSettings, "name" | "dependsOn">,
  served: ReadonlySet<string>,
): string[] {
  const steps = ensembleSteps(parseTextFormat(config)) ?? [];
  const needed = new Set([...steps, ...dependsOn]);
  return [...needed].filter((model) => model !== name && served.has(model)).sort();
}
