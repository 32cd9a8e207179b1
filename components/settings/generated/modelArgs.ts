// Generated from the rules in components/settings by `npm run generate`; do not edit.
import type * as pulumi from "@pulumi/pulumi";

import type { SshConnectionArgs } from "./hostArgs";

/** How a model's folder reaches the host. */
export const ModelUpload = {
  /** On AWS through a bucket of the stack from 64 MiB on, otherwise over SSH. */
  Auto: "auto",
  /** Over SSH. */
  Ssh: "ssh",
  /** Through a bucket that the stack creates on AWS. */
  S3: "s3",
} as const;
export type ModelUpload = (typeof ModelUpload)[keyof typeof ModelUpload];

/** An integer from -255 to 255, or one of max (255), default (0), min (-255). */
export type Priority = number | "max" | "default" | "min";

/** Lowest precision that TensorRT may choose for a layer. */
export const EnginePrecision = {
  /** 32-bit floating point, TF32 where the GPU has it. */
  Fp32: "fp32",
  /** Also 16-bit floating point. */
  Fp16: "fp16",
  /** Also 8-bit integers, for a model that has scales of its own. */
  Best: "best",
} as const;
export type EnginePrecision = (typeof EnginePrecision)[keyof typeof EnginePrecision];

/**
 * Shapes of an input that the ONNX model leaves open, including the batch dimension; all three have as
 * many sizes.
 */
export interface EngineShapeArgs {
  /**
   * Name of an input whose shape can vary.
   * @example "input_ids"
   */
  input: pulumi.Input<string>;
  /**
   * Smallest shape, including the batch dimension.
   * @example [1, 384]
   */
  min: pulumi.Input<pulumi.Input<number>[]>;
  /**
   * Shape that the engine is optimised for.
   * @example [1, 384]
   */
  opt: pulumi.Input<pulumi.Input<number>[]>;
  /**
   * Largest shape.
   * @example [8, 384]
   */
  max: pulumi.Input<pulumi.Input<number>[]>;
}

/** How the `model.onnx` of each version folder becomes a TensorRT engine, on the GPU of the host. */
export interface EngineArgs {
  /**
   * Lowest precision that TensorRT may choose for a layer. `fp16` is about twice as fast; compare the
   * model's answers first.
   * @default "fp32"
   * @example fp16
   */
  precision?: pulumi.Input<EnginePrecision>;
  /**
   * Shapes of the inputs whose shape the ONNX model leaves open.
   * @default []
   */
  shapes?: pulumi.Input<EngineShapeArgs[]>;
  /**
   * GPU memory that TensorRT may use for one layer. More lets it consider more kernels. An integer
   * from 1 to 1048576 (MiB).
   * @default 4096
   */
  workspaceMiB?: pulumi.Input<number>;
  /**
   * Image with `trtexec` to build with. Its TensorRT must be the one of Triton's image: the same
   * NVIDIA release. Required if `runtime.build.base` is another release than 22.06. Cost: a download
   * of about 6 GB with the default.
   * @default "nvcr.io/nvidia/tensorrt:22.06-py3"
   * @example "registry.example.com/triton@sha256:…"
   */
  builder?: pulumi.Input<string>;
  /**
   * S3 prefix where hosts with the same kind of GPU share engines, each with its own credentials.
   * Whoever may write there decides what the hosts run.
   * @default the bucket that the models travel through, if they do; otherwise each host builds its own
   * @example "s3://my-bucket/engines"
   */
  shared?: pulumi.Input<string>;
}

/** Decides which other keys there are. */
export const VersionPolicyKind = {
  /** The highest versions. */
  Latest: "latest",
  /** Every version. */
  All: "all",
  /** The versions listed. */
  Specific: "specific",
} as const;
export type VersionPolicyKind = (typeof VersionPolicyKind)[keyof typeof VersionPolicyKind];

/** Which versions of a model are served. */
export interface VersionPolicyArgs {
  /** Decides which other keys there are. */
  kind: VersionPolicyKind;
  /**
   * With kind latest: How many of them. An integer from 1 to 4294967295.
   * @default 1
   */
  count?: pulumi.Input<number>;
  /**
   * With kind specific: Version numbers. Required.
   * @example [1]
   */
  versions?: pulumi.Input<pulumi.Input<number>[]>;
}

/** Where instances of a model run. */
export const InstanceKind = {
  /** On GPUs if there are any and the model can use them, otherwise on the CPU. */
  Auto: "auto",
  /** On GPUs. */
  Gpu: "gpu",
  /** On the CPU. */
  Cpu: "cpu",
  /** Wherever the model itself decides. */
  Model: "model",
} as const;
export type InstanceKind = (typeof InstanceKind)[keyof typeof InstanceKind];

