import * as pulumi from "@pulumi/pulumi";

import {
  ensembleStepsOf,
  givePriorities,
  inform,
  type ModelSettings,
  s3Location,
  takesPriority,
} from "../settings";
import { ownConfig } from "./modelConfig";

/** A model whose arguments have passed. */
interface Prioritized<M> {
  /** As its settings were read, with outputs in them. */
  readonly model: M;
  /** The same when all outputs are known. */
  readonly settings: pulumi.Output<ModelSettings>;
}

/**
 * Completes what the settings did with the ensembles whose steps they could read: gives models without a priority of
 * their own the one of ensembles whose configuration is in S3 or is an output.
 */
export function withPrioritiesOfEnsembles<M extends { readonly source: string; readonly config?: unknown }>(
  models: readonly Prioritized<M>[],
): readonly Prioritized<M>[] {
  const takes = models.map(({ model }) => takesPriority(model));
  const mayGive = models.some(({ model }, index) => takes[index] === false && isReadLater(model));
  if (!mayGive || !takes.includes(true)) return models;
  const configs = models.map(({ model: { config, source } }) => config ?? readable(source));
  const all = pulumi
    .all([pulumi.all(models.map(({ settings }) => settings)), pulumi.all(configs)])
    .apply(([known, texts]) => givePriorities(known, takes, (_, index) => stepsIn(texts[index]), inform));
  return models.map(({ model, settings }, index) => ({
    model,
    settings:
      takes[index] === true
        ? pulumi.all([settings, all]).apply(([own, given]) => given[index] ?? own)
        : settings,
  }));
}

/** Whether the settings could not read a model's configuration. */
function isReadLater({ source, config }: { source: string; config?: unknown }): boolean {
  return config === undefined ? s3Location(source) !== undefined : typeof config !== "string";
}

/** What cannot be read is reported where the model is stored. */
async function readable(source: string): Promise<string | undefined> {
  try {
    return await ownConfig(source);
  } catch {
    return undefined;
  }
}

function stepsIn(config: unknown): readonly string[] | undefined {
  return typeof config === "string" ? ensembleStepsOf(config) : undefined;
}
