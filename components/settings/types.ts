import * as pulumi from "@pulumi/pulumi";

/*
 * What a deployment is made of, after all checks: every value is present, in range and in the unit that its name
 * says. The keys, defaults and ranges of the stack config stand in schema.ts.
 */

export interface Settings {
  readonly host: HostSettings;
  readonly runtime: RuntimeSettings;
  readonly server: ServerSettings;
  readonly scheduler: SchedulerSettings;
  readonly models: readonly ModelSettings[];
  readonly monitoring: MonitoringSettings;
}

/** The machine that Triton runs on. */
export type HostSettings = LocalHostSettings | SshHostSettings | AwsHostSettings;

export interface LocalHostSettings {
  readonly kind: "local";
  /** Absolute path of the folder for everything that the deployment leaves on this machine. */
  readonly directory: string;
}

export interface SshHostSettings {
  readonly kind: "ssh";
  /** Folder on the machine, absolute or relative to the user's home. */
  readonly directory: string;
  /** Host name or IP address. */
  readonly address: string;
  /** TCP port of the SSH server. */
  readonly port: number;
  readonly user: string;
  /** Private key in PEM or OpenSSH form; a secret. */
  readonly privateKey: pulumi.Output<string>;
  /** The machine's public key, `ssh-ed25519 AAAA…`, without a comment. */
  readonly hostKey: string;
}

/** An EC2 instance that the stack makes. */
export interface AwsHostSettings {
  readonly kind: "aws";
  /** Folder on the machine, absolute or relative to the user's home. */
  readonly directory: string;
  readonly instanceType: string;
  /** Ranges of IP addresses that may connect over SSH. */
  readonly adminCidrs: readonly string[];
  /** Whether `adminCidrs` may let in the whole internet. */
  readonly allowPublicSsh: boolean;
  /** Ranges of IP addresses that may reach the ports for inference. */
  readonly clientCidrs: readonly string[];
  readonly spot: boolean;
  /** Whether AWS and Pulumi refuse to terminate the instance. */
  readonly protect: boolean;
  readonly publicIp: PublicIp;
  readonly volume: AwsVolumeSettings;
  readonly subnetId: string | undefined;
  /** Whether the stack makes a gateway endpoint for S3 for the subnet. */
  readonly createS3Endpoint: boolean;
  readonly zone: string | undefined;
  readonly ami: string | undefined;
  readonly user: string;
  readonly tags: Readonly<Record<string, string>>;
}

/** The public address of an instance: one that stays, one that changes with each stop, or none. */
export type PublicIp = "elastic" | "dynamic" | "none";

/** A root volume of type gp3. */
export interface AwsVolumeSettings {
  /** GiB. */
  readonly size: number;
  /** MiB/s. */
  readonly throughput: number;
  readonly iops: number;
}

/** Who watches the deployment. */
export type MonitoringSettings = { readonly kind: "none" } | CloudWatchSettings;

export interface CloudWatchSettings {
  readonly kind: "cloudwatch";
  /** Email addresses and https URLs that are told of alarms. */
  readonly notify: readonly string[];
  readonly diskPercent: number;
  readonly gpuMemoryPercent: number;
  readonly notReadyMinutes: number;
  readonly logDays: number;
  readonly dashboard: boolean;
}

/** What Triton runs in. */
export type RuntimeSettings = ProcessRuntimeSettings | ContainerRuntimeSettings;

/** A tritonserver process of the deploying user, without Docker and without a GPU. */
export interface ProcessRuntimeSettings {
  readonly kind: "process";
}

/** A container of an image that exists, or of one that is built; exactly one of the two is there. */
export interface ContainerRuntimeSettings {
  readonly kind: "container";
  /** `repository@sha256:…` or `repository:tag` */
  readonly image: string | undefined;
  readonly build: ImageBuildSettings | undefined;
  readonly registry: RegistryLogin | undefined;
  /** Seconds for which the container serves on before it stops. */
  readonly drainSeconds: number;
}

/** How models are scheduled: by their own priority, or by the CUDA priority of their streams. */
export type ImageVariant = "patched" | "transparent";

export interface ImageBuildSettings {
  /** With the registry's address, without a tag; undefined for the one that the stack makes on AWS. */
  readonly repository: string | undefined;
  /** Images that the repository on AWS keeps. */
  readonly keepImages: number | undefined;
  readonly variant: ImageVariant;
  /** Image of Triton that is added to. */
  readonly base: string;
  /** Image to compile in; the variant's own if undefined. */
  readonly builder: string | undefined;
}

/** How to log in to a registry. */
export interface RegistryLogin {
  readonly username: string;
  /** A secret. */
  readonly password: pulumi.Output<string>;
}

export type LogLevel = "error" | "warning" | "info" | "verbose";

export interface ServerSettings {
  readonly httpPort: number;
  readonly grpcPort: number;
  readonly metricsPort: number;
  /** Address of the host that the three ports are opened on. */
  readonly address: string;
  readonly logLevel: LogLevel;
  /** Seconds that requests in flight get to finish when Triton stops. */
  readonly exitTimeoutSeconds: number;
  /** Mebibytes that the log may take; older lines are dropped. */
  readonly logMegabytes: number;
  /** Seconds that a model may take until it is ready. */
  readonly loadTimeoutSeconds: number;
  /** Further arguments of tritonserver, each `--name` or `--name=value`. */
  readonly extraFlags: readonly string[];
}

