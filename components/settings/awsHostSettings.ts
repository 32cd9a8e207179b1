import { addressRange, isOpenToTheWorld } from "./addressRange";
import {
  familiesFor,
  familyOf,
  firstRelease,
  GPU_FAMILIES,
  gpuFamily,
  isGpuType,
  otherAccelerator,
  PATCHED_RELEASE,
} from "./awsInstanceTypes";
import { directory, user } from "./machine";
import { INVALID, Place, Read } from "./place";
import {
  boolean,
  choice,
  defaulted,
  defaultedBy,
  integer,
  isPlainObject,
  itemsOf,
  keyOf,
  list,
  meant,
  object,
  optional,
  required,
  Rule,
  text,
} from "./rules";
import type { PublicIp } from "./types";

const instanceTypes = Object.entries(GPU_FAMILIES).flatMap(([family, { sizes }]) =>
  sizes.map((size) => `${family}.${size}`),
);

const instanceType = text({
  allowed: `an EC2 instance type with NVIDIA GPUs that Triton supports, of ${familiesFor(PATCHED_RELEASE).join(", ")}`,
  example: "g4dn.xlarge",
  refuse(given) {
    if (isGpuType(given)) return undefined;
    const family = familyOf(given);
    const known = gpuFamily(given);
    if (known !== undefined) return `choose a size of ${family}: ${known.sizes.join(", ")}`;
    const other = otherAccelerator(given);
    if (other !== undefined) return `${family} ${other}; choose for example g4dn.xlarge`;
    // Families with GPUs begin with g or p; the others have names that differ from theirs by a letter.
    return /^[gp]/i.test(family)
      ? (meant(given, instanceTypes) ?? "choose a type with NVIDIA GPUs, for example g4dn.xlarge")
      : `${/^[a-z]+[0-9]/.test(family) ? `${family} has no GPUs; ` : ""}choose for example g4dn.xlarge`;
  },
});

/** https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/resource-ids.html */
function resourceId(prefix: string, what: string): Rule<string> {
  return text({
    allowed: `${what}: ${prefix}- and 8 or 17 hexadecimal digits`,
    example: `${prefix}-0123456789abcdef0`,
    refuse: (given) =>
      new RegExp(`^${prefix}-(?:[0-9a-f]{8}|[0-9a-f]{17})$`).test(given)
        ? undefined
        : `give the id as AWS shows it, for example ${prefix}-0123456789abcdef0`,
  });
}

const zone = text({
  allowed: "the name of an availability zone: the region and a letter",
  example: "us-east-1a",
  refuse(given) {
    // Local zones have their city between the two: us-west-2-lax-1a.
    if (/^[a-z]{2}(?:-[a-z]+)+-[0-9](?:-[a-z]{3}-[0-9])?[a-z]$/.test(given)) return undefined;
    if (/^[a-z]{2}(?:-[a-z]+)+-[0-9]$/.test(given)) return `add the zone's letter: ${given}a`;
    return /^[a-z]{3,4}[0-9]-az[0-9]$/.test(given)
      ? "this is a zone's id; give its name: aws ec2 describe-availability-zones"
      : "give the name of a zone, for example us-east-1a";
  },
});

export const PUBLIC_IPS: Readonly<Record<PublicIp, string>> = {
  elastic: "one that stays when the instance stops",
  dynamic: "another one after each stop",
  none: "only the private address of the subnet",
};

/** Input/output operations per second that a gp3 volume can have for each MiB/s of throughput, and for each GiB. */
const IOPS_PER_THROUGHPUT = 4;
const IOPS_PER_GIB = 500;

/** https://docs.aws.amazon.com/ebs/latest/userguide/general-purpose.html#gp3-ebs-volume-type */
const volumeFields = {
  size: defaulted(
    integer(100, 16384, 200),
    200,
    "GiB. Triton's image takes 14, twice while a new one comes; the rest is for models.",
  ),
  throughput: defaulted(integer(125, 1000, 125), 125, "MiB/s; above 125 it costs extra."),
  iops: defaulted(
    integer(3000, 16000, 3000),
    3000,
    "Input/output operations per second; above 3000 they cost extra.",
  ),
};

