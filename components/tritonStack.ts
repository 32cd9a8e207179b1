import * as pulumi from "@pulumi/pulumi";

import { Gateway, type GatewayAccess } from "./gateway";
import {
  type AccessCommands,
  accessCommands,
  AwsGpuHost,
  type HostLocation,
  HostServices,
  type InstanceNetwork,
  servicesOf,
  TritonHost,
} from "./host";
import { EcrRepository, TritonImage } from "./image";
import { AwsLoadBalancer, type LoadBalancerNames } from "./loadBalancer";
import {
  type ModelAccess,
  modelAccess,
  ModelBucket,
  ModelRepository,
  renderKnownConfigs,
  travelsThroughBucket,
} from "./models";
import { AwsMonitoring } from "./observability";
import { type Endpoints, TritonServer } from "./server";
import {
  ComponentInputs,
  isLoopback,
  isStackConfig,
  type GatewayArgs,
  GatewayTls,
  type KnownSettings,
  LONGEST_DELAY,
  type SshConnectionArgs,
  stackRule,
  type TritonServerArgs,
  type TritonStackArgs,
} from "./settings";

/** A model that is served. */
export interface DeployedModel {
  /** Name in requests. */
  readonly name: string;
  /** How urgent its requests are: −255 to 255, larger first. */
  readonly priority: number;
}

/** An instance on AWS: what it is, and commands to copy. */
export interface InstanceAccess extends AccessCommands {
  /** Id of the instance. */
  readonly instanceId: string;
  /** Region of the instance. */
  readonly region: string;
  /** Type of the instance. */
  readonly instanceType: string;
  /** Availability zone of the instance. */
  readonly zone: string;
  /** Whether the instance is on spot capacity. */
  readonly onSpot: boolean;
  /** With several choices, those that AWS had no capacity for before it had this one, each with AWS's reason. */
  readonly passedOver: string[];
  /** Id of the machine image that the instance was created from. */
  readonly amiId: string;
  /** Name of the instance's role. */
  readonly roleName: string;
  /** Address of the instance. */
  readonly address: string;
  /** The network that the stack made for the instance. Absent without one. */
  readonly network?: InstanceNetwork;
  /** What the load balancer before the gateway is called. Absent without one. */
  readonly loadBalancer?: LoadBalancerNames;
  /** How the instance comes to stop on purpose. Absent where it does not. */
  readonly stops?: RunningTimes;
}

/** When an instance runs. */
export interface RunningTimes {
  /** Minutes without a request after which it stops itself; absent if it does not. */
  readonly idleMinutes?: number;
  /** When it starts by itself, a cron expression of AWS. */
  readonly start?: string;
  /** When it stops by itself. */
  readonly stop?: string;
  /** Time zone of both. */
  readonly timeZone?: string;
}

/**
 * A whole deployment from the keys of the stack config: the machine, Triton's image, the models, the server that serves
 * them at their priorities, and the monitoring.
 *
 * @example
 * ```ts
 * new TritonStack("inference", {
 *   models: [
 *     { name: "chat", source: "models/chat", priority: 200 },
 *     { name: "nightly", source: "models/nightly", priority: "min" },
 *   ],
 * });
 * ```
 */
export class TritonStack extends pulumi.ComponentResource {
  /** Where the deployment is: with the private key, all that `npm run status` needs. */
  public readonly host: pulumi.Output<HostLocation>;
  /** Where clients reach the server. */
  public readonly endpoints: pulumi.Output<Endpoints>;
  /** Where Triton itself answers, on the host only. */
  public readonly tritonEndpoints: pulumi.Output<Endpoints>;
  /** What clients need beside the address. Absent without a gateway. */
  public readonly gateway?: pulumi.Output<GatewayAccess>;
  /** The models that are served, with their priorities. */
  public readonly models: pulumi.Output<DeployedModel[]>;
  /** The instance of a host on AWS. */
  public readonly aws?: pulumi.Output<InstanceAccess>;
  /** Name of the dashboard; empty without one. Absent without monitoring. */
  public readonly dashboard?: pulumi.Output<string>;
  /** The private key to log in to a host on AWS with. A secret. */
  public readonly sshPrivateKey?: pulumi.Output<string>;

