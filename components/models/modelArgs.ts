import type { ModelSettings } from "../settings";
import { renderModelConfig } from "./config";
import { ownConfig } from "./modelConfig";
import type { ModelArgs } from "./modelRepository";

/** A model of the stack config for the repository: its options rendered into its configuration. */
export function modelArgs(model: ModelSettings): ModelArgs {
  const { name, source, priority } = model;
  return { name, source, priority, config: renderModelConfig(ownConfig(source), model) };
}
