import { type Choice, choicesOf, isAllowed } from "../../components/host/aws/choices";
import { servicesOf, SESSION_SERVICES } from "../../components/host/aws/endpointServices";
import { type EcrLocation, ecrLocation, s3Location, type Settings } from "../../components/settings";

import { lackingLoadBalancer, type WantedLoadBalancer } from "./loadBalancer";

/** A resource in a stack's state. */
export interface StateResource {
  readonly type: string;
  readonly id?: string;
  readonly inputs?: Readonly<Record<string, unknown>>;
  readonly outputs?: Readonly<Record<string, unknown>>;
}

/** What an `up` will ask of AWS. */
export interface Wanted {
  /** Where the instance may be launched, the preferred choice first; empty if it is there, and only the rest is asked for. */
  readonly choices: readonly Choice[];
  /** Which settings name the choices. */
  readonly keys: { readonly type: string; readonly zone: string };
  readonly subnetId: string | undefined;
  /** Whether the instance is to be in a network of the stack's own, and whether that has to be made. */
  readonly ownNetwork: "none" | "new" | "there";
  /** What needs endpoints, and the zone that they are to be in. */
  readonly endpoints: { readonly services: readonly string[]; readonly zone: string } | undefined;
  readonly ami: string | undefined;
  readonly kmsKeyId: string | undefined;
  readonly s3Endpoint: boolean;
  /** What needs one more elastic address, if anything does. */
  readonly address: "none" | "instance" | "natGateway";
  /** The repository that its image is pushed to, if it is one of ECR: its own, or the name of another. */
  readonly registry: "none" | "own" | EcrLocation;
  /** Buckets of others that it reads. */
  readonly buckets: readonly string[];
  /** Whether the instance is reached through Session Manager. */
  readonly sessions: boolean;
  /** The load balancer that it lacks. */
  readonly loadBalancer: WantedLoadBalancer | undefined;
  /** The instance that serves until the new one has booted. */
  readonly replaces: string | undefined;
}

/** What an `up` asks for when it launches an instance or makes a load balancer; undefined if the stack has what its settings describe. */
export function wantedOf(settings: Settings, resources: readonly StateResource[]): Wanted | undefined {
  const { host, runtime, models } = settings;
  if (host.kind !== "aws") return undefined;
  const instance = resources.find(({ type }) => type === "aws:ec2/instance:Instance");
  const loadBalancer = lackingLoadBalancer(settings, resources);
  const isThere = instance !== undefined && isAsWanted(host, instance, resources);
  if (isThere && loadBalancer === undefined) return undefined;
  const { subnetId, ami, kmsKeyId } = host;
  return {
    ...{ choices: isThere ? [] : choicesOf(host), subnetId, ami, kmsKeyId, loadBalancer },
    keys: {
      type: host.instanceTypes === undefined ? "host.instanceType" : "host.instanceTypes",
      zone: host.zones === undefined ? "host.zone" : "host.zones",
    },
    s3Endpoint:
      host.createS3Endpoint && !resources.some(({ type }) => type.startsWith("aws:ec2/vpcEndpoint:")),
    address: lackingAddress(host, resources),
    ownNetwork: ownNetworkOf(host, resources),
    endpoints: endpointsOf(settings),
    registry: runtime.kind === "container" ? registryOf(runtime.build) : "none",
    buckets: bucketsOf(models),
    sessions: host.access === "sessionManager",
    replaces: instance?.id,
  };
}

type AwsHost = Extract<Settings["host"], { kind: "aws" }>;

/** What needs an elastic address that the stack does not have: the instance, or the way out of its network. */
function lackingAddress(
  { network, publicIp = "elastic" }: AwsHost,
  resources: readonly StateResource[],
): Wanted["address"] {
  const addresses = resources.filter(({ type }) => type === "aws:ec2/eip:Eip");
  const ofInstance = addresses.some(({ inputs }) => inputs?.instance !== undefined);
  if (network.kind === "own") {
    const ofNatGateway = addresses.some(({ inputs }) => inputs?.instance === undefined);
    return network.egress === "natGateway" && !ofNatGateway ? "natGateway" : "none";
  }
  return publicIp === "elastic" && !ofInstance ? "instance" : "none";
}

function ownNetworkOf({ network }: AwsHost, resources: readonly StateResource[]): Wanted["ownNetwork"] {
  if (network.kind !== "own") return "none";
  const made = resources.some(
    ({ type, inputs }) => type === "aws:ec2/vpc:Vpc" && inputs?.cidrBlock === network.cidr,
  );
  return made ? "there" : "new";
}

function endpointsOf({ host, runtime, monitoring }: Settings): Wanted["endpoints"] {
  if (host.kind !== "aws" || host.network.kind !== "own" || host.network.egress !== "endpoints") {
    return undefined;
  }
  const container = runtime.kind === "container";
  const services = servicesOf({ container, cloudwatch: monitoring.kind === "cloudwatch" });
  return { services: [...SESSION_SERVICES, ...services], zone: host.zones?.[0] ?? host.zone ?? "" };
}

/** Whether an instance is in the network that it is to be in. */
function isInPlace(host: AwsHost, subnetId: unknown, resources: readonly StateResource[]): boolean {
  if (host.network.kind !== "own") return subnetId === host.subnetId;
  const subnets = resources.filter(({ type }) => type === "aws:ec2/subnet:Subnet");
  return ownNetworkOf(host, resources) === "there" && subnets.some(({ id }) => id === subnetId);
}

/** Whether nothing has changed that replaces an instance (components/host/aws/awsGpuHost.ts). */
function isAsWanted(
  host: AwsHost,
  { inputs = {}, outputs = {} }: Pick<StateResource, "inputs" | "outputs">,
  resources: readonly StateResource[],
): boolean {
  const volume = outputs.rootBlockDevice as { readonly kmsKeyId?: unknown } | undefined;
  return (
    isAllowed(placeOf({ inputs, outputs }), choicesOf(host)) &&
    isInPlace(host, inputs.subnetId, resources) &&
    (host.ami === undefined || inputs.ami === host.ami) &&
    (host.kmsKeyId === undefined || volume?.kmsKeyId === host.kmsKeyId)
  );
}

/** Where an instance is. */
function placeOf({ inputs = {}, outputs = {} }: Pick<StateResource, "inputs" | "outputs">): Choice {
  return {
    instanceType: String(inputs.instanceType),
    zone: (inputs.availabilityZone ?? outputs.availabilityZone) as string | undefined,
    spot: inputs.instanceMarketOptions !== undefined,
  };
}

function registryOf(build: { readonly repository: string | undefined } | undefined): Wanted["registry"] {
  if (build === undefined) return "none";
  if (build.repository === undefined) return "own";
  return ecrLocation(build.repository) ?? "none";
}

function bucketsOf(models: Settings["models"]): string[] {
  const sources = models.flatMap(({ source, engine }) => [source, engine?.shared]);
  const buckets = sources.flatMap((source) => (source === undefined ? [] : [s3Location(source)?.bucket]));
  return [...new Set(buckets.filter((bucket) => bucket !== undefined))];
}
