import { type Field, named } from "../../textFormat";

/** Triton's names for engines of TensorRT. */
export const TENSORRT_BACKEND = "tensorrt";
export const TENSORRT_PLATFORM = "tensorrt_plan";
export const TENSORRT_FILE = "model.plan";

/**
 * Whether Triton serves a model with its TensorRT backend, whose name it completes:
 * `AutoCompleteBackendFields` in https://github.com/triton-inference-server/core/blob/r24.10/src/model_config_utils.cc
 *
 * @param fields of its configuration
 * @param hasPlan whether a version folder has the file of an engine
 */
export function isServedByTensorRt(fields: readonly Field[], hasPlan: boolean): boolean {
  const [backend, platform, file] = ["backend", "platform", "default_model_filename"].map((name) => {
    const value = named(fields, name).at(-1)?.value;
    return value?.kind === "string" ? value.text : "";
  });
  if (backend !== "") return backend === TENSORRT_BACKEND;
  if (platform !== "") return platform === TENSORRT_PLATFORM;
  return file === "" ? hasPlan : file === TENSORRT_FILE;
}
