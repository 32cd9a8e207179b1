// Generated from the rules in components/settings by `npm run generate`; do not edit.
import type * as pulumi from "@pulumi/pulumi";

import type {
  AwsBudgetArgs,
  AwsNetworkArgs,
  AwsScheduleArgs,
  AwsVolumeArgs,
  HostAccess,
  LoadBalancerArgs,
  PublicIp,
} from "./hostArgs";
import type { ImageSignatureArgs, ImageVariant, RegistryLoginArgs } from "./imageArgs";
import type { LogLevel } from "./serverArgs";
import type { ClientTokenArgs, GatewayLimitsArgs, GatewayTls, UpstreamPortsArgs } from "./gatewayArgs";
import type { ModelArgs } from "./modelArgs";

/** Decides which other keys there are. */
export const HostKind = {
  /** This machine. */
  Local: "local",
  /** An existing machine, over SSH. */
  Ssh: "ssh",
  /** An EC2 instance that the stack creates. */
  Aws: "aws",
} as const;
export type HostKind = (typeof HostKind)[keyof typeof HostKind];

/** The machine that Triton runs on. */
export interface HostArgs {
  /**
   * Decides which other keys there are.
   * @default "local"
   */
  kind?: HostKind;
  /**
   * With kind local: Folder for everything that the deployment puts on this machine, relative to the
   * project. Deleted with the deployment. With kind ssh: Folder for everything that the deployment
   * puts on the machine, relative to the user's home. Deleted with the deployment. With kind aws:
   * Folder for everything that the deployment puts on the machine, relative to the user's home.
   * @default ".local/hosts/<stack>" (local), ".xsched-triton-<stack>" (ssh or aws)
   * @example ".xsched-triton"
   */
  directory?: pulumi.Input<string>;
  /**
   * With kind ssh: Host name or IP address. Required.
   * @example "gpu1.example.com"
   */
  address?: pulumi.Input<string>;
  /**
   * With kind ssh: TCP port of the SSH server. An integer from 1 to 65535.
   * @default 22
   */
  port?: pulumi.Input<number>;
  /**
   * With kind ssh: User to log in as. Must be allowed to use Docker when Triton runs in a container.
   * With kind aws: User of the machine image that may use sudo and Docker.
   * @default "root" (ssh), "ubuntu" (aws)
   * @example "ubuntu"
   */
  user?: pulumi.Input<string>;
  /** With kind ssh: Private key of the user, without a passphrase. A secret. Required. */
  privateKey?: pulumi.Input<string>;
  /**
   * With kind ssh: Public key of the machine, as in a `known_hosts` file without the host name. A
   * machine with another key is refused. Required.
   * @example "ssh-ed25519 AAAA…"
   */
  hostKey?: pulumi.Input<string>;
  /**
   * With kind aws: EC2 instance type with NVIDIA GPUs: p3dn, g4dn, p4d, p4de, g5 for Triton 22.06;
   * g4dn, p4d, p4de, g5, g6, g6e, g6f, gr6, gr6f, p5, p5e, p5en, p6-b200, p6-b300, g7, g7e for 26.09.
   * Changing it replaces the instance and everything on it. One of `instanceType` and `instanceTypes`
   * is required. Cost: by the hour.
   * @default the first of `instanceTypes` that AWS has capacity for
   * @example "g4dn.xlarge"
   */
  instanceType?: pulumi.Input<string>;
  /**
   * With kind aws: Instance types to choose from, the preferred one first: the first that AWS has
   * capacity for is taken, and kept as long as it is in the list. Instead of `instanceType`. Cost: by
   * the hour, at the price of the type that is taken.
   * @default `instanceType` alone
   * @example [g5.xlarge, g4dn.xlarge]
   */
  instanceTypes?: string[];
  /**
   * With kind aws: How this machine reaches the instance. `sessionManager` needs the AWS CLI and its
   * Session Manager plugin here, and the right to start sessions (docs/how-to/aws.md). A change keeps
   * the instance and what it serves. Cost: free; in a private subnet, the endpoints that it needs.
   * @default "ssh"
   * @example sessionManager
   */
  access?: HostAccess;
  /**
   * With kind aws: IP address ranges that may connect over SSH. The machine that deploys must be in
   * one of them. Required with `access: ssh`, and only there.
   * @default none, with `access: sessionManager`
   * @example ["203.0.113.7/32"]
   */
  adminCidrs?: pulumi.Input<pulumi.Input<string>[]>;
  /**
   * With kind aws: Whether `adminCidrs` may include the whole internet.
   * @default false
   */
  allowPublicSsh?: pulumi.Input<boolean>;
  /**
   * With kind aws: IP address ranges that may reach the ports of the gateway, which `server.address`
   * must let in. With none, Triton is reached through a tunnel only.
   * @default []
   * @example ["203.0.113.0/24"]
   */
  clientCidrs?: pulumi.Input<pulumi.Input<string>[]>;
  /**
   * With kind aws: Whether to use spare capacity. AWS can stop the instance at two minutes' notice and
   * starts it again when there is capacity. Cost: usually about half of the on-demand price.
   * @default false
   */
  spot?: boolean;
  /**
   * With kind aws: With `spot`: whether the instance is launched on demand if no choice has spare
   * capacity. An instance that is on demand stays so until it is replaced. Cost: the on-demand price.
   * @default false
   */
  onDemandFallback?: boolean;
  /**
   * With kind aws: Whether AWS and Pulumi refuse to terminate or replace the instance. Not with
   * `spot`.
   * @default false
   */
  protect?: boolean;
  /**
   * With kind aws: Address at which the instance is reached. Cost: a public IPv4 address costs about
   * $4 a month.
   * @default `elastic`, or `none` in a network of its own
   */
  publicIp?: PublicIp;
  /**
   * With kind aws: The root volume, which is encrypted and of type gp3.
   * @default {}
   */
  volume?: pulumi.Input<AwsVolumeArgs>;
  /**
   * With kind aws: Key of your own for all that the stack stores on AWS: the root volume, the
   * parameter with the host key, the models' bucket, the image's repository, logs and the alarms'
   * topic. Its key policy must let CloudWatch use it (docs/how-to/aws.md). Another key replaces the
   * instance and the repository. Cost: KMS charges for each key and for requests.
   * @default AWS's own keys; for the volume, the account's default key for EBS
   * @example "arn:aws:kms:us-east-1:111122223333:key/01234567-89ab-cdef-0123-456789abcdef"
   */
  kmsKeyId?: pulumi.Input<string>;
  /**
   * With kind aws: The network of the instance (docs/how-to/aws.md). Another kind replaces the
   * instance.
   * @default {"kind":"existing"}
   * @example { kind: own }
   */
  network?: AwsNetworkArgs;
  /**
   * With kind aws: Policy that limits what the roles that the stack makes can be allowed
   * (docs/reference/permissions.md). A change is made in place. Cost: free.
   * @default none
   * @example "arn:aws:iam::111122223333:policy/xsched-triton-boundary"
   */
  permissionsBoundary?: pulumi.Input<string>;
  /**
   * With kind aws: A network load balancer with a DNS name and a certificate, through which alone
   * clients reach the gateway (docs/how-to/aws.md). It needs `clientCidrs`, which it lets in, and a
   * gateway. A change keeps the instance and what it serves. Cost: list prices for us-east-1 in May
   * 2026: $0.0225 an hour, about $16 a month, and $0.006 for each capacity unit an hour.
   * @default clients reach the gateway at the instance's address
   */
  loadBalancer?: LoadBalancerArgs;
  /**
   * With kind aws: Subnet of the instance.
   * @default one of the default VPC
   * @example "subnet-0123456789abcdef0"
   */
  subnetId?: pulumi.Input<string>;
  /**
   * With kind aws: Whether to create a gateway endpoint for S3 for the instance's subnet, which a
   * subnet without access to the internet needs. Its route table must not have one already. Cost:
   * free.
   * @default false
   */
  createS3Endpoint?: boolean;
  /**
   * With kind aws: Availability zone, for when others are short of capacity. Not with `subnetId`.
   * @default any
   * @example "us-east-1a"
   */
  zone?: pulumi.Input<string>;
  /**
   * With kind aws: Availability zones to choose from, the preferred one first. With several instance
   * types, the first type is tried in each zone before the second. Instead of `zone`; not with
   * `subnetId`.
   * @default `zone` alone, or any
   * @example [us-east-1a, us-east-1b]
   */
  zones?: string[];
  /**
   * With kind aws: Machine image: Debian or Ubuntu with an NVIDIA driver that Triton's release runs on
   * (515 or newer for 22.06, 580 for 26.09), Docker, NVIDIA's container toolkit, cloud-init and the
   * AWS CLI. Changing it replaces the instance.
   * @default AWS's Deep Learning Base AMI with Ubuntu 22.04, the newest when the instance is created
   * @example "ami-0123456789abcdef0"
   */
  ami?: pulumi.Input<string>;
  /**
   * With kind aws: Tags for everything that is created on AWS.
   * @default {}
   * @example { team: "inference" }
   */
  tags?: pulumi.Input<Record<string, pulumi.Input<string>>>;
  /**
   * With kind aws: When the instance starts and stops by itself, by Amazon EventBridge Scheduler. Not
   * with `publicIp: dynamic`. Cost: while it is stopped, the volume and the elastic address cost what
   * they always do.
   * @default it runs until somebody stops it
   * @example { start: "cron(0 7 ? * MON-FRI *)", stop: "cron(0 19 ? * MON-FRI *)", timeZone:
   * Europe/Berlin }
   */
  schedule?: AwsScheduleArgs;
  /**
   * With kind aws: Whom AWS Budgets tells what everything with the stack's tags costs. Both tags must
   * be activated for cost allocation once in the account (docs/how-to/aws.md). Cost: free.
   * @default nobody is told
   * @example { amount: 500, notify: [ops@example.com] }
   */
  budget?: AwsBudgetArgs;
  /**
   * With kind aws: Stop the instance when nobody has asked a model for this long and no work is under
   * way on a GPU. `npm run wake` or `schedule` starts it again, with its models (docs/how-to/aws.md).
   * Longer than an image takes to build and models take to upload. Not with `publicIp: dynamic`. An
   * integer from 10 to 10080 (minutes). Cost: while it is stopped, the volume and the elastic address
   * cost what they always do.
   * @default never
   * @example 60
   */
  idleStop?: number;
}

