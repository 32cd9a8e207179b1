import { type Field, messagesOf, named, parseTextFormat, TextFormatError } from "../textFormat";

/**
 * What a model's settings cannot have if it is an ensemble: it runs nothing itself, and Triton refuses the fields that
 * most of these are rendered to. https://github.com/triton-inference-server/core/blob/r22.06/src/model_config_utils.cc
 */
export const NOT_FOR_ENSEMBLES = [
  "engine",
  "instanceGroups",
  "dynamicBatching",
  "warmup",
  "floor",
  "weight",
] as const;

/** The models of an ensemble's steps, in order, each once; undefined if the fields are those of another kind of model. */
export function ensembleSteps(fields: readonly Field[]): readonly string[] | undefined {
  const platform = named(fields, "platform").at(-1)?.value;
  const scheduling = messagesOf(named(fields, "ensemble_scheduling"));
  const isEnsemble = platform?.kind === "string" && platform.text === "ensemble";
  if (!isEnsemble && scheduling.length === 0) return undefined;
  const steps = scheduling.flatMap((value) =>
    value.kind === "message" ? messagesOf(named(value.fields, "step")) : [],
  );
  const models = steps.flatMap((step) => {
    const name = step.kind === "message" ? named(step.fields, "model_name").at(-1)?.value : undefined;
    return name?.kind === "string" ? [name.text] : [];
  });
  return [...new Set(models)];
}

/** As `ensembleSteps`, of a `config.pbtxt`. One that is malformed is no ensemble's; rendering it says what is wrong. */
export function ensembleStepsOf(config: string): readonly string[] | undefined {
  try {
    return ensembleSteps(parseTextFormat(config));
  } catch (error) {
    if (error instanceof TextFormatError) return undefined;
    throw error;
  }
}
