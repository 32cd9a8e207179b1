import { factsOf, PATCHED_RELEASE, RELEASES } from "../image/tritonReleases";
import { addressRange, isIpv6, isOpenToTheWorld, refuseRepeatedRanges } from "./addressRange";
import { hostAccess, publicIp } from "./allowedValues";
import { checkStops, costFields, idleStop } from "./awsCostSettings";
import {
  familiesFor,
  familyOf,
  GPU_FAMILIES,
  gpuFamily,
  isGpuType,
  otherAccelerator,
  releasesOn,
} from "./awsInstanceTypes";
import { checkLoadBalancer, isInternetFacing, loadBalancerRule } from "./awsLoadBalancerSettings";
import { awsNetwork, checkOwnNetwork, isOwnNetwork } from "./awsNetworkSettings";
import { kmsKey } from "./kmsKey";
import { permissionsBoundary } from "./permissionsBoundary";
import { directory, user } from "./machine";
import { INVALID, Place, Read } from "./place";
import {
  boolean,
  defaulted,
  defaultedBy,
  integer,
  isDeferred,
  isPlainObject,
  itemsOf,
  keyOf,
  list,
  map,
  meant,
  object,
  optional,
  plain,
  refuseRepeats,
  required,
  Rule,
  text,
} from "./rules";

const NEWEST_RELEASE = RELEASES.at(-1) ?? PATCHED_RELEASE;

const driverOf = (release: string): number => factsOf(release)?.driver ?? 0;

const instanceTypes = Object.entries(GPU_FAMILIES).flatMap(([family, { sizes }]) =>
  sizes.map((size) => `${family}.${size}`),
);

const instanceType = text({
  allowed: `an EC2 instance type with NVIDIA GPUs that Triton supports, of ${Object.keys(GPU_FAMILIES).join(", ")}`,
  example: "g4dn.xlarge",
  refuse(value) {
    if (isGpuType(value)) return undefined;
    const family = familyOf(value);
    const known = gpuFamily(value);
    if (known !== undefined) return `choose a size of ${family}: ${known.sizes.join(", ")}`;
    const other = otherAccelerator(value);
    if (other !== undefined) return `${family} ${other}; choose for example g4dn.xlarge`;
    // Families with GPUs begin with g or p; the others have names that differ from theirs by a letter.
    return /^[gp]/i.test(family)
      ? (meant(value, instanceTypes) ?? "choose a type with NVIDIA GPUs, for example g4dn.xlarge")
      : `${/^[a-z]+[0-9]/.test(family) ? `${family} has no GPUs; ` : ""}choose for example g4dn.xlarge`;
  },
});

/** https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/resource-ids.html */
function resourceId(prefix: string, what: string): Rule<string> {
  return text({
    allowed: `${what}: ${prefix}- and 8 or 17 hexadecimal digits`,
    example: `${prefix}-0123456789abcdef0`,
    refuse: (value) =>
      new RegExp(`^${prefix}-(?:[0-9a-f]{8}|[0-9a-f]{17})$`).test(value)
        ? undefined
        : `give the id as AWS shows it, for example ${prefix}-0123456789abcdef0`,
  });
}

export const subnetId = resourceId("subnet", "the id of a subnet");

/** Where a host on AWS may be launched: a list whose order counts, without repeats. */
const preferences = (item: Rule<string>, allowed: string): Rule<string[]> =>
  list(item, { allowed, minimum: 1, check: refuseRepeats });

const zone = text({
  allowed: "the name of an availability zone: the region and a letter",
  example: "us-east-1a",
  refuse(value) {
    // Local zones name their city between the two: us-west-2-lax-1a.
    if (/^[a-z]{2}(?:-[a-z]+)+-[0-9](?:-[a-z]{3}-[0-9])?[a-z]$/.test(value)) return undefined;
    if (/^[a-z]{2}(?:-[a-z]+)+-[0-9]$/.test(value)) return `add the zone's letter: ${value}a`;
    return /^[a-z]{3,4}[0-9]-az[0-9]$/.test(value)
      ? "this is a zone's id; give its name: aws ec2 describe-availability-zones"
      : "give the name of a zone, for example us-east-1a";
  },
});