/** Decides which other keys there are. */
export const RuntimeKind = {
  /** A tritonserver process, without Docker; CPU only. */
  Process: "process",
  /** A Docker container. */
  Container: "container",
} as const;
export type RuntimeKind = (typeof RuntimeKind)[keyof typeof RuntimeKind];

/** What the stack's image is built from. */
export interface StackImageBuildArgs {
  /**
   * Repository that the image is pushed to, with its registry's address and without a tag. The images
   * stay there when the deployment is deleted, since others may use them.
   * @default one that the stack creates, if `host.kind` is `aws`; otherwise required
   * @example "registry.example.com/triton"
   */
  repository?: string;
  /**
   * How models are scheduled.
   * @default `patched` if `base` is Triton 22.06, otherwise `hooked`
   */
  variant?: pulumi.Input<ImageVariant>;
  /**
   * Triton image to add XSched to, by tag or digest. `patched` fits Triton 22.06 only. The digest of a
   * tag is looked up once and kept in the stack's state. Cost: a download of about 14 GB with the
   * default.
   * @default "nvcr.io/nvidia/tritonserver:22.06-py3"
   * @example "registry.example.com/triton@sha256:…"
   */
  base?: pulumi.Input<string>;
  /**
   * Image to compile in, by tag or digest; not part of the result. Its C library must be the one of
   * `base` or older, and for `patched` it must have the headers and libraries of CUDA and TensorRT.
   * g++, CMake, make and Python are installed if they are missing.
   * @default `nvcr.io/nvidia/tritonserver:22.06-py3-min` for `patched`, otherwise
   * `docker.io/library/ubuntu:20.04`
   * @example "docker.io/library/ubuntu:20.04"
   */
  builder?: pulumi.Input<string>;
  /**
   * When this changes, the tags of `base` and `builder` are looked up again. Cost: if a tag has moved,
   * a new image, and with it a restart of Triton.
   * @default each tag is looked up once
   * @example "2026-11-28"
   */
  tagsAsOf?: pulumi.Input<string>;
  /**
   * Whether the image carries BuildKit's provenance (SLSA): what it was built from, by digest, and
   * how.
   * @default true
   */
  provenance?: pulumi.Input<boolean>;
  /**
   * Whether the image carries an SBOM (SPDX): the packages in it. `sbomGenerator` makes it during the
   * build. Cost: the generator reads the whole image, which takes minutes with the default base.
   * @default true
   */
  sbom?: pulumi.Input<boolean>;
  /**
   * Image that makes the SBOM, by digest: one that follows BuildKit's SBOM protocol.
   * @default
   * "docker.io/docker/buildkit-syft-scanner:1.11.0@sha256:79e7b013cbec16bbb436f312819a49a4a57752b2270c1a9332ae1a10fcc82a68"
   * @example "registry.example.com/triton@sha256:…"
   */
  sbomGenerator?: pulumi.Input<string>;
  /**
   * How many images to keep in the repository that the stack creates, the newest. They include the
   * image that runs and the one before it. An integer from 2 to 1000. Cost: AWS charges for what is
   * stored.
   * @default 10
   */
  keepImages?: pulumi.Input<number>;
}

