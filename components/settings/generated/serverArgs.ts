// Generated from the rules in components/settings by `npm run generate`; do not edit.
import type * as pulumi from "@pulumi/pulumi";

import type { SshConnectionArgs } from "./hostArgs";
import type { Priority } from "./modelArgs";
import type { RegistryLoginArgs } from "./imageArgs";

/** A model on the host, as `ModelRepository` has stored it. */
export interface ServedModelArgs {
  /**
   * Name of the model.
   * @example "my-model"
   */
  name: string;
  /**
   * Which stored state of the model is served.
   * @example "0123456789abcdef"
   */
  digest: pulumi.Input<string>;
  /**
   * The same for states that differ in priority, floor and weight alone, which a running scheduler
   * takes without a load of the model.
   * @default each change is a load
   * @example "0123456789abcdef"
   */
  loadDigest?: pulumi.Input<string>;
  /**
   * The model's priority: the most urgent is loaded first. An integer from -255 to 255, or one of max
   * (255), default (0), min (-255).
   * @default "default"
   * @example max
   */
  priority?: pulumi.Input<Priority>;
  /**
   * The model's floor. An integer from 0 to 50 (percent).
   * @default 0
   * @example 10
   */
  floor?: pulumi.Input<number>;
  /**
   * The model's weight among models of its priority. An integer from 0 to 100.
   * @default 0
   * @example 3
   */
  weight?: pulumi.Input<number>;
  /**
   * Models that are loaded before this one.
   * @default []
   * @example ["my-model"]
   */
  dependsOn?: pulumi.Input<pulumi.Input<string>[]>;
}

/** How much Triton logs. Each level includes the ones before it. */
export const LogLevel = {
  /** Errors only. */
  Error: "error",
  /** Errors and warnings. */
  Warning: "warning",
  /** Also which models are loaded. */
  Info: "info",
  /** Also every request. */
  Verbose: "verbose",
} as const;
export type LogLevel = (typeof LogLevel)[keyof typeof LogLevel];

/** How Triton runs, and what it serves. */
export interface TritonServerArgs {
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
  /** The models to serve: `models` of a `ModelRepository`. */
  models: ServedModelArgs[];
  /**
   * TCP port for inference over HTTP. An integer from 1 to 65535.
   * @default 8000
   */
  httpPort?: pulumi.Input<number>;
  /**
   * TCP port for inference over gRPC. An integer from 1 to 65535.
   * @default 8001
   */
  grpcPort?: pulumi.Input<number>;
  /**
   * TCP port for metrics in Prometheus format. An integer from 1 to 65535.
   * @default 8002
   */
  metricsPort?: pulumi.Input<number>;
  /**
   * Loopback address on which Triton opens its ports. A `Gateway` opens others.
   * @default "127.0.0.1"
   */
  address?: pulumi.Input<string>;
  /**
   * How much Triton logs. Cost: `verbose` costs throughput.
   * @default "info"
   */
  logLevel?: pulumi.Input<LogLevel>;
  /**
   * How long requests in flight may take to finish when Triton stops. An integer from 0 to 3600
   * (seconds).
   * @default 30
   */
  exitTimeoutSeconds?: pulumi.Input<number>;
  /**
   * Size of the log; older lines are dropped. An integer from 1 to 10000 (MiB).
   * @default 20
   */
  logMegabytes?: pulumi.Input<number>;
  /**
   * How long a model may take to become ready. An integer from 1 to 86400 (seconds).
   * @default 300
   */
  loadTimeoutSeconds?: pulumi.Input<number>;
  /**
   * Further flags of tritonserver, each `--name` or `--name=value`.
   * @default []
   * @example ["--pinned-memory-pool-byte-size=268435456"]
   */
  extraFlags?: pulumi.Input<pulumi.Input<string>[]>;
  /**
   * Whether clients reach the server through a `Gateway` on the same host. Without one, the server
   * takes over the ports of a former gateway.
   * @default false
   */
  gateway?: pulumi.Input<boolean>;
  /**
   * How long the container keeps serving before it stops, while Docker reports it as unhealthy: for a
   * load balancer that watches its health. An integer from 0 to 3600 (seconds). Cost: adds to the time
   * of every change that restarts Triton.
   * @default 0
   * @example 10
   */
  drainSeconds?: pulumi.Input<number>;
  /**
   * How much memory of the machine the container may use, with what it writes to `/dev/shm`, which
   * takes up to half of it, or 1 GiB. Beyond that, the kernel ends Triton, which starts again. An
   * integer from 1 to 65536 (GiB).
   * @default nearly all of the machine: a twentieth is left to the rest of it
   * @example 48
   */
  memoryGiB?: pulumi.Input<number>;
  /**
   * Folders in the container that models write to, besides `/tmp`, `/var/tmp`, `/run`, `/root` and
   * `/home`. Everything else is read-only. What is written there lasts as long as the container.
   * @default []
   * @example ["/opt/models/cache"]
   */
  writablePaths?: pulumi.Input<pulumi.Input<string>[]>;
  /**
   * Whether Triton must refuse to become ready when its models would run unscheduled. Needs an image
   * that includes the XSched core; a process runs on the CPU and has nothing to schedule.
   * @default true on a GPU host, false for the runtime `process`
   */
  schedulerRequired?: pulumi.Input<boolean>;
  /**
   * Scheduling domain: the containers of a host with the same one, and all processes in them, share
   * one order of priorities on each GPU. They must run as the same user and trust each other. With
   * `none`, each process schedules by itself.
   * @default a domain of this deployment's own
   * @example "shared"
   */
  schedulerDomain?: pulumi.Input<string>;
  /**
   * Image to run Triton from, as `repository@sha256:…`: `reference` of a `TritonImage`. Without it
   * Triton runs as a process of the host's user, on the CPU, from a package that is installed in the
   * host's folder.
   * @default a process without Docker
   * @example "registry.example.com/triton@sha256:…"
   */
  image?: pulumi.Input<string>;
  /**
   * How the host logs in to the image's registry.
   * @default Docker's own log-in on the host
   */
  registry?: pulumi.Input<RegistryLoginArgs>;
  /**
   * Whether the host logs in to the image's registry, which must be Amazon ECR, with the role of its
   * instance. Not with `registry`.
   * @default false
   */
  registryByRole?: pulumi.Input<boolean>;
}