export type SchedulingPolicy = "HPF";

/** When Triton must refuse to become ready because its models would run unscheduled. */
export type SchedulerRequirement = "always" | "onGpu" | "never";

export interface SchedulerSettings {
  readonly required: SchedulerRequirement;
  readonly policy: SchedulingPolicy;
}

/** One model of the repository. An option that is undefined leaves the model's own config.pbtxt alone. */
export interface ModelSettings {
  readonly name: string;
  /** Absolute path of the model's folder on this machine, or `s3://bucket/prefix`. */
  readonly source: string;
  /** How a folder's files come to the host. */
  readonly upload: ModelUpload;
  /** −255 to 255; a larger one is more urgent. */
  readonly priority: number;
  /** How to build the TensorRT engine on the host; undefined if `source` has what is served. */
  readonly engine: EngineSettings | undefined;
  readonly versionPolicy: VersionPolicy | undefined;
  readonly instanceGroups: readonly InstanceGroup[] | undefined;
  readonly dynamicBatching: DynamicBatching | undefined;
  readonly warmup: readonly WarmupSample[] | undefined;
  /** Parameters for the model's backend, in the order of the stack config; keys are unique. */
  readonly parameters: readonly ModelParameter[];
}

/** How a folder on this machine comes to a host on AWS: over SSH, through a bucket, or by its size. */
export type ModelUpload = "auto" | "ssh" | "s3";

export type EnginePrecision = "fp32" | "fp16" | "best";

/** How the ONNX model of each version folder becomes a TensorRT engine. */
export interface EngineSettings {
  readonly precision: EnginePrecision;
  /** Of inputs whose shape the ONNX model leaves open. */
  readonly shapes: readonly EngineShape[];
  /** Mebibytes of GPU memory for the work of one layer. */
  readonly workspaceMiB: number;
  /** Image with `trtexec`, by tag or digest. */
  readonly builder: string;
  /** `s3://bucket/prefix` where hosts share what they have built. */
  readonly shared: string | undefined;
}

/** Shapes of an input, the batch dimension included; all three have as many sizes. */
export interface EngineShape {
  readonly input: string;
  readonly min: readonly number[];
  readonly opt: readonly number[];
  readonly max: readonly number[];
}

/** Which of a model's versions are served. */
export type VersionPolicy =
  | { readonly kind: "latest"; readonly count: number }
  | { readonly kind: "all" }
  | { readonly kind: "specific"; readonly versions: readonly number[] };

export type InstanceKind = "auto" | "gpu" | "cpu" | "model";

/** Copies of a model that run side by side. */
export interface InstanceGroup {
  readonly name: string | undefined;
  readonly kind: InstanceKind;
  /** Instances, per GPU where `gpus` are given. */
  readonly count: number;
  /** CUDA device indices; empty leaves the choice to Triton. */
  readonly gpus: readonly number[];
  readonly rateLimiter: RateLimiter | undefined;
}

/** Admission of executions; Triton heeds it with `--rate-limit=execution_count` only. */
export interface RateLimiter {
  readonly resources: readonly RateLimiterResource[];
  /** Weight against other instances; one of priority 2 is admitted half as often as one of priority 1. */
  readonly priority: number | undefined;
}

export interface RateLimiterResource {
  readonly name: string;
  /** Whether all devices share one pool of the resource. */
  readonly global: boolean;
  /** Units that one execution takes. */
  readonly count: number;
}

export interface DynamicBatching {
  readonly preferredBatchSizes: readonly number[];
  readonly maxQueueDelayMicroseconds: number | undefined;
  readonly preserveOrdering: boolean | undefined;
  /** Levels 1 (most urgent) to this number, for requests within this one model. */
  readonly priorityLevels: number | undefined;
  readonly defaultPriorityLevel: number | undefined;
  readonly queuePolicy: QueuePolicy | undefined;
}

export type TimeoutAction = "reject" | "delay";

export interface QueuePolicy {
  readonly timeoutAction: TimeoutAction | undefined;
  readonly defaultTimeoutMicroseconds: number | undefined;
  readonly allowTimeoutOverride: boolean | undefined;
  /** Requests that may wait; undefined means no limit. */
  readonly maxQueueSize: number | undefined;
}

/** A request that Triton runs before it calls the model ready. */
export interface WarmupSample {
  readonly name: string;
  readonly batchSize: number | undefined;
  readonly inputs: readonly WarmupInput[];
}

export interface WarmupInput {
  readonly name: string;
  readonly dataType: DataType;
  /** Shape without the batch dimension. */
  readonly dims: readonly number[];
  readonly content: WarmupContent;
}

export type WarmupContent =
  | { readonly kind: "zero" }
  | { readonly kind: "random" }
  /** A file in the model's `warmup` folder. */
  | { readonly kind: "file"; readonly file: string };

/** Triton's data types without their `TYPE_`. */
export type DataType =
  | "BOOL"
  | "UINT8"
  | "UINT16"
  | "UINT32"
  | "UINT64"
  | "INT8"
  | "INT16"
  | "INT32"
  | "INT64"
  | "FP16"
  | "FP32"
  | "FP64"
  | "STRING"
  | "BF16";

export interface ModelParameter {
  readonly key: string;
  readonly value: string;
}
