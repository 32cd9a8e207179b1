import * as pulumi from "@pulumi/pulumi";

import type { ModelSettings } from "../settings";
import { renderModelConfig } from "./config";
import type { ModelBucket } from "./modelBucket";
import { ownConfig } from "./modelConfig";
import type { ModelArgs } from "./modelRepository";
import { travelsThroughBucket } from "./stackModels";

/**
 * A model of the stack config for the repository: its options rendered into its configuration.
 *
 * @param bucket that large models travel through
 */
export function modelArgs(model: ModelSettings, bucket?: ModelBucket): ModelArgs {
  const { name, source, priority } = model;
  const own = ownConfig(source);
  // What lies on this machine is rendered at once, so that a fault in it comes before the first resource.
  const config =
    typeof own === "object"
      ? pulumi.output(own).apply((text) => renderModelConfig(text, model))
      : renderModelConfig(own, model);
  return {
    ...{ name, source, priority, config },
    ...(bucket !== undefined && travelsThroughBucket(model) && { bucket: bucket.bucket }),
  };
}