/** What Triton runs in. */
export interface RuntimeArgs {
  /**
   * Decides which other keys there are.
   * @default "process"
   */
  kind?: RuntimeKind;
  /**
   * With kind container: Triton's image, ready to run: `repository@sha256:…` or `repository:tag`. A
   * tag is resolved to its digest by each `up`.
   * @default built by `build`
   * @example "registry.example.com/triton@sha256:…"
   */
  image?: pulumi.Input<string>;
  /**
   * With kind container: Builds a Triton image with the XSched core, with the Docker of this machine,
   * and pushes it.
   * @default `image` exists already
   */
  build?: StackImageBuildArgs;
  /**
   * With kind container: How to log in to the image's registry, here and on the host.
   * @default Docker's own log-in on each of the two
   */
  registry?: pulumi.Input<RegistryLoginArgs>;
  /**
   * With kind container: How an image that is built is signed, with cosign 3 on the machine that
   * deploys.
   * @default it is not signed
   */
  signature?: pulumi.Input<ImageSignatureArgs>;
  /**
   * With kind container: Public key that `image` must be signed with. The signature is checked on the
   * machine that deploys, with cosign 3, before a host pulls the image.
   * @default its digest alone counts
   * @example "-----BEGIN PUBLIC KEY-----…"
   */
  publicKey?: pulumi.Input<string>;
  /**
   * With kind container: How long the container keeps serving before it stops, while Docker reports it
   * as unhealthy: for a load balancer that watches its health. An integer from 0 to 3600 (seconds).
   * Cost: adds to the time of every change that restarts Triton.
   * @default 0
   * @example 10
   */
  drainSeconds?: pulumi.Input<number>;
  /**
   * With kind container: How much memory of the machine the container may use, with what it writes to
   * `/dev/shm`, which takes up to half of it, or 1 GiB. Beyond that, the kernel ends Triton, which
   * starts again. An integer from 1 to 65536 (GiB).
   * @default nearly all of the machine: a twentieth is left to the rest of it
   * @example 48
   */
  memoryGiB?: pulumi.Input<number>;
  /**
   * With kind container: Folders in the container that models write to, besides `/tmp`, `/var/tmp`,
   * `/run`, `/root` and `/home`. Everything else is read-only. What is written there lasts as long as
   * the container.
   * @default []
   * @example ["/opt/models/cache"]
   */
  writablePaths?: pulumi.Input<pulumi.Input<string>[]>;
}