/** Input/output operations per second that a gp3 volume can have for each MiB/s of throughput, and for each GiB. */
const IOPS_PER_THROUGHPUT = 4;
const IOPS_PER_GIB = 500;

/** https://docs.aws.amazon.com/ebs/latest/userguide/general-purpose.html#gp3-ebs-volume-type */
const volumeFields = {
  size: defaulted(
    integer(100, 16384, 200),
    200,
    "Size of the volume. Triton's image takes 14 GiB, twice that while a new one arrives; the rest is for models.",
    { unit: "GiB" },
  ),
  throughput: defaulted(
    integer(125, 1000, 250),
    125,
    "Throughput of the volume, at most a quarter of `iops`.",
    {
      unit: "MiB/s",
      cost: "above 125 AWS charges extra",
    },
  ),
  iops: defaulted(integer(3000, 16000, 4000), 3000, "Input/output operations per second.", {
    cost: "above 3000 AWS charges extra",
  }),
};

const volume = object({
  name: "AwsVolume",
  description: "A root volume of type gp3.",
  allowed: "an object with the size and speed of the root volume",
  fields: volumeFields,
  check(values, at) {
    const { size, throughput, iops } = values;
    if (iops === INVALID) return;
    if (throughput !== INVALID && throughput * IOPS_PER_THROUGHPUT > iops) {
      at.at("throughput").fault(
        throughput,
        `at most a quarter of iops: ${Math.floor(iops / IOPS_PER_THROUGHPUT)}`,
        `set iops to ${throughput * IOPS_PER_THROUGHPUT}, or lower it`,
      );
    }
    if (size !== INVALID && iops > size * IOPS_PER_GIB) {
      at.at("iops").fault(
        iops,
        `at most 500 per GiB: ${size * IOPS_PER_GIB}`,
        "lower it, or give a larger size",
      );
    }
  },
});

/** https://docs.aws.amazon.com/tag-editor/latest/userguide/tagging.html; fewer than 50, as the stack adds its own. */
const MOST_TAGS = 40;
const TAG_TEXT = /^[\p{L}\p{Z}\p{N}_.:/=+\-@]*$/u;

const tags = map({
  allowed: `an object of at most ${MOST_TAGS} texts`,
  example: '{ team: "inference" }',
  type: "string",
  maximum: MOST_TAGS,
  read: readTag,
});

function readTag(key: string, value: unknown, at: Place): Read<string> {
  if (key === "" || key.length > 128 || !TAG_TEXT.test(key)) {
    return at.fault(
      value,
      "a tag's key: 1 to 128 letters, digits, spaces and _.:/=+-@",
      "shorten the key, or remove the other characters",
    );
  }
  if (/^aws:/i.test(key)) return at.fault(value, "keys that AWS does not reserve", "remove aws:");
  if (OWN_TAGS.includes(key)) {
    return at.fault(value, "keys that the stack does not set itself", "remove it, or choose another key");
  }
  if (typeof value === "string" && value.length <= 256 && TAG_TEXT.test(value)) return value;
  return at.fault(
    value,
    "a tag's value: at most 256 letters, digits, spaces and _.:/=+-@",
    typeof value === "number" || typeof value === "boolean"
      ? `write it in quotes: "${value}"`
      : "shorten the value, or remove the other characters",
  );
}

/** Tags that every resource of a stack carries. */
export const OWN_TAGS: readonly string[] = ["Name", "xsched-triton:project", "xsched-triton:stack"];

const adminCidrs = list(addressRange, {
  allowed: "a list of ranges of IP addresses, at least one",
  minimum: 1,
});

const ADMIN_CIDRS_FIX = `pulumi config set --path 'xsched-triton:host.adminCidrs[0]' "$(curl -s https://checkip.amazonaws.com)/32"`;

/** Tags of everything that is created on AWS. */
export const tagsField = defaulted(tags, {}, "Tags for everything that is created on AWS.");

