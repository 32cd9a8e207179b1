import * as pulumi from "@pulumi/pulumi";

import type { ModelSettings } from "../settings";
import { renderModelConfig } from "./config";
import { ownConfig } from "./modelConfig";
import type { ModelArgs } from "./modelRepository";

/** A model of the stack config for the repository: its options rendered into its configuration. */
export function modelArgs(model: ModelSettings): ModelArgs {
  const { name, source, priority } = model;
  const own = ownConfig(source);
  // What lies on this machine is rendered at once, so that a fault in it comes before the first resource.
  const config =
    typeof own === "object"
      ? pulumi.output(own).apply((text) => renderModelConfig(text, model))
      : renderModelConfig(own, model);
  return { name, source, priority, config };
}
