import { GPU_FAMILIES, gpuFamily, releasesOn } from "../../../components/settings";

/*
 * The stacks whose resources are replayed against moto, and whose policies are checked. A setting that makes or changes a
 * resource on AWS belongs into at least one of them.
 */

export interface StackCase {
  /** What it shows, in a few words. */
  readonly title: string;
  /** One of this project's stacks: `Pulumi.<base>.yaml`. */
  readonly base: "dev" | "prod" | "current";
  /** Name of the stack, where that matters. */
  readonly stack?: string;
  readonly region?: string;
  /** Keys of the stack config, each merged with that of `base`. */
  readonly settings?: Readonly<Record<string, object>>;
  /** Keys that are added to each model. */
  readonly everyModel?: Readonly<Record<string, unknown>>;
  /** In place of the base's. */
  readonly models?: readonly object[];
  /** A model in ONNX alone, in place of the base's. */
  readonly onnx?: boolean;
  /** The settings refuse it, with this in their message. */
  readonly refused?: RegExp;
  /** Whether the account has a default VPC; where it has none, there is the subnet `SUBNET` in a VPC of its own. */
  readonly defaultVpc?: boolean;
}

/** A bucket of the account, with any model at any prefix. */
export const BUCKET = "models-of-the-company";
/** The subnet of an account without a default VPC. */
export const SUBNET = "subnet-0123456789abcdef0";
export const ACCOUNT = "123456789012";

const NOTIFY = { monitoring: { notify: ["ops@example.com", "https://pager.example.com/alarm"] } };
/** `prod` as it was made before it had a network of its own, and as any stack in a network that exists. */
const OVER_SSH = { access: undefined, network: undefined, zones: undefined };
const PRIVATE = {
  ...OVER_SSH,
  subnetId: SUBNET,
  publicIp: "none",
  access: "sessionManager",
  createS3Endpoint: true,
};

/** A key of KMS, by which the replay knows one of its own. */
export const keyIn = (region: string, partition: string): string =>
  `arn:${partition}:kms:${region}:${ACCOUNT}:key/01234567-89ab-cdef-0123-456789abcdef`;

const clients = (count: number): string[] =>
  Array.from({ length: count }, (_, index) => `198.18.${index}.0/24`);
const gateway = (clientCidrs: readonly string[]): Record<string, object> => ({
  server: { address: "0.0.0.0" },
  gateway: { tls: "selfSigned", metrics: true },
  host: { clientCidrs },
});

const zonesIn = (region: string): object => ({ zones: [`${region}a`, `${region}b`] });
const throughNat = { network: { kind: "own", egress: "natGateway" } };

/** A boundary of the account, by which the replay knows its own. */
const boundaryIn = (partition: string): string =>
  `arn:${partition}:iam::${ACCOUNT}:policy/xsched-triton-boundary`;

/** A certificate, and the id of a hosted zone for example.com, by which the replay knows its own. */
const certificateIn = (region: string, partition: string): string =>
  `arn:${partition}:acm:${region}:${ACCOUNT}:certificate/01234567-89ab-cdef-0123-456789abcdef`;
const ZONE = "Z0123456789ABCDEFGHIJ";
const DOMAIN = { domainName: "triton.example.com" };

/** Everything that a stack can have at once. */
const everything = (region: string, partition: string): Omit<StackCase, "title"> => ({
  base: "prod",
  region,
  settings: {
    ...NOTIFY,
    ...gateway(clients(3)),
    host: {
      ...PRIVATE,
      clientCidrs: clients(3),
      kmsKeyId: keyIn(region, partition),
      permissionsBoundary: boundaryIn(partition),
      tags: { team: "inference" },
      loadBalancer: { ...DOMAIN, certificateArn: certificateIn(region, partition), hostedZoneId: ZONE },
    },
  },
  everyModel: { upload: "s3", floor: 10 },
  defaultVpc: false,
});

/** The instance types that the settings know. */
export const INSTANCE_TYPES: readonly string[] = Object.entries(GPU_FAMILIES).flatMap(([family, { sizes }]) =>
  sizes.map((size) => `${family}.${size}`),
);