const volume = object("an object with the size and speed of the root volume", volumeFields, (values, at) => {
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
      `at most 500 for each GiB: ${size * IOPS_PER_GIB}`,
      "lower it, or give a larger size",
    );
  }
});

/** https://docs.aws.amazon.com/tag-editor/latest/userguide/tagging.html; fewer than 50, as the stack adds its own. */
const MOST_TAGS = 40;
const TAG_TEXT = /^[\p{L}\p{Z}\p{N}_.:/=+\-@]*$/u;

const tags: Rule<Readonly<Record<string, string>>> = {
  type: "object",
  allowed: `an object of at most ${MOST_TAGS} texts`,
  example: '{ team: "inference" }',
  read(value, at): Read<Readonly<Record<string, string>>> {
    if (!isPlainObject(value) || Object.keys(value).length > MOST_TAGS) {
      return at.fault(value, this.allowed, `give an object, for example ${this.example}`);
    }
    const read = Object.entries(value).map(([key, each]) => readTag(key, each, at.at(key)));
    return read.includes(INVALID) ? INVALID : Object.freeze({ ...(value as Record<string, string>) });
  },
};

function readTag(key: string, value: unknown, at: Place): Read<string> {
  if (key === "" || key.length > 128 || !TAG_TEXT.test(key)) {
    return at.fault(
      value,
      "a tag's key: 1 to 128 letters, digits, spaces and _.:/=+-@",
      "shorten the key, or leave the other characters out",
    );
  }
  if (/^aws:/i.test(key)) return at.fault(value, "keys that AWS does not reserve", "leave aws: out");
  if (OWN_TAGS.includes(key)) {
    return at.fault(value, "keys that the stack does not set itself", "take it out, or choose another key");
  }
  if (typeof value === "string" && value.length <= 256 && TAG_TEXT.test(value)) return value;
  return at.fault(
    value,
    "a tag's value: at most 256 letters, digits, spaces and _.:/=+-@",
    typeof value === "number" || typeof value === "boolean"
      ? `write it in quotes: "${value}"`
      : "give such a text",
  );
}

/** Tags that everything of a stack carries. */
export const OWN_TAGS: readonly string[] = ["Name", "xsched-triton:project", "xsched-triton:stack"];

const ADMIN_CIDRS_FIX = `pulumi config set --path 'xsched-triton:host.adminCidrs[0]' "$(curl -s https://checkip.amazonaws.com)/32"`;