/** A resource that executions hold. */
export interface RateLimiterResourceArgs {
  /**
   * Name of the resource.
   * @example "first"
   */
  name: pulumi.Input<string>;
  /**
   * Whether all devices share one pool of it.
   * @default false
   */
  global?: pulumi.Input<boolean>;
  /**
   * Units that one execution takes. An integer from 1 to 4294967295.
   * @example 1
   */
  count: pulumi.Input<number>;
}

/** Admission of executions. Triton honours it only with `--rate-limit=execution_count`. */
export interface RateLimiterArgs {
  /**
   * What one execution holds while it runs.
   * @default []
   */
  resources?: pulumi.Input<RateLimiterResourceArgs[]>;
  /**
   * Weight against other instances: 2 is admitted half as often as 1. Decides admission only; it does
   * not preempt. An integer from 1 to 4294967295.
   * @default as 1
   * @example 2
   */
  priority?: pulumi.Input<number>;
}

/** Copies of a model that run side by side. */
export interface InstanceGroupArgs {
  /**
   * Name of the group.
   * @default chosen by Triton
   * @example "first"
   */
  name?: pulumi.Input<string>;
  /**
   * Where the instances run.
   * @default "auto"
   */
  kind?: pulumi.Input<InstanceKind>;
  /**
   * Number of instances, per GPU where there are GPUs. An integer from 1 to 1024. Cost: GPU memory:
   * each instance has its own copy of the model.
   * @default 1
   */
  count?: pulumi.Input<number>;
  /**
   * GPUs to run on, as CUDA device indices; empty leaves the choice to Triton.
   * @default []
   * @example [0]
   */
  gpus?: pulumi.Input<pulumi.Input<number>[]>;
  /**
   * Admission of executions. Needs `"--rate-limit=execution_count"` in `server.extraFlags`.
   * @default no limit
   */
  rateLimiter?: pulumi.Input<RateLimiterArgs>;
}

/** What happens to a request that has waited too long. */
export const TimeoutAction = {
  /** Reject a request that has waited too long. */
  Reject: "reject",
  /** Serve it after those that have not. */
  Delay: "delay",
} as const;
export type TimeoutAction = (typeof TimeoutAction)[keyof typeof TimeoutAction];

/** Limits of a model's queue. */
export interface QueuePolicyArgs {
  /**
   * What happens to a request that has waited too long.
   * @default reject
   */
  timeoutAction?: pulumi.Input<TimeoutAction>;
  /**
   * How long a request may wait. An integer of 0 or more (microseconds).
   * @default no timeout
   * @example 100000
   */
  defaultTimeoutMicroseconds?: pulumi.Input<number>;
  /**
   * Whether a request may set its own timeout.
   * @default false
   */
  allowTimeoutOverride?: pulumi.Input<boolean>;
  /**
   * Requests that may wait; 0 means no limit. An integer from 0 to 4294967295.
   * @default no limit
   * @example 100
   */
  maxQueueSize?: pulumi.Input<number>;
}

/** Options of the dynamic batcher. */
export interface DynamicBatchingArgs {
  /**
   * Batch sizes to send off at once.
   * @default []
   * @example [4]
   */
  preferredBatchSizes?: pulumi.Input<pulumi.Input<number>[]>;
  /**
   * How long a request may wait for others to fill its batch. An integer of 0 or more (microseconds).
   * Cost: latency of the requests that wait.
   * @default 0
   * @example 100
   */
  maxQueueDelayMicroseconds?: pulumi.Input<number>;
  /**
   * Whether answers keep the order of the requests.
   * @default false
   */
  preserveOrdering?: pulumi.Input<boolean>;
  /**
   * Levels for requests within this one model; 1 is the most urgent. An integer from 1 to 4294967295.
   * @default one level
   * @example 2
   */
  priorityLevels?: pulumi.Input<number>;
  /**
   * Level of requests that name none. Needs `priorityLevels`. An integer from 1 to 4294967295.
   * @default none
   * @example 2
   */
  defaultPriorityLevel?: pulumi.Input<number>;
  /**
   * Limits of the queue.
   * @default no limits
   */
  queuePolicy?: pulumi.Input<QueuePolicyArgs>;
}

