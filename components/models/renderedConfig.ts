import * as pulumi from "@pulumi/pulumi";

import { type ComponentInputs, modelRule, type ModelSettings } from "../settings";
import { renderModelConfig } from "./config";
import { ownConfig } from "./modelConfig";

/** What has been rendered, by the settings that it comes from; those never change. */
const RENDERED = new WeakMap<object, pulumi.Output<string>>();

/**
 * The `config.pbtxt` that Triton gets for a model. A configuration on this machine is rendered at once.
 *
 * @throws ModelConfigError where the model's own configuration is malformed or contradicts the settings
 */
export function renderedConfig(model: ModelSettings): pulumi.Output<string> {
  const known = RENDERED.get(model);
  if (known !== undefined) return known;
  const own = model.config ?? ownConfig(model.source);
  const rendered =
    typeof own === "object"
      ? pulumi.output(own).apply((text) => renderModelConfig(text, model))
      : pulumi.output(renderModelConfig(own, model));
  RENDERED.set(model, rendered);
  return rendered;
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