/** A host on AWS, in the stack config and as a component's arguments. */
const awsFields = {
  instanceType: optional(
    instanceType,
    `EC2 instance type with NVIDIA GPUs: ${familiesFor(PATCHED_RELEASE).join(", ")} for Triton ${PATCHED_RELEASE}; ${familiesFor(NEWEST_RELEASE).join(", ")} for ${NEWEST_RELEASE}. Changing it replaces the instance and everything on it. One of \`instanceType\` and \`instanceTypes\` is required.`,
    "the first of `instanceTypes` that AWS has capacity for",
    { cost: "by the hour" },
  ),
  instanceTypes: plain(
    optional(
      preferences(instanceType, "a list of EC2 instance types, at least one and none twice"),
      "Instance types to choose from, the preferred one first: the first that AWS has capacity for is taken, and kept as long as it is in the list. Instead of `instanceType`.",
      "`instanceType` alone",
      { example: "[g5.xlarge, g4dn.xlarge]", cost: "by the hour, at the price of the type that is taken" },
    ),
  ),
  access: plain(
    defaulted(
      hostAccess,
      "ssh",
      "How this machine reaches the instance. `sessionManager` needs the AWS CLI and its Session Manager plugin here, and the right to start sessions (docs/how-to/aws.md). A change keeps the instance and what it serves.",
      { example: "sessionManager", cost: "free; in a private subnet, the endpoints that it needs" },
    ),
  ),
  adminCidrs: optional(
    adminCidrs,
    "IP address ranges that may connect over SSH. The machine that deploys must be in one of them. Required with `access: ssh`, and only there.",
    "none, with `access: sessionManager`",
    { example: '["203.0.113.7/32"]' },
  ),
  allowPublicSsh: defaulted(boolean, false, "Whether `adminCidrs` may include the whole internet."),
  clientCidrs: defaulted(
    list(addressRange, { allowed: "a list of ranges of IP addresses" }),
    [],
    "IP address ranges that may reach the ports of the gateway, which `server.address` must let in. With none, Triton is reached through a tunnel only.",
    { example: '["203.0.113.0/24"]' },
  ),
  spot: plain(
    defaulted(
      boolean,
      false,
      "Whether to use spare capacity. AWS can stop the instance at two minutes' notice and starts it again when there is capacity.",
      { cost: "usually about half of the on-demand price" },
    ),
  ),
  onDemandFallback: plain(
    defaulted(
      boolean,
      false,
      "With `spot`: whether the instance is launched on demand if no choice has spare capacity. An instance that is on demand stays so until it is replaced.",
      { cost: "the on-demand price" },
    ),
  ),
  protect: plain(
    defaulted(
      boolean,
      false,
      "Whether AWS and Pulumi refuse to terminate or replace the instance. Not with `spot`.",
    ),
  ),
  publicIp: plain(
    optional(
      publicIp,
      "Address at which the instance is reached.",
      "`elastic`, or `none` in a network of its own",
      { cost: "a public IPv4 address costs about $4 a month" },
    ),
  ),
  volume: defaulted(volume, {}, "The root volume, which is encrypted and of type gp3."),
  kmsKeyId: optional(
    kmsKey,
    "Key of your own for all that the stack stores on AWS: the root volume, the parameter with the host key, the models' bucket, the image's repository, logs and the alarms' topic. Its key policy must let CloudWatch use it (docs/how-to/aws.md). Another key replaces the instance and the repository.",
    "AWS's own keys; for the volume, the account's default key for EBS",
    { cost: "KMS charges for each key and for requests" },
  ),
  network: plain(
    defaulted(
      awsNetwork,
      { kind: "existing" },
      "The network of the instance (docs/how-to/aws.md). Another kind replaces the instance.",
      { example: "{ kind: own }" },
    ),
  ),
  permissionsBoundary: optional(
    permissionsBoundary,
    "Policy that limits what the roles that the stack makes can be allowed (docs/reference/permissions.md). A change is made in place.",
    "none",
    { cost: "free" },
  ),
  loadBalancer: plain(
    optional(
      loadBalancerRule(subnetId),
      "A network load balancer with a DNS name and a certificate, through which alone clients reach the gateway (docs/how-to/aws.md). It needs `clientCidrs`, which it lets in, and a gateway. A change keeps the instance and what it serves.",
      "clients reach the gateway at the instance's address",
      {
        cost: "list prices for us-east-1 in May 2026: $0.0225 an hour, about $16 a month, and $0.006 for each capacity unit an hour",
      },
    ),
  ),
  subnetId: optional(subnetId, "Subnet of the instance.", "one of the default VPC"),
  createS3Endpoint: plain(
    defaulted(
      boolean,
      false,
      "Whether to create a gateway endpoint for S3 for the instance's subnet, which a subnet without access to the internet needs. Its route table must not have one already.",
      { cost: "free" },
    ),
  ),
  zone: optional(
    zone,
    "Availability zone, for when others are short of capacity. Not with `subnetId`.",
    "any",
  ),
  zones: plain(
    optional(
      preferences(zone, "a list of names of availability zones, at least one and none twice"),
      "Availability zones to choose from, the preferred one first. With several instance types, the first type is tried in each zone before the second. Instead of `zone`; not with `subnetId`.",
      "`zone` alone, or any",
      { example: "[us-east-1a, us-east-1b]" },
    ),
  ),
  ami: optional(
    resourceId("ami", "the id of an AMI for x86-64"),
    `Machine image: Debian or Ubuntu with an NVIDIA driver that Triton's release runs on (${driverOf(PATCHED_RELEASE)} or newer for ${PATCHED_RELEASE}, ${driverOf(NEWEST_RELEASE)} for ${NEWEST_RELEASE}), Docker, NVIDIA's container toolkit, cloud-init and the AWS CLI. Changing it replaces the instance.`,
    "AWS's Deep Learning Base AMI with Ubuntu 22.04, the newest when the instance is created",
  ),
  user: defaulted(user, "ubuntu", "User of the machine image that may use sudo and Docker."),
  tags: tagsField,
  ...costFields,
};