/** What a host on AWS is made of; the same in the stack config and as arguments. */
export const awsFields = {
  instanceType: required(
    instanceType,
    "EC2 instance type. Another one makes another instance, and everything on it anew.",
  ),
  adminCidrs: required(
    list(addressRange, { allowed: "a list of ranges of IP addresses, at least one", minimum: 1 }),
    "Who may connect over SSH: ranges of IP addresses. The machine that deploys is in one of them.",
    ADMIN_CIDRS_FIX,
  ),
  allowPublicSsh: defaulted(boolean, false, "Whether `adminCidrs` may let in the whole internet."),
  clientCidrs: defaulted(
    list(addressRange, { allowed: "a list of ranges of IP addresses" }),
    [],
    "Who may reach the ports for inference. Triton has no access control: whoever reaches it may also unload models. None: through a tunnel only.",
  ),
  spot: defaulted(
    boolean,
    false,
    "Whether to take spare capacity, which is cheaper and can be stopped by AWS at two minutes' notice. It starts again when there is capacity.",
  ),
  protect: defaulted(
    boolean,
    false,
    "Whether AWS and Pulumi refuse to terminate the instance and to replace it.",
  ),
  publicIp: defaulted(
    choice(PUBLIC_IPS),
    "elastic",
    `Address that the instance is reached at: ${Object.entries(PUBLIC_IPS)
      .map(([name, meaning]) => `\`${name}\` is ${meaning}`)
      .join(", ")}.`,
  ),
  volume: defaulted(volume, {}, "The root volume, which is encrypted and of type gp3."),
  subnetId: optional(
    resourceId("subnet", "the id of a subnet"),
    "Subnet of the instance.",
    "one of the default VPC",
  ),
  createS3Endpoint: defaulted(
    boolean,
    false,
    "Whether to make a gateway endpoint for S3 for the instance's subnet: for one without a way to the internet. Its route table must not have one already.",
  ),
  zone: optional(zone, "Availability zone, where capacity is short in others.", "any"),
  ami: optional(
    resourceId("ami", "the id of an AMI for x86-64"),
    "Machine image: Debian or Ubuntu with an NVIDIA driver of 515 or newer, Docker, NVIDIA's container toolkit, cloud-init and the AWS CLI. Another one makes another instance.",
    "AWS's Deep Learning Base AMI with Ubuntu 22.04, the newest when the instance was made",
  ),
  user: defaulted(user, "ubuntu", "User of the machine image that may use sudo and Docker."),
  tags: defaulted(tags, {}, "Tags of everything that the stack makes on AWS."),
};

export const awsHostFields = {
  ...awsFields,
  directory: defaultedBy(
    directory,
    (stack) => `.xsched-triton-${stack}`,
    "Folder for everything that the deployment leaves on the machine; relative to the user's home.",
  ),
};

/** Records faults between the keys; looks at the raw value, so that no other fault hides one. */
export function checkAwsHost(raw: unknown, at: Place): void {
  refuseOpenRanges(raw, at);
  if (keyOf(raw, "spot") === true && keyOf(raw, "protect") === true) {
    at.at("protect").fault(
      true,
      "false with spot: AWS may end a spot instance whatever protects it",
      "take protect out, or set spot to false",
    );
  }
  if (keyOf(raw, "subnetId") !== undefined && keyOf(raw, "zone") !== undefined) {
    at.at("zone").fault(
      keyOf(raw, "zone"),
      "subnetId or zone, not both: a subnet is in one zone",
      "take one of the two out",
    );
  }
  const type = keyOf(raw, "instanceType");
  if (typeof type !== "string") return;
  if (gpuFamily(type)?.driver === "proprietary" && keyOf(raw, "ami") === undefined) {
    at.at("ami").fault(
      undefined,
      `an AMI with NVIDIA's proprietary driver for ${familyOf(type)}: the usual one has the open driver, which needs a newer GPU`,
      "set ami to such an AMI, or choose another instanceType, for example g5.xlarge",
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
  itemsOf(keyOf(raw, "clientCidrs")).forEach((range, index) => {
    if (isOpen(range)) {
      at.at("clientCidrs")
        .at(index)
        .fault(
          range,
          "a range that you can vouch for: Triton has no access control",
          "give the range of your clients, or put a gateway with access control before Triton",
        );
    }
  });
}

/** Refuses GPUs that the release of Triton does not support; a release that is not known may support any. */
export function refuseUnsuitedGpu(type: unknown, release: string | undefined, at: Place): void {
  if (typeof type !== "string" || !isGpuType(type) || release === undefined) return;
  const first = firstRelease(type);
  if (first === undefined || first <= release) return;
  const { gpu = "", computeCapability = 0 } = gpuFamily(type) ?? {};
  at.fault(
    type,
    `a type whose GPU Triton ${release} supports, of ${familiesFor(release).join(", ")}: TensorRT ${
      release === PATCHED_RELEASE ? "8.2.5" : "of that release"
    } predates the ${gpu} (sm_${computeCapability})`,
    `choose for example g5.xlarge, or build variant transparent on a base of Triton ${first} or newer`,
  );
}