  public constructor(name: string, args: TritonStackArgs, opts?: pulumi.ComponentResourceOptions) {
    const inputs = new ComponentInputs("TritonStack", name, stackRule, args);
    const settings = inputs.known;
    renderKnownConfigs(inputs, settings.models);
    super(
      "xsched-triton:index:TritonStack",
      name,
      {},
      // What this component was called before it had all keys of the stack config.
      pulumi.mergeOptions(opts, { aliases: [{ type: "xsched-triton:index:TritonDeployment" }] }),
    );
    const { host, models, monitoring } = settings;
    const server = tritonItself(settings);
    /** In version 0.1.0, the parts of a stack's program had no parent. */
    const part = (former: string): pulumi.ComponentResourceOptions => ({
      parent: this,
      aliases: isStackConfig(args) ? [{ name: former, parent: pulumi.rootStackResource }] : [],
    });

    const bucket =
      host.kind === "aws" && models.some(travelsThroughBucket)
        ? new ModelBucket(
            `${name}-model-files`,
            { kmsKeyId: host.kmsKeyId, tags: host.tags },
            part("model-files"),
          ).bucket
        : undefined;
    const registry = ownRegistry(`${name}-registry`, settings, part("registry"));
    const machine =
      host.kind === "aws"
        ? awsMachine(
            `${name}-machine`,
            host,
            {
              clientPorts: clientPorts(settings),
              repositoryArn: registry?.arn,
              ...modelAccess(models, bucket, { parent: this }),
              services: servicesOf({
                container: settings.runtime.kind === "container",
                cloudwatch: monitoring.kind === "cloudwatch",
              }),
            },
            part("machine"),
          )
        : undefined;
    const reach = { ssh: machine?.ssh ?? sshConnectionOf(host), proxied: machine?.proxied };
    // Everything on the host is deleted with its instance.
    const onHost = (former: string): pulumi.ComponentResourceOptions => ({
      ...part(former),
      deletedWith: machine?.instance,
    });

    const folder = new TritonHost(`${name}-host`, { directory: host.directory, ...reach }, onHost("host"));
    const { repairs } = folder;
    // On AWS, models are put on the host only when its services run, which mount the right disk.
    const services =
      host.kind === "aws"
        ? new HostServices(
            `${name}-services`,
            {
              directory: folder.directory,
              ...reach,
              repairs,
              spot: host.spot,
              metrics: monitoring.kind !== "none",
              idleStop: host.idleStop,
              drainAtShutdown: mayStop(host),
              gateway: hasGateway(settings),
            },
            onHost("services"),
          )
        : undefined;
    const directory = services?.directory ?? folder.directory;
    const image = runtimeImage(`${name}-image`, settings, registry, part("image"));
    const repository = new ModelRepository(
      `${name}-models`,
      { directory, ...reach, repairs, models: settings.models, bucket },
      onHost("models"),
    );
    const served = new TritonServer(
      `${name}-server`,
      {
        ...{ directory, ...reach, repairs, models: repository.models },
        ...server,
        gateway: hasGateway(settings),
        schedulerRequired: settings.scheduler.required,
        schedulerDomain: settings.scheduler.domain,
        ...containerArgs(settings, image, registry),
      },
      // A server that clients reach does not leave its ports before the gateway can have them.
      { ...onHost("server"), dependsOn: services },
    );
    const gateway = hasGateway(settings)
      ? new Gateway(
          `${name}-gateway`,
          { directory, ...reach, repairs, ...gatewayArgs(settings) },
          { parent: this, deletedWith: machine?.instance, dependsOn: served },
        )
      : undefined;

    const balancer = loadBalancer(`${name}-lb`, settings, machine, {
      parent: this,
      // Nobody is sent to a server that does not serve yet.
      dependsOn: gateway,
    });

    this.host = folder.location;
    this.endpoints = balancer?.endpoints ?? gateway?.endpoints ?? served.endpoints;
    this.tritonEndpoints = served.endpoints;
    this.gateway = balancer === undefined ? gateway?.access : gateway?.access.apply(throughBalancer);
    this.models = pulumi.all(
      repository.models.map(({ name: called, priority }) => ({ name: called, priority })),
    );
    if (machine !== undefined && host.kind === "aws") {
      this.aws = accessTo(machine, host, settings, balancer);
      this.sshPrivateKey = machine.privateKey;
      this.dashboard = monitor(
        `${name}-monitoring`,
        settings,
        { machine, directory, server, balancer },
        onHost("monitoring"),
      )?.dashboardName;
    }
    this.registerOutputs(this.outputs);
  }

  /** The outputs that are defined: Pulumi warns about each one that is not. */
  public get outputs(): Record<string, unknown> {
    const { host, endpoints, tritonEndpoints, gateway, models, aws, dashboard, sshPrivateKey } = this;
    const all = { host, endpoints, tritonEndpoints, gateway, models, aws, dashboard, sshPrivateKey };
    return Object.fromEntries(Object.entries(all).filter(([, value]) => value !== undefined));
  }
}

type AwsHost = Extract<KnownSettings["host"], { kind: "aws" }>;

type ServerSettings = KnownSettings["server"];