export const awsHostFields = {
  ...awsFields,
  idleStop,
  directory: defaultedBy(
    directory,
    (stack) => `.xsched-triton-${stack}`,
    "Folder for everything that the deployment puts on the machine, relative to the user's home.",
  ),
};

const anyText = (allowed: string, example: string): Rule<string> =>
  text({ allowed, example, refuse: (value) => (value === "" ? `give ${allowed}` : undefined) });

/** Something that a role is allowed to do. */
const policyStatement = object({
  name: "PolicyStatement",
  description: "Something that a role is allowed to do.",
  allowed: "an object with what a role may do",
  fields: {
    sid: required(
      text({
        allowed: "the name of a statement: letters and digits",
        example: "ReadModels",
        refuse: (value) => (/^[A-Za-z0-9]+$/.test(value) ? undefined : "give letters and digits only"),
      }),
      "Name of the statement: letters and digits.",
    ),
    actions: required(
      list(anyText("an action", '"s3:GetObject"'), { allowed: "a list of actions" }),
      "What may be done.",
    ),
    resources: required(
      list(anyText("an ARN", '"arn:aws:s3:::my-bucket/*"'), { allowed: "a list of ARNs" }),
      "ARNs of what it may be done to; `*` only for actions that know no resource.",
    ),
    conditions: optional(
      map<Record<string, string[]>>({
        allowed: "an object of operators, keys and lists of values",
        example: '{ StringLike: { "s3:prefix": ["models/*"] } }',
        type: "pulumi.Input<Record<string, pulumi.Input<string[]>>>",
        read(key, value, at) {
          const wellFormed =
            isPlainObject(value) &&
            Object.values(value).every(
              (each) => Array.isArray(each) && each.every((item) => typeof item === "string"),
            );
          return wellFormed || isDeferred(value)
            ? (value as Record<string, string[]>)
            : at.fault(value, "an object of keys and lists of values", `see the operator ${key} of IAM`);
        },
      }),
      "When it may be done: operator, key and values, as in IAM.",
      "always",
    ),
  },
});

/** Names of what an `AwsGpuHost` itself runs. */
const OWN_STEPS = ["ready", "place", "spot-request"];