/** Triton's data types, without `TYPE_`. */
export const DataType = {
  /** 32-bit floating point. */
  FP32: "FP32",
  /** 16-bit floating point. */
  FP16: "FP16",
  /** 16-bit brain floating point. */
  BF16: "BF16",
  /** 64-bit floating point. */
  FP64: "FP64",
  /** 8-bit integer. */
  INT8: "INT8",
  /** 16-bit integer. */
  INT16: "INT16",
  /** 32-bit integer. */
  INT32: "INT32",
  /** 64-bit integer. */
  INT64: "INT64",
  /** 8-bit unsigned integer. */
  UINT8: "UINT8",
  /** 16-bit unsigned integer. */
  UINT16: "UINT16",
  /** 32-bit unsigned integer. */
  UINT32: "UINT32",
  /** 64-bit unsigned integer. */
  UINT64: "UINT64",
  /** True or false. */
  BOOL: "BOOL",
  /** Bytes. */
  STRING: "STRING",
} as const;
export type DataType = (typeof DataType)[keyof typeof DataType];

/** Decides which other keys there are. */
export const WarmupContentKind = {
  /** Zeros. */
  Zero: "zero",
  /** Random numbers. */
  Random: "random",
  /** A file in the model's `warmup` folder. */
  File: "file",
} as const;
export type WarmupContentKind = (typeof WarmupContentKind)[keyof typeof WarmupContentKind];

/** What an input of a warm-up request holds. */
export interface WarmupContentArgs {
  /** Decides which other keys there are. */
  kind: WarmupContentKind;
  /**
   * With kind file: Name of the file. Required.
   * @example "sample.bin"
   */
  file?: pulumi.Input<string>;
}

/** An input of a warm-up request. */
export interface WarmupInputArgs {
  /**
   * Name of the input.
   * @example "first"
   */
  name: pulumi.Input<string>;
  /** Triton's data type, without `TYPE_`. */
  dataType: pulumi.Input<DataType>;
  /**
   * Shape without the batch dimension.
   * @example [16]
   */
  dims: pulumi.Input<pulumi.Input<number>[]>;
  /**
   * What the input holds.
   * @default {"kind":"zero"}
   */
  content?: pulumi.Input<WarmupContentArgs>;
}

/** A request that Triton runs before it calls the model ready. */
export interface WarmupSampleArgs {
  /**
   * Name of the sample, for messages.
   * @example "first"
   */
  name: pulumi.Input<string>;
  /**
   * Batch size; 0 for a model that does not batch. An integer from 0 to 4294967295.
   * @default 0
   * @example 1
   */
  batchSize?: pulumi.Input<number>;
  /** Every input of the model. */
  inputs: pulumi.Input<WarmupInputArgs[]>;
}

/** A value. */
export type ParameterValue = string | number | boolean;