/** Settings of tritonserver. */
export interface ServerArgs {
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
   * Address of the host on which the ports are opened. On an address that others can reach, it is the
   * gateway that opens them, and `gateway.tls` must be decided; Triton's own ports stay on 127.0.0.1.
   * @default "127.0.0.1"
   * @example "0.0.0.0"
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
}

/** What clients reach Triton through. */
export interface StackGatewayArgs {
  /**
   * Whether clients reach Triton through a gateway. Always on an address that others can reach.
   * @default true if `server.address` is not a loopback address
   */
  enabled?: boolean;
  /**
   * What protects the connections of clients.
   * @default `certificate` where one is given, otherwise `off` on a loopback address; required on any
   * other
   */
  tls?: pulumi.Input<GatewayTls>;
  /**
   * File on the machine that deploys with the gateway's certificate and those that lead from it to its
   * authority. Needs `keyFile`.
   * @default `certificate`, or none
   * @example "tls/chain.pem"
   */
  certificateFile?: pulumi.Input<string>;
  /**
   * File on the machine that deploys with the private key of `certificateFile`. Its content is kept in
   * the stack's state, encrypted.
   * @default `key`, or none
   * @example "tls/key.pem"
   */
  keyFile?: pulumi.Input<string>;
  /**
   * As `certificateFile`, the text itself.
   * @default `certificateFile`, or none
   * @example "-----BEGIN CERTIFICATE-----…"
   */
  certificate?: pulumi.Input<string>;
  /**
   * Private key of `certificate`. A secret.
   * @default `keyFile`, or none
   */
  key?: pulumi.Input<string>;
  /**
   * File on the machine that deploys with the certificates of authorities. Only clients with a
   * certificate of theirs are let in. Needs TLS.
   * @default clients need no certificate
   * @example "tls/clients.pem"
   */
  clientCaFile?: pulumi.Input<string>;
  /**
   * As `clientCaFile`, the text itself.
   * @default clients need no certificate
   * @example "-----BEGIN CERTIFICATE-----…"
   */
  clientCa?: pulumi.Input<string>;
  /**
   * Tokens of which each request needs one, except for those to the health of the server. With none,
   * whoever reaches the ports can use the models.
   * @default []
   */
  tokens?: pulumi.Input<ClientTokenArgs[]>;
  /**
   * Whether clients can read the metrics, at the metrics port. They tell the names of all models and
   * how busy they are.
   * @default false
   */
  metrics?: boolean;
  /**
   * What the gateway refuses of clients, before it reaches Triton.
   * @default {}
   */
  limits?: pulumi.Input<GatewayLimitsArgs>;
  /**
   * Triton's own ports on 127.0.0.1 of the host, behind the gateway.
   * @default {}
   */
  upstreamPorts?: UpstreamPortsArgs;
  /**
   * Whether streams over gRPC pass where the host's HAProxy is older than 2.5, such as that of Ubuntu
   * 22.04, and cannot look into their messages: one message with a wrong shape can then end a model.
   * Newer ones look into each message, whatever this says.
   * @default false
   */
  uncheckedStreams?: pulumi.Input<boolean>;
  /**
   * Whether each request is logged on the host: who, when, what was asked, how it ended; never its
   * content.
   * @default true
   */
  accessLog?: pulumi.Input<boolean>;
}