const setUpStep = object({
  name: "SetUpStep",
  description: "A step that sets the machine up over SSH, before anything else is done there.",
  allowed: "an object with a step",
  fields: {
    name: plain(
      required(
        text({
          allowed: "a name of lower-case letters, digits and dashes",
          example: "metrics",
          refuse: (value) =>
            /^[a-z][a-z0-9-]*$/.test(value) && !OWN_STEPS.includes(value)
              ? undefined
              : `give a short name other than ${OWN_STEPS.join(", ")}`,
        }),
        "Name of the step, unique in the host.",
      ),
    ),
    script: required(
      anyText("the text of a Bash script", '"apt-get install -y jq"'),
      "Text of a Bash script. It runs again whenever the step changes, so it must be idempotent.",
    ),
    arguments: optional(
      list(text({ allowed: "a text", example: "a", refuse: () => undefined }), {
        allowed: "a list of texts",
      }),
      "Arguments of the script; never a secret.",
      "none",
    ),
  },
});

const CLIENT_PORTS = [8000, 8001];

const instanceFields = {
  ...awsFields,
  clientPorts: defaulted(
    list(integer(1, 65535, 8000), { allowed: "a list of TCP ports" }),
    CLIENT_PORTS,
    "TCP ports for `clientCidrs`.",
  ),
};

export const repositoryArn = text({
  allowed: "the ARN of a repository on ECR",
  example: "arn:aws:ecr:us-east-1:111122223333:repository/triton",
  refuse: (value) =>
    /^arn:aws[a-z-]*:ecr:[a-z0-9-]+:[0-9]{12}:repository\/\S+$/.test(value)
      ? undefined
      : "pass arn of the EcrRepository",
});

/** https://docs.aws.amazon.com/vpc/latest/privatelink/aws-services-privatelink-support.html */
const awsService = text({
  allowed: "the name of a service of AWS, as its endpoints have it",
  example: "logs",
  refuse: (value) =>
    /^[a-z0-9]+(?:[.-][a-z0-9]+)*$/.test(value) && !/^(?:cn\.)?com\.amazonaws\./.test(value)
      ? undefined
      : "give the name without what is before it: ecr.api for com.amazonaws.us-east-1.ecr.api",
});

export const policyStatements = list(policyStatement, { allowed: "a list of statements" });

const HOST_ON_AWS = "an object with the arguments of a host on AWS";

const checkRawAwsHost = (_: unknown, at: Place, raw: unknown): void => {
  checkAwsHost(raw, at);
  const ports = keyOf(raw, "clientPorts");
  refuseTooManyRanges(raw, Array.isArray(ports) ? ports.length : CLIENT_PORTS.length, at);
};

/** The instance itself, without its permissions and what is set up on it. */
export const awsInstance = object({ allowed: HOST_ON_AWS, fields: instanceFields, check: checkRawAwsHost });

export const awsGpuHostInputs = object({
  name: "AwsGpuHost",
  description: "An EC2 instance with a GPU, as a host.",
  allowed: HOST_ON_AWS,
  fields: {
    ...instanceFields,
    repositoryArn: optional(
      repositoryArn,
      "ARN of the one ECR repository that the instance may pull from.",
      "none",
    ),
    policyStatements: defaulted(
      policyStatements,
      [],
      "What else the instance's role may do, in its inline policy. IAM takes 10,240 characters of inline policies for a role, without white space.",
    ),
    managedPolicies: plain(
      defaulted(
        list(policyStatements, { allowed: "a list of lists of statements" }),
        [],
        "What else the instance's role may do, in managed policies: one for each list of statements, of at most 6,144 characters. A role has at most 10 of them, unless the account's quota is higher.",
      ),
    ),
    services: plain(
      defaulted(
        list(awsService, { allowed: "a list of AWS's services, none twice", check: refuseRepeats }),
        [],
        "In a network of its own with `egress: endpoints`: the services of AWS that the instance reaches beside S3, Session Manager and the ECR of `repositoryArn`, by the names of their endpoints.",
        { example: "[logs, monitoring]", cost: "by the hour, for each" },
      ),
    ),
    setUp: plain(
      defaulted(
        list(setUpStep, { allowed: "a list of steps" }),
        [],
        "What else is set up on the machine over SSH, in this order, before it counts as ready.",
      ),
    ),
  },
  check: checkRawAwsHost,
});