/**
 * Whether clients reach Triton through a gateway. Where `address` is known only later, `enabled` has to say so: without a
 * gateway, the server refuses any address but a loopback one.
 */
function hasGateway({ gateway: { enabled }, server: { address } }: KnownSettings): boolean {
  return enabled ?? (typeof address === "string" && !isLoopback(address));
}

/** The server as Triton itself is told: behind a gateway, only the host reaches it, at other ports. */
function tritonItself(settings: KnownSettings): ServerSettings {
  const { server, gateway } = settings;
  if (!hasGateway(settings)) return server;
  const { http, grpc, metrics } = gateway.upstreamPorts;
  return { ...server, address: "127.0.0.1", httpPort: http, grpcPort: grpc, metricsPort: metrics };
}

/** The ports that clients reach, of a gateway alone. */
function clientPorts(settings: KnownSettings): pulumi.Input<number>[] {
  if (!hasGateway(settings)) return [];
  const { httpPort, grpcPort, metricsPort } = settings.server;
  return [httpPort, grpcPort, ...(settings.gateway.metrics ? [metricsPort] : [])];
}

function gatewayArgs({
  gateway: { enabled, ...gateway },
  server: { address, httpPort, grpcPort, metricsPort },
}: KnownSettings): Omit<GatewayArgs, "directory"> {
  return { ...gateway, address, httpPort, grpcPort, metricsPort };
}

/** The repository for the image of a host on AWS, if the image is built and no other repository is named. */
function ownRegistry(
  name: string,
  { host, runtime }: KnownSettings,
  opts: pulumi.ComponentResourceOptions,
): EcrRepository | undefined {
  if (host.kind !== "aws" || runtime.kind !== "container") return undefined;
  const { build } = runtime;
  if (build === undefined || build.repository !== undefined) return undefined;
  const { kmsKeyId, tags, protect } = host;
  return new EcrRepository(
    name,
    { keepImages: build.keepImages, forceDelete: !protect, kmsKeyId, tags },
    { ...opts, protect },
  );
}

/** The load balancer before the gateway of a host on AWS, if there is to be one. */
function loadBalancer(
  name: string,
  { host, runtime, server, gateway }: KnownSettings,
  machine: AwsGpuHost | undefined,
  opts: pulumi.ComponentResourceOptions,
): AwsLoadBalancer | undefined {
  if (host.kind !== "aws" || host.loadBalancer === undefined) return undefined;
  if (machine?.loadBalancer === undefined) throw new Error("a load balancer without a place for it");
  const { subnetIds: given, ...wanted } = host.loadBalancer;
  const { vpcId, subnetIds, securityGroupId } = machine.loadBalancer;
  const { httpPort, grpcPort, metricsPort } = server;
  const certificate = gateway.certificate ?? gateway.certificateFile;
  return new AwsLoadBalancer(
    name,
    {
      ...wanted,
      ...{ vpcId, subnetIds, securityGroupId, httpPort, grpcPort, metricsPort },
      ...{ instanceId: machine.instanceId, region: machine.region },
      metrics: gateway.metrics,
      tls: pulumi
        .output(gateway.tls)
        .apply((tls) => (tls === undefined ? certificate !== undefined : tls !== GatewayTls.Off)),
      drainSeconds: pulumi
        .all([server.exitTimeoutSeconds, runtime.kind === "container" ? runtime.drainSeconds : 0])
        .apply(([exit, drain]) => Math.min(exit + drain, LONGEST_DELAY)),
      protect: host.protect,
      tags: host.tags,
    },
    opts,
  );
}

/** What clients need who come through a load balancer, whose certificate is that of an authority that they know. */
function throughBalancer(access: GatewayAccess): GatewayAccess {
  return { ...access, tls: GatewayTls.Certificate, certificate: "" };
}

/** What a machine on AWS serves, and what it may do. */
interface MachineUse extends ModelAccess {
  readonly clientPorts: pulumi.Input<number>[];
  readonly repositoryArn: pulumi.Input<string> | undefined;
  readonly services: string[];
}

function awsMachine(
  name: string,
  { kind, directory, idleStop, ...instance }: AwsHost,
  use: MachineUse,
  opts: pulumi.ComponentResourceOptions,
): AwsGpuHost {
  return new AwsGpuHost(name, { ...instance, ...use }, opts);
}

function sshConnectionOf(host: KnownSettings["host"]): SshConnectionArgs | undefined {
  if (host.kind !== "ssh") return undefined;
  const { address, port, user, privateKey, hostKey } = host;
  return { address, port, user, privateKey, hostKey };
}

