import {
  DataType,
  EnginePrecision,
  ImageVariant,
  InstanceKind,
  LogLevel,
  ModelUpload,
  SchedulingPolicy,
  TimeoutAction,
} from "./types";

/*
 * Names that a key takes, with what each means. What Triton defines was read in model_config.proto of the release
 * 22.06: https://github.com/triton-inference-server/common/blob/r22.06/protobuf/model_config.proto
 */

export const LOWEST_PRIORITY = -255;
export const HIGHEST_PRIORITY = 255;

/** Names that stand for a priority. */
export const PRIORITY_NAMES: Readonly<Record<string, number>> = {
  max: HIGHEST_PRIORITY,
  default: 0,
  min: LOWEST_PRIORITY,
};

/** https://github.com/triton-inference-server/server/blob/r22.06/src/main.cc, the flags `--log-…` */
export const LOG_LEVELS: Readonly<Record<LogLevel, string>> = {
  error: "errors only",
  warning: "errors and warnings",
  info: "also what is loaded and served",
  verbose: "also each request; costs throughput",
};

export const SCHEDULING_POLICIES: Readonly<Record<SchedulingPolicy, string>> = {
  HPF: "highest priority first",
};

export const IMAGE_VARIANTS: Readonly<Record<ImageVariant, string>> = {
  patched: "Triton's TensorRT backend schedules each model at its priority",
  transparent: "any Triton, scheduled by the CUDA priority of its streams",
};

export const MODEL_UPLOADS: Readonly<Record<ModelUpload, string>> = {
  auto: "on AWS through a bucket of the stack from 64 MiB on, else over SSH",
  ssh: "over SSH",
  s3: "through a bucket that the stack makes on AWS",
};

/** https://github.com/NVIDIA/TensorRT/blob/release/8.2/samples/trtexec/README.md, the flags `--fp16` and `--best` */
export const ENGINE_PRECISIONS: Readonly<Record<EnginePrecision, string>> = {
  fp32: "32-bit floating point, TF32 where the GPU has it",
  fp16: "also 16-bit floating point",
  best: "also 8-bit integers, for a model with scales of its own",
};

/** `ModelInstanceGroup.Kind` */
export const INSTANCE_KINDS: Readonly<Record<InstanceKind, string>> = {
  auto: "on GPUs if there are any and the model can use them, else on the CPU",
  gpu: "on GPUs",
  cpu: "on the CPU",
  model: "where the model itself decides",
};

/** `ModelQueuePolicy.TimeoutAction` */
export const TIMEOUT_ACTIONS: Readonly<Record<TimeoutAction, string>> = {
  reject: "refuse a request that waited too long",
  delay: "serve it after those that did not",
};

/** `DataType` */
export const DATA_TYPES: Readonly<Record<DataType, string>> = {
  FP32: "32-bit floating point",
  FP16: "16-bit floating point",
  BF16: "16-bit brain floating point",
  FP64: "64-bit floating point",
  INT8: "8-bit integer",
  INT16: "16-bit integer",
  INT32: "32-bit integer",
  INT64: "64-bit integer",
  UINT8: "8-bit integer without sign",
  UINT16: "16-bit integer without sign",
  UINT32: "32-bit integer without sign",
  UINT64: "64-bit integer without sign",
  BOOL: "true or false",
  STRING: "bytes",
};

/** Greatest values of the protobuf integers that the settings end in. */
export const MAX_INT32 = 2 ** 31 - 1;
export const MAX_UINT32 = 2 ** 32 - 1;