/** Records faults between the keys; looks at the raw value, so that no other fault hides one. */
export function checkAwsHost(raw: unknown, at: Place): void {
  checkAdminCidrs(raw, at);
  refuseOpenRanges(raw, at);
  for (const key of ["adminCidrs", "clientCidrs"]) refuseRepeatedRanges(itemsOf(keyOf(raw, key)), at.at(key));
  if (keyOf(raw, "spot") === true && keyOf(raw, "protect") === true) {
    at.at("protect").fault(
      true,
      "false with spot: AWS may end a spot instance whatever protects it",
      "remove protect, or set spot to false",
    );
  }
  for (const key of isOwnNetwork(raw) ? [] : ["zone", "zones"]) {
    if (keyOf(raw, "subnetId") === undefined || keyOf(raw, key) === undefined) continue;
    at.at(key).fault(
      keyOf(raw, key),
      `subnetId or ${key}, not both: a subnet is in one zone`,
      "remove one of the two",
    );
  }
  for (const key of ["instanceType", "zone"]) refuseBoth(raw, key, `${key}s`, at);
  if (["instanceType", "instanceTypes"].every((key) => keyOf(raw, key) === undefined)) {
    at.at("instanceType").fault(
      undefined,
      instanceType.allowed,
      `add instanceType: ${instanceType.example}, or instanceTypes with the preferred one first`,
    );
  }
  if (keyOf(raw, "onDemandFallback") === true && keyOf(raw, "spot") !== true) {
    at.at("onDemandFallback").fault(
      true,
      "true only with spot: without it, the instance is on demand anyway",
      "remove onDemandFallback, or set spot to true",
    );
  }
  checkOwnNetwork(raw, at);
  checkLoadBalancer(raw, at);
  if (keyOf(raw, "publicIp") === "none" && keyOf(raw, "subnetId") === undefined && !isOwnNetwork(raw)) {
    at.at("publicIp").fault(
      "none",
      "none only with subnetId: the subnets of a default VPC give every instance a public address",
      "set subnetId to a private subnet that the deploying machine can reach, or remove publicIp",
    );
  }
  checkStops(raw, at);
  if (keyOf(raw, "ami") !== undefined) return;
  for (const { type } of instanceTypesIn(raw, at)) {
    const driver = typeof type === "string" ? (gpuFamily(type)?.driver ?? "open") : "open";
    if (typeof type !== "string" || driver === "open") continue;
    at.at("ami").fault(
      undefined,
      `an AMI with NVIDIA's ${driver} driver for ${familyOf(type)}: the default one has the open driver, which needs ${
        driver === "proprietary" ? "a newer GPU" : "a whole GPU"
      }`,
      "set ami to such an AMI, or choose another instanceType, for example g5.xlarge",
    );
    return;
  }
}

/** SSH is open to somebody, or to nobody at all. */
function checkAdminCidrs(raw: unknown, at: Place): void {
  const given = keyOf(raw, "adminCidrs");
  if (keyOf(raw, "access") === "sessionManager") {
    if (given === undefined) return;
    at.at("adminCidrs").fault(
      given,
      "none with access: sessionManager, as no port is open for SSH",
      "remove adminCidrs, or set access to ssh",
    );
  } else if (given === undefined && !isOwnNetwork(raw)) {
    at.at("adminCidrs").fault(
      undefined,
      `${adminCidrs.allowed}; none with access: sessionManager, which opens no port`,
      ADMIN_CIDRS_FIX,
    );
  }
}

/** A choice between one value and a list of them. */
function refuseBoth(raw: unknown, one: string, several: string, at: Place): void {
  if (keyOf(raw, one) === undefined || keyOf(raw, several) === undefined) return;
  at.at(several).fault(
    keyOf(raw, several),
    `${one} or ${several}, not both: ${one} is a list of one`,
    `remove ${one}, and put it first into ${several}`,
  );
}

/** The instance types of a host as it was given, with their places. */
export function instanceTypesIn(
  raw: unknown,
  at: Place,
): readonly { readonly type: unknown; readonly at: Place }[] {
  const several = keyOf(raw, "instanceTypes");
  return several === undefined
    ? [{ type: keyOf(raw, "instanceType"), at: at.at("instanceType") }]
    : itemsOf(several).map((type, index) => ({ type, at: at.at("instanceTypes").at(index) }));
}

