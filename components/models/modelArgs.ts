import * as pulumi from "@pulumi/pulumi";

import type { EngineSettings, ModelSettings } from "../settings";
import { renderModelConfig } from "./config";
import { type EngineArgs, EnginePrecision } from "./engine";
import type { ModelBucket } from "./modelBucket";
import { ownConfig } from "./modelConfig";
import type { ModelArgs } from "./modelRepository";
import { travelsThroughBucket } from "./stackModels";
import { ENGINE_KEYS } from "./uploadFiles";

/**
 * A model of the stack config for the repository: its options rendered into its configuration.
 *
 * @param bucket that large models travel through
 */
export function modelArgs(model: ModelSettings, bucket?: ModelBucket): ModelArgs {
  const { name, source, priority, engine } = model;
  const own = ownConfig(source);
  // What lies on this machine is rendered at once, so that a fault in it comes before the first resource.
  const config =
    typeof own === "object"
      ? pulumi.output(own).apply((text) => renderModelConfig(text, model))
      : renderModelConfig(own, model);
  return {
    ...{ name, source, priority, config },
    engine: engine && engineArgs(engine, bucket),
    ...(bucket !== undefined && travelsThroughBucket(model) && { bucket: bucket.bucket }),
  };
}

const PRECISIONS: Readonly<Record<EngineSettings["precision"], EnginePrecision>> = {
  fp32: EnginePrecision.Fp32,
  fp16: EnginePrecision.Fp16,
  best: EnginePrecision.Best,
};

function engineArgs(
  { precision, shapes, workspaceMiB, builder, shared }: EngineSettings,
  bucket: ModelBucket | undefined,
): EngineArgs {
  return {
    precision: PRECISIONS[precision],
    shapes: shapes.map(({ input, min, opt, max }) => ({
      input,
      min: [...min],
      opt: [...opt],
      max: [...max],
    })),
    workspaceMiB,
    builder,
    shared: shared ?? (bucket && pulumi.interpolate`s3://${bucket.bucket}/${ENGINE_KEYS}`),
  };
}
