import {
  GPU_FAMILIES,
  isGpuType,
  isOpenToTheWorld,
  otherAccelerator,
  OWN_TAGS,
} from "../components/settings";

/*
 * The checks find faults in a resource's properties. They use the functions and tables that also check a stack's
 * settings. They skip a property that a preview does not know yet; the update checks it again.
 */

/** Properties, as the engine passes them. */
export type Properties = Readonly<Record<string, unknown>>;

/** One line each: what is wrong, and what to do. */
export type Violations = readonly string[];

export interface Resource {
  readonly type: string;
  readonly name: string;
  readonly props: Properties;
}

interface Opening {
  readonly from: unknown;
  readonly to: unknown;
  readonly ranges: readonly unknown[];
}

/**
 * Ports that a security group, or one rule of it, opens to the internet.
 *
 * @param allowed ports that are meant to be open
 */
export function publicIngress({ type, props }: Resource, allowed: readonly number[]): Violations {
  return openings(type, props).flatMap(({ from, to, ranges }) => {
    const meant = from === to && typeof from === "number" && allowed.includes(from);
    return ranges
      .filter((range): range is string => typeof range === "string" && isOpenToTheWorld(range) && !meant)
      .map(
        (range) =>
          `${ports(from, to)} open to ${range}: allow only the ranges that need it (host.adminCidrs, host.clientCidrs)`,
      );
  });
}

function openings(type: string, props: Properties): readonly Opening[] {
  const of = (rule: Properties): Opening => ({
    from: rule.fromPort,
    to: rule.toPort,
    ranges: [
      ...listOf(rule.cidrBlocks),
      ...listOf(rule.ipv6CidrBlocks),
      ...[rule.cidrIpv4, rule.cidrIpv6].filter((range) => range !== undefined),
    ],
  });
  switch (type) {
    case "aws:ec2/securityGroup:SecurityGroup":
    case "aws:ec2/defaultSecurityGroup:DefaultSecurityGroup":
      return listOf(props.ingress).map((rule) => of(objectOf(rule)));
    case "aws:ec2/securityGroupRule:SecurityGroupRule":
      return props.type === "ingress" ? [of(props)] : [];
    case "aws:vpc/securityGroupIngressRule:SecurityGroupIngressRule":
      return [of(props)];
    default:
      return [];
  }
}

function ports(from: unknown, to: unknown): string {
  if (typeof from !== "number" || typeof to !== "number" || (from <= 0 && to <= 0)) return "every port is";
  return from === to ? `port ${from} is` : `ports ${from} to ${to} are`;
}

/** Settings with which a process that can be tricked into a request leaks the instance's credentials. */
export function metadataService({ type, props }: Resource): Violations {
  if (type !== "aws:ec2/instance:Instance" && type !== "aws:ec2/launchTemplate:LaunchTemplate") return [];
  const { httpTokens, httpPutResponseHopLimit } = objectOf(props.metadataOptions);
  return [
    ...(httpTokens === "required"
      ? []
      : [
          "the metadata service answers without a token: set metadataOptions.httpTokens to required (IMDSv2)",
        ]),
    ...(httpPutResponseHopLimit === 1
      ? []
      : ["containers can reach the metadata service: set metadataOptions.httpPutResponseHopLimit to 1"]),
  ];
}

/** Unencrypted disks and registries, and registries whose content can be swapped. */
export function encryption({ type, props }: Resource): Violations {
  switch (type) {
    case "aws:ec2/instance:Instance":
      return [
        { place: "rootBlockDevice", device: props.rootBlockDevice },
        ...listOf(props.ebsBlockDevices).map((device) => ({ place: "ebsBlockDevices", device })),
      ]
        .filter(({ device }) => objectOf(device).encrypted !== true)
        .map(({ place }) => `a disk is not encrypted: set ${place}.encrypted to true`);
    case "aws:ebs/volume:Volume":
      return props.encrypted === true ? [] : ["the disk is not encrypted: set encrypted to true"];
    case "aws:ecr/repository:Repository":
      return [
        ...(listOf(props.encryptionConfigurations).length > 0
          ? []
          : ["the images' encryption is not configured: set encryptionConfigurations"]),
        ...(props.imageTagMutability === "IMMUTABLE"
          ? []
          : ["a tag can be moved to another image: set imageTagMutability to IMMUTABLE"]),
        ...(objectOf(props.imageScanningConfiguration).scanOnPush === true
          ? []
          : ["images are not scanned: set imageScanningConfiguration.scanOnPush to true"]),
      ];
    case "aws:ssm/parameter:Parameter":
      return /key|secret|password|token/i.test(textOf(props.name)) && props.type !== "SecureString"
        ? ["a secret is stored unencrypted: set type to SecureString"]
        : [];
    default:
      return [];
  }
}

/** Instances without a GPU that any release of Triton supports. */
export function supportedGpu({ type, props }: Resource): Violations {
  const { instanceType } = props;
  if (type !== "aws:ec2/instance:Instance" || typeof instanceType !== "string" || isGpuType(instanceType)) {
    return [];
  }
  const why = otherAccelerator(instanceType) ?? "has no NVIDIA GPU that Triton supports";
  return [`${instanceType} ${why}: choose one of ${Object.keys(GPU_FAMILIES).join(", ")}`];
}