/**
 * Rules of a security group, for IPv4 and again for IPv6; a rule is a range and a port.
 * https://docs.aws.amazon.com/vpc/latest/userguide/amazon-vpc-limits.html#vpc-limits-security-groups
 */
const MOST_RULES = 60;

/** @param ports how many ports `clientCidrs` may reach */
export function refuseTooManyRanges(raw: unknown, ports: number, at: Place): void {
  for (const [family, isOf] of [
    ["IPv4", (range: unknown) => typeof range === "string" && !isIpv6(range)],
    ["IPv6", (range: unknown) => typeof range === "string" && isIpv6(range)],
  ] as const) {
    const [admins = 0, clients = 0] = ["adminCidrs", "clientCidrs"].map(
      (key) => itemsOf(keyOf(raw, key)).filter(isOf).length,
    );
    // With a load balancer, clients are let in by its own group, and the instance's names that one.
    const balanced = keyOf(raw, "loadBalancer") !== undefined;
    const rules = (balanced ? 0 : admins) + ports * clients;
    if (balanced && admins + ports > MOST_RULES) {
      at.at("adminCidrs").fault(
        keyOf(raw, "adminCidrs"),
        `at most ${MOST_RULES} rules of ${family} in the security group: these are ${admins + ports}, one for each of ${admins} adminCidrs and of ${ports} ports for the load balancer`,
        "merge neighbouring ranges into a wider one",
      );
    }
    if (rules <= MOST_RULES) continue;
    const key = !balanced && admins > ports * clients ? "adminCidrs" : "clientCidrs";
    at.at(key).fault(
      keyOf(raw, key),
      balanced
        ? `at most ${MOST_RULES} rules of ${family} in the load balancer's security group: these are ${rules}, ${ports} for each of ${clients} clientCidrs`
        : `at most ${MOST_RULES} rules of ${family} in the security group: these are ${rules}, one for each of ${admins} adminCidrs and ${ports} for each of ${clients} clientCidrs`,
      `merge neighbouring ranges into a wider one${balanced ? "" : ", or let clients come through a load balancer"}`,
    );
  }
}

function refuseOpenRanges(raw: unknown, at: Place): void {
  const isOpen = (range: unknown): boolean => typeof range === "string" && isOpenToTheWorld(range);
  itemsOf(keyOf(raw, "adminCidrs")).forEach((range, index) => {
    if (isOpen(range) && keyOf(raw, "allowPublicSsh") !== true) {
      at.at("adminCidrs")
        .at(index)
        .fault(
          range,
          "a range that you can vouch for: SSH must not be open to the internet",
          "give your own address with /32, or set allowPublicSsh to true if you really want this",
        );
    }
  });
  // What is before the gateway may be open to everyone, as long as the gateway asks for tokens (checkBalancedGateway).
  if (isInternetFacing(raw)) return;
  itemsOf(keyOf(raw, "clientCidrs")).forEach((range, index) => {
    if (isOpen(range)) {
      at.at("clientCidrs")
        .at(index)
        .fault(
          range,
          "a range that you can vouch for: whoever is in it can try the gateway's ports",
          "give the ranges of your clients, or set host.loadBalancer with scheme: internetFacing and gateway.tokens",
        );
    }
  });
}

/** Refuses GPUs that the release of Triton does not support; an unknown release may support any. */
export function refuseUnsuitedGpu(type: unknown, release: string | undefined, at: Place): void {
  if (typeof type !== "string" || !isGpuType(type) || release === undefined) return;
  const families = familiesFor(release);
  if (families.includes(familyOf(type))) return;
  const { gpu = "", computeCapability = 0 } = gpuFamily(type) ?? {};
  const newer = releasesOn(type).find((each) => each > release);
  const older = releasesOn(type).findLast((each) => each <= release);
  at.fault(
    type,
    `a type whose GPU Triton ${release} supports, of ${families.join(", ")}: ${
      newer === undefined ? "it no longer supports" : "it predates"
    } the ${gpu} (sm_${computeCapability})`,
    `choose for example g5.xlarge, or build variant hooked on a base of Triton ${
      newer === undefined ? `${older} or older` : `${newer} or newer`
    }`,
  );
}