/** Settings of the GPU scheduler. */
export interface SchedulerArgs {
  /**
   * Whether Triton must refuse to become ready when its models would run unscheduled. Needs an image
   * that includes the XSched core; a process runs on the CPU and has nothing to schedule.
   * @default true on a GPU host, false for the runtime `process`
   */
  required?: pulumi.Input<boolean>;
  /**
   * Scheduling domain: the containers of a host with the same one, and all processes in them, share
   * one order of priorities on each GPU. They must run as the same user and trust each other. With
   * `none`, each process schedules by itself.
   * @default a domain of this deployment's own
   * @example "shared"
   */
  domain?: pulumi.Input<string>;
}

/** Decides which other keys there are. */
export const MonitoringKind = {
  /** Nobody. */
  None: "none",
  /** Amazon CloudWatch, for a host on AWS: metrics, logs, alarms and a dashboard. */
  Cloudwatch: "cloudwatch",
} as const;
export type MonitoringKind = (typeof MonitoringKind)[keyof typeof MonitoringKind];

/** Who watches the deployment. */
export interface MonitoringArgs {
  /**
   * Decides which other keys there are.
   * @default "none"
   */
  kind?: MonitoringKind;
  /**
   * With kind cloudwatch: Email addresses and https URLs that are notified of alarms. Each first gets
   * a message from Amazon SNS and must confirm it. Required.
   * @example ["ops@example.com"]
   */
  notify?: string[];
  /**
   * With kind cloudwatch: Whether to create a dashboard. Cost: CloudWatch charges for each dashboard.
   * @default true
   */
  dashboard?: boolean;
  /**
   * With kind cloudwatch: Alarm when a disk of the host is this full. An integer from 1 to 99
   * (percent).
   * @default 85
   */
  diskPercent?: pulumi.Input<number>;
  /**
   * With kind cloudwatch: Alarm when this much of a GPU's memory is in use. Reloading a model takes
   * its memory twice for a moment. An integer from 1 to 100 (percent).
   * @default 95
   */
  gpuMemoryPercent?: pulumi.Input<number>;
  /**
   * With kind cloudwatch: Alarm when Triton or one of its models has not been ready, or the host has
   * not been heard of, for this long. An integer from 1 to 60 (minutes).
   * @default 3
   */
  notReadyMinutes?: pulumi.Input<number>;
  /**
   * With kind cloudwatch: How long logs are kept. One of the days that CloudWatch knows: 1, 3, 5, 7,
   * 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922, 3288, 3653
   * (days). Cost: CloudWatch charges for storage.
   * @default 30
   */
  logDays?: pulumi.Input<number>;
}

/** The keys of the stack config. */
export interface TritonStackArgs {
  /**
   * The machine that Triton runs on.
   * @default {"kind":"local"}
   */
  host?: HostArgs;
  /**
   * What Triton runs in.
   * @default {"kind":"process"}
   */
  runtime?: RuntimeArgs;
  /**
   * Settings of tritonserver. A change restarts it.
   * @default {}
   */
  server?: ServerArgs;
  /**
   * What clients reach Triton through where they are not on the host; see docs/how-to/gateway.md. A
   * change does not touch Triton.
   * @default {}
   */
  gateway?: StackGatewayArgs;
  /**
   * Settings of the GPU scheduler.
   * @default {}
   */
  scheduler?: SchedulerArgs;
  /**
   * The models to serve. Changing one does not touch the others.
   * @default []
   */
  models?: ModelArgs[];
  /**
   * Who watches the deployment; see docs/reference/monitoring.md.
   * @default {"kind":"none"}
   */
  monitoring?: MonitoringArgs;
}