/** The image of a container; undefined for a process. */
function runtimeImage(
  name: string,
  { runtime }: KnownSettings,
  own: EcrRepository | undefined,
  opts: pulumi.ComponentResourceOptions,
): TritonImage | undefined {
  if (runtime.kind === "process") return undefined;
  const { image, build, registry, signature, publicKey } = runtime;
  if (build === undefined) return new TritonImage(name, { image, registry, publicKey }, opts);
  const { repository = own?.repository, keepImages, ...options } = build;
  if (repository === undefined) throw new Error("a build without a repository passed the checks");
  return new TritonImage(
    name,
    { build: { repository, ...options }, registry: own?.login ?? registry, signature },
    opts,
  );
}

/** How a container is run. */
function containerArgs(
  { runtime }: KnownSettings,
  image: TritonImage | undefined,
  own: EcrRepository | undefined,
): Partial<TritonServerArgs> {
  if (runtime.kind !== "container" || image === undefined) return {};
  const { kind, image: named, build, registry, signature, publicKey, ...options } = runtime;
  return {
    image: image.reference,
    ...options,
    ...(own === undefined ? { registry } : { registryByRole: true }),
  };
}

/** Whether a machine stops on purpose, other than by hand. */
const mayStop = ({ idleStop, schedule }: AwsHost): boolean =>
  idleStop !== undefined || schedule !== undefined;

function runningTimes({ idleStop, schedule }: AwsHost): RunningTimes {
  const { start, stop, timeZone } = schedule ?? {};
  const all = { idleMinutes: idleStop, start, stop, timeZone };
  return Object.fromEntries(Object.entries(all).filter(([, value]) => value !== undefined));
}

function accessTo(
  machine: AwsGpuHost,
  host: AwsHost,
  settings: KnownSettings,
  balancer: AwsLoadBalancer | undefined,
): pulumi.Output<InstanceAccess> {
  const { instanceId, region, amiId, roleName, address, hostKey } = machine;
  const { instanceType, zone, onSpot, passedOver, proxyCommand, network } = machine;
  // A tunnel leads to Triton itself, and begins at the ports that clients know.
  const [near, far] = [settings.server, tritonItself(settings)];
  const ports = (["httpPort", "grpcPort", "metricsPort"] as const).map((key) => ({
    local: near[key],
    onHost: far[key],
  }));
  return pulumi
    .all([
      pulumi.output({ instanceId, region, instanceType, zone, onSpot, passedOver, amiId, roleName, address }),
      pulumi.output({ user: host.user, hostKey, ports, proxyCommand }),
      pulumi.output(network),
      pulumi.output(balancer?.names),
    ])
    .apply(([known, login, own, names]) => ({
      ...known,
      ...(own !== undefined && { network: own }),
      ...(names !== undefined && { loadBalancer: names }),
      ...accessCommands({ ...known, ...login }),
      ...(mayStop(host) && { stops: runningTimes(host) }),
    }));
}

/** What is watched. */
interface Watched {
  readonly machine: AwsGpuHost;
  readonly directory: pulumi.Output<string>;
  readonly server: ServerSettings;
  readonly balancer: AwsLoadBalancer | undefined;
}

/** The models for which a value, which may be known only later, is not 0. */
function namesOf(
  models: KnownSettings["models"],
  value: (model: KnownSettings["models"][number]) => pulumi.Input<number>,
): pulumi.Output<string[]> {
  return pulumi
    .all(models.map(value))
    .apply((known) => models.filter((_, index) => known[index] !== 0).map(({ name }) => name));
}

function monitor(
  name: string,
  settings: KnownSettings,
  { machine, directory, server, balancer }: Watched,
  opts: pulumi.ComponentResourceOptions,
): AwsMonitoring | undefined {
  const { host, runtime, models, monitoring } = settings;
  if (monitoring.kind === "none" || host.kind !== "aws") return undefined;
  const { kind, ...watched } = monitoring;
  const { instanceId, region, roleName, volumeKeyId, ssh, proxied } = machine;
  return new AwsMonitoring(
    name,
    {
      ...watched,
      ...{ instanceId, region, roleName, volumeKeyId, directory, ssh, proxied },
      kmsKeyId: host.kmsKeyId,
      permissionsBoundary: host.permissionsBoundary,
      spot: host.spot,
      stops: mayStop(host),
      scheduleGroup: machine.scheduleGroup,
      loadBalancer: balancer?.metrics,
      container: runtime.kind === "container",
      gateway: hasGateway(settings),
      tritonMetrics: pulumi
        .all([server.address, server.metricsPort])
        .apply(([address, port]) => `${address.includes(":") ? `[${address}]` : address}:${port}`),
      models: models.map((model) => model.name),
      floors: namesOf(models, ({ floor }) => floor),
      weights: namesOf(models, ({ weight }) => weight),
      tags: host.tags,
    },
    opts,
  );
}