/** Types that can have tags, except those that belong to a tagged resource. */
const TAGGED: ReadonlySet<string> = new Set([
  "aws:cloudwatch/eventRule:EventRule",
  "aws:cloudwatch/logGroup:LogGroup",
  "aws:cloudwatch/metricAlarm:MetricAlarm",
  "aws:ec2/eip:Eip",
  "aws:ec2/instance:Instance",
  "aws:ec2/keyPair:KeyPair",
  "aws:ec2/securityGroup:SecurityGroup",
  "aws:ec2/vpcEndpoint:VpcEndpoint",
  "aws:ecr/repository:Repository",
  "aws:iam/instanceProfile:InstanceProfile",
  "aws:iam/role:Role",
  "aws:s3/bucket:Bucket",
  "aws:sns/topic:Topic",
  "aws:ssm/parameter:Parameter",
]);

/** Resources that nobody could trace back to their stack. */
export function missingTags({ type, props }: Resource): Violations {
  if (!TAGGED.has(type)) return [];
  const tags = objectOf(props.tags);
  const missing = OWN_TAGS.filter((tag) => textOf(tags[tag]) === "");
  return missing.length === 0 ? [] : [`tags are missing: ${missing.join(", ")}`];
}

/** A key in user data, which everyone on the instance, and anyone who may describe it, can read. */
export function secretInUserData({ type, props }: Resource): Violations {
  const text = [props.userData, decoded(props.userDataBase64)].map(textOf).join("\n");
  return type === "aws:ec2/instance:Instance" &&
    /PRIVATE KEY|AKIA[0-9A-Z]{16}|aws_secret_access_key/.test(text)
    ? ["user data contains a key: keep it in a parameter that the instance's role may read"]
    : [];
}

function decoded(base64: unknown): string {
  return Buffer.from(textOf(base64), "base64").toString("utf8");
}

/** A policy that allows more than it names. */
export function broadPolicy({ type, props }: Resource): Violations {
  if (type !== "aws:iam/rolePolicy:RolePolicy" && type !== "aws:iam/policy:Policy") return [];
  const { Statement: statements } = parsed(props.policy);
  return listOf(statements)
    .map(objectOf)
    .filter(({ Effect: effect }) => effect === "Allow")
    .flatMap(({ Action: actions, NotAction: others }) => [
      ...[...listOf(actions), actions].filter(
        (action) => typeof action === "string" && /^(\*|[a-z0-9-]+:\*)$/.test(action),
      ),
      ...(others === undefined ? [] : ["NotAction"]),
    ])
    .map((action) => `${String(action)} is allowed: name the actions that are needed`);
}

function parsed(policy: unknown): Properties {
  try {
    return objectOf(typeof policy === "string" ? JSON.parse(policy) : policy);
  } catch {
    return {};
  }
}

const ALL_BLOCKED = ["blockPublicAcls", "blockPublicPolicy", "ignorePublicAcls", "restrictPublicBuckets"];

/** Buckets of a stack that are not private, encrypted and TLS-only. */
export function openBuckets(resources: readonly Resource[]): readonly { name: string; message: string }[] {
  const ofType = (type: string): readonly Resource[] => resources.filter((each) => each.type === type);
  return ofType("aws:s3/bucket:Bucket").flatMap(({ name, props }) => {
    const bucket = props.bucket;
    const forIt = (type: string): Properties | undefined =>
      ofType(type).find((each) => each.props.bucket === bucket)?.props;
    const access = forIt("aws:s3/bucketPublicAccessBlock:BucketPublicAccessBlock");
    const policy = parsed(forIt("aws:s3/bucketPolicy:BucketPolicy")?.policy);
    const tls = listOf(policy.Statement)
      .map(objectOf)
      .some(
        ({ Effect: effect, Condition: condition }) =>
          effect === "Deny" && objectOf(objectOf(condition).Bool)["aws:SecureTransport"] === "false",
      );
    const faults = [
      ...(ALL_BLOCKED.every((key) => access?.[key] === true)
        ? []
        : ["it can be made public: add a BucketPublicAccessBlock with all four blocks"]),
      ...(forIt("aws:s3/bucketServerSideEncryptionConfiguration:BucketServerSideEncryptionConfiguration")
        ? []
        : ["its encryption is not configured: add a BucketServerSideEncryptionConfiguration"]),
      ...(tls
        ? []
        : ["it answers without TLS: deny requests with aws:SecureTransport false in a BucketPolicy"]),
    ];
    return faults.map((message) => ({ name, message }));
  });
}

function listOf(value: unknown): readonly unknown[] {
  return Array.isArray(value) ? (value as readonly unknown[]) : [];
}

function objectOf(value: unknown): Properties {
  return typeof value === "object" && value !== null && !Array.isArray(value) ? (value as Properties) : {};
}

function textOf(value: unknown): string {
  return typeof value === "string" ? value : "";
}
