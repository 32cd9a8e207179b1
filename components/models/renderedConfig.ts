import * as pulumi from "@pulumi/pulumi";

import { type ComponentInputs, modelRule, type ModelSettings } from "../settings";
import { refuseMissingCode, refuseTakenForVersion, refuseUnknownToTriton, renderModelConfig } from "./config";
import { type Folders, foldersOf, hasPlan, ownConfig, versionsAmong } from "./modelConfig";

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
  const folders = foldersOf(model.source);
  // What is known is rendered at once, for its faults, even where the files are not known yet.
  if (typeof own !== "object" && folders instanceof Promise) void renderChecked(own, model);
  const rendered =
    typeof own === "object" || folders instanceof Promise
      ? pulumi.output(Promise.all([own, folders]).then(([text, found]) => render(text, model, found)))
      : pulumi.output(render(own, model, folders));
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
  const folders = foldersOf(model.source);
  if (typeof own === "object" || folders instanceof Promise) {
    throw new Error(`${model.source} is not a folder`);
  }
  return render(own, model, folders);
}

/** @throws ModelConfigError */
function render(own: string | undefined, model: ModelSettings, folders: Folders): string {
  refuseTakenForVersion(model.source, [...folders.keys()]);
  const versions = versionsAmong(folders);
  const config = renderChecked(own, model, hasPlan(versions));
  refuseMissingCode(config, model.source, versions);
  return config;
}

function renderChecked(own: string | undefined, model: ModelSettings, plan?: boolean): string {
  const config = renderModelConfig(own, model, plan);
  refuseUnknownToTriton(config, own, model.source);
  return config;
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