/** `prod` with an instance type: with the newest release of Triton for its GPU, on an image with the GPU's driver. */
export const ofType = (instanceType: string): StackCase => ({
  title: instanceType,
  base: "prod",
  settings: {
    ...NOTIFY,
    host: {
      instanceType,
      ...(gpuFamily(instanceType)?.driver !== "open" && { ami: "ami-0123456789abcdef0" }),
    },
    runtime: {
      build: {
        variant: "hooked",
        base: `nvcr.io/nvidia/tritonserver:${releasesOn(instanceType).at(-1) ?? ""}-py3`,
      },
    },
  },
});

export const CASES: readonly StackCase[] = [
  { title: "dev", base: "dev" },
  { title: "prod", base: "prod", settings: NOTIFY },
  { title: "prod over SSH", base: "prod", settings: { ...NOTIFY, host: OVER_SSH } },
  { title: "current", base: "current" },
  {
    title: "a stack whose name has a point",
    base: "prod",
    stack: "prod.eu",
    region: "eu-central-1",
    settings: { ...NOTIFY, host: zonesIn("eu-central-1") },
  },
  {
    title: "a key of one's own",
    base: "prod",
    settings: { ...NOTIFY, host: { kmsKeyId: keyIn("us-east-1", "aws") } },
    everyModel: { upload: "s3" },
  },
  {
    title: "a key of one's own, on spot",
    base: "dev",
    settings: { host: { kmsKeyId: keyIn("us-east-1", "aws") } },
  },
  // Without a subnet, the preflight refuses it: test/unit/scripts/preflight.test.ts.
  {
    title: "no default VPC, but a subnet",
    base: "dev",
    defaultVpc: false,
    settings: { host: { subnetId: SUBNET } },
  },
  {
    title: "Session Manager in a private subnet",
    base: "prod",
    defaultVpc: false,
    settings: { ...NOTIFY, host: PRIVATE },
  },
  { title: "60 rules", base: "dev", settings: gateway(clients(19)) },
  {
    title: "70 rules",
    base: "dev",
    settings: gateway(clients(23)),
    refused: /at most 60 rules of IPv4 in the security group: these are 70/,
  },
  {
    title: "clients over IPv6",
    base: "dev",
    settings: { ...gateway(["2001:db8:1::/48", "198.18.0.0/24"]) },
  },
  {
    title: "choices",
    base: "dev",
    settings: {
      host: {
        instanceType: undefined,
        instanceTypes: ["g5.xlarge", "g4dn.xlarge"],
        zones: ["us-east-1b", "us-east-1a"],
        onDemandFallback: true,
      },
    },
  },
  {
    title: "a large volume, an address that changes, tags",
    base: "dev",
    settings: {
      host: {
        publicIp: "dynamic",
        volume: { size: 500, throughput: 1000, iops: 16000 },
        tags: { team: "inference", "cost center": "4711 / Größe" },
      },
    },
  },
  {
    title: "a boundary for roles",
    base: "prod",
    settings: { ...NOTIFY, host: { permissionsBoundary: boundaryIn("aws") } },
  },
  {
    title: "a network of its own, with a NAT gateway",
    base: "prod",
    settings: { ...NOTIFY, host: throughNat },
  },
  {
    title: "a network of its own in GovCloud",
    base: "prod",
    region: "us-gov-west-1",
    settings: { ...NOTIFY, host: { ...throughNat, ...zonesIn("us-gov-west-1") } },
  },
  ...["us-east-1", "cn-north-1"].map((region): StackCase => ({
    title: `models of a bucket of one's own, in a network of its own in ${region}`,
    base: "prod",
    region,
    settings: { ...NOTIFY, host: zonesIn(region) },
    models: [{ name: "bert", source: `s3://${BUCKET}/models/bert` }],
  })),
  {
    title: "more models in S3 than the inline policies of a role can name",
    base: "prod",
    region: "us-gov-west-1",
    settings: {
      ...NOTIFY,
      host: {
        ...zonesIn("us-gov-west-1"),
        kmsKeyId: keyIn("us-gov-west-1", "aws-us-gov"),
        permissionsBoundary: boundaryIn("aws-us-gov"),
      },
    },
    models: Array.from({ length: 250 }, (_, index) => ({
      name: `model-${index}`,
      source: `s3://${BUCKET}/models/model-${index}`,
    })),
  },
  {
    title: "an instance that stops, and a budget",
    base: "prod",
    region: "eu-central-1",
    settings: {
      ...NOTIFY,
      host: {
        ...OVER_SSH,
        idleStop: 60,
        schedule: {
          start: "cron(0 7 ? * MON-FRI *)",
          stop: "cron(0 19 ? * MON-FRI *)",
          timeZone: "Europe/Berlin",
        },
        budget: { amount: 500, notify: ["ops@example.com", "boss@example.com"] },
        kmsKeyId: keyIn("eu-central-1", "aws"),
        permissionsBoundary: boundaryIn("aws"),
      },
    },
  },
  {
    title: "an instance that stops by the clock in China",
    base: "prod",
    region: "cn-north-1",
    settings: { ...NOTIFY, host: { ...OVER_SSH, schedule: { stop: "cron(0 19 ? * MON-FRI *)" } } },
  },
  {
    title: "a load balancer in the default VPC",
    base: "dev",
    settings: {
      ...gateway(clients(3)),
      host: {
        clientCidrs: clients(3),
        loadBalancer: { ...DOMAIN, certificateArn: certificateIn("us-east-1", "aws") },
      },
    },
  },
  {
    title: "a load balancer in a network of its own",
    base: "prod",
    settings: {
      ...NOTIFY,
      ...gateway(clients(1)),
      host: {
        ...{ clientCidrs: clients(1), ...throughNat },
        loadBalancer: { ...DOMAIN, hostedZoneId: ZONE },
      },
    },
  },
  {
    title: "a load balancer on the internet, in a network of its own",
    base: "prod",
    settings: {
      ...NOTIFY,
      ...gateway(clients(1)),
      host: {
        ...{ clientCidrs: clients(1), ...throughNat },
        loadBalancer: { ...DOMAIN, hostedZoneId: ZONE, scheme: "internetFacing" },
      },
    },
  },
  {
    title: "a load balancer on the internet, in a VPC of others",
    base: "prod",
    region: "eu-central-1",
    defaultVpc: false,
    settings: {
      ...NOTIFY,
      server: { address: "0.0.0.0" },
      gateway: { tls: "selfSigned", tokens: [{ name: "batch", sha256: "a".repeat(64) }] },
      host: {
        ...{ ...PRIVATE, clientCidrs: ["0.0.0.0/0"] },
        loadBalancer: { ...DOMAIN, hostedZoneId: ZONE, scheme: "internetFacing", subnetIds: [SUBNET] },
      },
    },
  },
  { title: "models in a bucket", base: "dev", everyModel: { upload: "s3" } },
  {
    title: "engines that are shared in a bucket",
    base: "dev",
    onnx: true,
    everyModel: { upload: "s3", engine: {} },
  },
  {
    title: "monitoring at its limits",
    base: "prod",
    settings: {
      monitoring: {
        notify: ["ops@example.com"],
        dashboard: false,
        diskPercent: 99,
        gpuMemoryPercent: 100,
        notReadyMinutes: 60,
        logDays: 3653,
      },
    },
  },
  { title: "everything at once", ...everything("us-east-1", "aws") },
  { title: "everything at once in GovCloud", ...everything("us-gov-west-1", "aws-us-gov") },
  { title: "everything at once in China", ...everything("cn-north-1", "aws-cn") },
  {
    title: "spot with a key of one's own in China",
    base: "dev",
    region: "cn-northwest-1",
    settings: { host: { kmsKeyId: keyIn("cn-northwest-1", "aws-cn") } },
    everyModel: { upload: "s3" },
  },
];