/** A model to serve. An option that is absent leaves the model's own `config.pbtxt` alone. */
export interface ModelArgs {
  /**
   * Name that clients use. The model's own `config.pbtxt` has the same name or none.
   * @example "my-model"
   */
  name: string;
  /**
   * Where the model's version folders (`1`, `2`, …) are and, if it has one, its `config.pbtxt`: a
   * folder relative to the project, or an S3 prefix that the host fetches from. For S3, both this
   * machine and the host need AWS credentials that may list and read it.
   * @example "models/my-model"
   */
  source: string;
  /**
   * How a folder's files reach the host. Through a bucket, only what has changed is uploaded and
   * fetched.
   * @default "auto"
   */
  upload?: ModelUpload;
  /**
   * Whether symbolic links in the folder may lead out of it and out of the project. What they lead to
   * is copied to the host, so allow it only for a folder that you trust.
   * @default false
   */
  allowOutsideLinks?: boolean;
  /**
   * How urgent the model's requests are: a larger number goes first on the GPU, and models of the same
   * number share. Rendered into the model's configuration as Triton's `optimization.priority` and as
   * the parameter `xsched_priority`. That of an ensemble applies to those models of its steps that
   * have none. An integer from -255 to 255, or one of max (255), default (0), min (-255).
   * @default 0
   * @example 200
   */
  priority?: pulumi.Input<Priority>;
  /**
   * Share of a GPU's time that the model's instances there get at least, all together, while they have
   * requests, however urgent other models are; 0: what those leave, which can be nothing. It comes in
   * slices of 2 ms, in which no other model starts work. The floors on a GPU come to at most 90. It
   * holds against all programs in the scheduling domain. Rendered into the model's configuration as
   * the parameter `xsched_floor`. An integer from 0 to 50 (percent). Cost: while the model has
   * requests, those of more urgent models can wait 2 ms longer, plus what the model has in flight.
   * @default 0
   * @example 10
   */
  floor?: pulumi.Input<number>;
  /**
   * What the model shares a GPU's time by with models of the same priority: of the time that the GPU
   * has for that priority, each of them that has requests gets a part in the ratio of the weights,
   * such as three quarters with 3 beside 1, all its instances together. They take turns of 2 ms.
   * Models of other priorities don't matter; neither does a weight that no other model of the priority
   * has. 0: no turns; the model runs whenever it can, beside those that have a weight. Rendered into
   * the model's configuration as the parameter `xsched_weight`. An integer from 0 to 100. Cost: a
   * request can wait for turns of other models of its priority until its own model has one.
   * @default 0
   * @example 3
   */
  weight?: pulumi.Input<number>;
  /**
   * Models that this one calls, so that they are loaded before it and removed after it. What the steps
   * of an ensemble need is known without it; name here what cannot be seen, such as the models that a
   * Python model calls.
   * @default []
   * @example [tokenizer]
   */
  dependsOn?: string[];
  /**
   * Text of the model's `config.pbtxt`, in place of the file in `source`.
   * @default the file in `source`
   * @example "max_batch_size: 8"
   */
  config?: pulumi.Input<string>;
  /**
   * Builds a TensorRT engine (`model.plan`) on the host's GPU, or one of the fleet's, from the
   * `model.onnx` of each version folder, and serves that. On a host, needs the runtime `container`.
   * Cost: minutes the first time; the models that were served before keep serving.
   * @default `source` has what is served
   */
  engine?: pulumi.Input<EngineArgs>;
  /**
   * Which versions are served.
   * @default the model's own, otherwise the latest
   */
  versionPolicy?: pulumi.Input<VersionPolicyArgs>;
  /**
   * Copies of the model that run side by side. Each serves one batch at a time.
   * @default the model's own, otherwise one instance
   */
  instanceGroups?: pulumi.Input<InstanceGroupArgs[]>;
  /**
   * Combines requests that arrive together into one batch. `{}` does so without waiting.
   * @default the model's own
   */
  dynamicBatching?: pulumi.Input<DynamicBatchingArgs>;
  /**
   * Requests that Triton runs before it calls the model ready.
   * @default the model's own
   */
  warmup?: pulumi.Input<WarmupSampleArgs[]>;
  /**
   * Parameters for the model's backend, in addition to those of its own `config.pbtxt`; the same name
   * replaces.
   * @default {}
   * @example { my_parameter: "text" }
   */
  parameters?: pulumi.Input<Record<string, pulumi.Input<ParameterValue>>>;
}

/** Models on a host. */
export interface ModelRepositoryArgs {
  /**
   * Absolute path of the host's folder: `directory` of a `TritonHost`.
   * @example "/srv/triton"
   */
  directory: pulumi.Input<string>;
  /**
   * The host, when it is not this machine.
   * @default this machine
   */
  ssh?: pulumi.Input<SshConnectionArgs>;
  /**
   * Whether `ssh` has a `proxyCommand`. Where that can change, as on an `AwsGpuHost`, it says so
   * either way, and what is on the host is kept.
   * @default it has none, and never will
   */
  proxied?: boolean;
  /**
   * What has changed on the host and has to be put right: `repairs` of a `TritonHost`.
   * @default what has changed on the host stays
   * @example "{}"
   */
  repairs?: pulumi.Input<string>;
  /** The models; their names are unique. */
  models: ModelArgs[];
  /**
   * Bucket that the folders of models travel through, as each model's `upload` says: `bucket` of a
   * `ModelBucket`. Built engines are shared there, too.
   * @default none: folders travel over SSH
   * @example "my-bucket"
   */
  bucket?: pulumi.Input<string>;
}

/** A bucket that models travel through. */
export interface ModelBucketArgs {
  /**
   * How long an overwritten or deleted file is kept. An integer from 1 to 3650 (days). Cost: AWS
   * charges for what is stored.
   * @default 30
   */
  keepDays?: pulumi.Input<number>;
  /**
   * Key of your own that the files are encrypted with.
   * @default S3's own
   * @example "arn:aws:kms:us-east-1:111122223333:key/01234567-89ab-cdef-0123-456789abcdef"
   */
  kmsKeyId?: pulumi.Input<string>;
  /**
   * Tags for everything that is created on AWS.
   * @default {}
   * @example { team: "inference" }
   */
  tags?: pulumi.Input<Record<string, pulumi.Input<string>>>;
}
