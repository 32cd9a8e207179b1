import * as pulumi from "@pulumi/pulumi";

import { type ComponentInputs, modelRule, type ModelSettings } from "../settings";
import { renderModelConfig } from "./config";
import { hasPlan, ownConfig } from "./modelConfig";

/** What has been rendered, by the settings that it comes from; those never change. */
const RENDERED = new WeakMap<object, pulumi.Output<string>>();

/**
 * The `config.pbtxt` that Triton gets for a model. A configuration on this machine is rendered at once.
 *
 * @throws ModelConfigError where the model's own configuration is malformed or contradicts the settings
 */
export function renderedConfig(model: ModelSettings): pulumi.Output<string> {
  const earlier = RENDERED.get(model);
  if (earlier !== undefined) return earlier;
  const own = model.config ?? ownConfig(model.source);
  // What is known is rendered at once, for its faults, even where the files are not known yet.
  const plan = hasPlan(model.source);
  const known = typeof own === "object" ? undefined : renderModelConfig(own, model, plan === true);
  const rendered =
    known !== undefined && typeof plan === "boolean"
      ? pulumi.output(known)
      : pulumi.all([own, plan]).apply(([text, found]) => renderModelConfig(text, model, found));
  RENDERED.set(model, rendered);
  return rendered;
}

/**
 * As `renderedConfig`, of a model that is known completely and whose files are on this machine.
 *
 * @throws ModelConfigError
 */
export function configOfFolder(model: ModelSettings): string {
  const own = model.config ?? ownConfig(model.source);
  const plan = hasPlan(model.source);
  if (typeof own === "object" || typeof plan === "object") {
    throw new Error(`${model.source} is not a folder`);
  }
  return renderModelConfig(own, model, plan);
}

/**
 * Renders the configurations of those models that are known completely, so that a fault in one is reported before the
 * first resource is registered.
 *
 * @throws ModelConfigError
 */
export function renderKnownConfigs<T extends object, K extends object>(
  inputs: ComponentInputs<T, K>,
  models: readonly object[],
): void {
  for (const model of models) {
    const known = inputs.complete(modelRule, model);
    // Whoever needs it finds it again.
    if (known !== undefined) void renderedConfig(known);
  }
}
