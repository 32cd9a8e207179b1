import { addressRange, isOpenToTheWorld, refuseRepeatedRanges } from "./addressRange";
import { subnetId, tagsField } from "./awsHostSettings";
import { familyOf, GPU_FAMILIES } from "./awsInstanceTypes";
import { namespace, objectName } from "./fleetSettings";
import { kmsKey } from "./kmsKey";
import { bucketName } from "./modelSettings";
import { permissionsBoundary } from "./permissionsBoundary";
import { INVALID } from "./place";
import {
  boolean,
  defaulted,
  integer,
  itemsOf,
  keyOf,
  list,
  meant,
  object,
  optional,
  plain,
  refuseRepeats,
  type ReadBy,
  required,
  text,
} from "./rules";

/** The oldest release of Kubernetes that a fleet needs, as the number behind `1.`. */
const OLDEST_MINOR = 30;

const kubernetesVersion = text({
  allowed: `a release of Kubernetes that EKS has, 1.${OLDEST_MINOR} or newer`,
  example: '"1.35"',
  refuse: (value) => {
    const minor = /^1\.(\d{2})$/.exec(value)?.[1];
    if (minor === undefined)
      return "give it as 1.35; aws eks describe-cluster-versions shows which there are";
    return Number(minor) < OLDEST_MINOR ? `a fleet needs 1.${OLDEST_MINOR} or newer` : undefined;
  },
});

/** https://docs.aws.amazon.com/eks/latest/userguide/access-entries.html */
const principal = text({
  allowed: "the ARN of a role or a user of IAM",
  example: "arn:aws:iam::111122223333:role/platform",
  refuse: (value) =>
    /^arn:aws[a-z-]*:iam::[0-9]{12}:(role|user)\/[\w+=,.@/-]+$/.test(value)
      ? undefined
      : "give its ARN as aws sts get-caller-identity and aws iam get-role show it; of an assumed role, that of the role",
});

const prefix = text({
  allowed: "the beginning of the names of a bucket's objects, without a slash at its ends",
  example: "models",
  refuse: (value) =>
    /^[\w!.'()/-]{1,900}$/.test(value) && !/^\/|\/$|\/\//.test(value)
      ? undefined
      : "give it as models or team/models",
});

/** Pods that may read objects of a bucket. */
export const modelReader = object({
  name: "EksModelReader",
  description: "Pods that may read models in a bucket, by EKS Pod Identity.",
  allowed: "an object with a bucket and a service account",
  fields: {
    bucket: required(bucketName, "Bucket of the models, such as `bucket` of a `ModelBucket`."),
    prefix: optional(
      prefix,
      "What the names of the objects begin with, up to a slash.",
      "all objects of the bucket",
    ),
    namespace: defaulted(namespace, "xsched-triton", "Namespace of the pods, as of the `TritonFleet`."),
    serviceAccount: required(objectName, "Service account of the pods: the name of the `TritonFleet`.", {
      example: "inference",
    }),
  },
});

/** What an EKS cluster is made of. */
export const eksClusterInputs = object({
  name: "EksCluster",
  description: "A cluster of Amazon EKS in Auto Mode.",
  allowed: "an object with the arguments of a cluster",
  fields: {
    subnetIds: required(
      list(subnetId, {
        allowed: "a list of ids of subnets in at least two zones, none twice",
        minimum: 2,
        check: refuseRepeats,
      }),
      "Subnets of the cluster and its nodes, in at least two zones. Private ones need a way to the internet, or endpoints, for images.",
      { example: '["subnet-0123456789abcdef0", "subnet-0fedcba9876543210"]' },
    ),
    adminCidrs: plain(
      defaulted(
        list(addressRange, { allowed: "a list of ranges of IP addresses, none open to the world" }),
        [],
        "IP address ranges that reach the API server besides the VPC. The machine that deploys must be in one of them, or in the VPC. With none, the API server has no public address.",
        { example: '["203.0.113.7/32"]' },
      ),
    ),
    admins: plain(
      defaulted(
        list(principal, { allowed: "a list of ARNs of roles and users, none twice", check: refuseRepeats }),
        [],
        "Roles and users that may do everything in the cluster, besides whoever deploys it.",
      ),
    ),
    version: optional(
      kubernetesVersion,
      "Release of Kubernetes. Models in images take 1.35. AWS upgrades the cluster when its standard support ends.",
      "EKS's own default when the cluster is made",
      { example: '"1.35"' },
    ),
    models: optional(
      modelReader,
      "Pods that may read models in a bucket, by EKS Pod Identity. A `TritonFleet` fetches nothing from S3 yet, so it is for pods of your own.",
      "nobody gets a role",
    ),
    kmsKeyId: optional(
      kmsKey,
      "Key of your own that the cluster's secrets are encrypted with. It can't be changed later.",
      "a key of AWS's",
      { cost: "that of the key" },
    ),
    permissionsBoundary: optional(
      permissionsBoundary,
      "Policy that limits what the cluster's roles can be allowed.",
      "none",
    ),
    protect: plain(defaulted(boolean, false, "Whether AWS and Pulumi refuse to delete the cluster.")),
    tags: tagsField,
  },
  check(_, at, raw) {
    const ranges = itemsOf(keyOf(raw, "adminCidrs"));
    refuseRepeatedRanges(ranges, at.at("adminCidrs"));
    ranges.forEach((range, index) => {
      if (typeof range !== "string" || !isOpenToTheWorld(range)) return;
      at.at("adminCidrs")
        .at(index)
        .fault(
          range,
          "a range that you can vouch for: whoever is in it can try the API server",
          "give your own address with /32, or reach the API server from the VPC",
        );
    });
  },
});

const families = Object.entries(GPU_FAMILIES)
  .filter(([, { driver }]) => driver === "open")
  .map(([family]) => family);

const instanceFamily = text({
  allowed: `a family of EC2 instances with whole NVIDIA GPUs, of ${families.join(", ")}`,
  example: "g6",
  refuse: (value) => {
    if (families.includes(value)) return undefined;
    const family = familyOf(value);
    return families.includes(family)
      ? `give the family alone: ${family}`
      : (meant(value, families) ?? "choose one of these");
  },
});

/** Nodes with GPUs of an EKS cluster. */
export const eksGpuNodesInputs = object({
  name: "EksGpuNodes",
  description: "Nodes with GPUs, which EKS Auto Mode starts for pods that need them.",
  allowed: "an object with the arguments of a cluster's GPU nodes",
  fields: {
    maxGpus: plain(
      required(integer(1, 5000, 4), "Most GPUs of all these nodes together.", {
        cost: "a GPU instance each, by the hour, and AWS's fee for Auto Mode, while pods need them",
      }),
    ),
    instanceFamilies: plain(
      defaulted(
        list(instanceFamily, {
          allowed: "a list of families of instances, at least one and none twice",
          minimum: 1,
          check: refuseRepeats,
        }),
        ["g5"],
        "Families of EC2 instances, of which EKS takes the cheapest that fits and is to be had. Every release of Triton that is listed runs on a `g5`; a `g6` costs a fifth less, but Triton 22.06 does not know its GPU. An `engine` fits one kind of GPU, and so one family.",
        { example: '["g6"]' },
      ),
    ),
    gpusPerNode: plain(
      defaulted(
        integer(1, 8, 1),
        1,
        "GPUs of a node, as instances of each family have: most have 1, 4 or 8, `p4d`, `p5e` and the like 8 alone. Each pod of a fleet has one of them. With more than one, EKS starts a node for each pod as far as `maxGpus` goes, because a fleet's pods are spread over nodes where they can be.",
      ),
    ),
    spot: plain(
      defaulted(
        boolean,
        false,
        "Whether to use spare capacity, which AWS can take back at two minutes' notice. While it has none, no node comes: none is taken on demand instead.",
        { cost: "usually about half of the on-demand price" },
      ),
    ),
    networkPolicies: plain(
      defaulted(
        boolean,
        true,
        "Whether to have the cluster enforce NetworkPolicies, which Auto Mode otherwise does not: any pod would reach Triton. It is one setting of the whole cluster, so say false for all nodes but the first. It stays when these nodes go: without it, EKS deletes no NetworkPolicy.",
      ),
    ),
    emptySeconds: plain(
      defaulted(integer(30, 86_400, 300), 300, "How long a node stays on which no pod is left.", {
        unit: "seconds",
        cost: "the instance goes on that long",
      }),
    ),
  },
  // EKS would take it, and start no node.
  check({ maxGpus, instanceFamilies, gpusPerNode }, at) {
    if (gpusPerNode === INVALID) return;
    if (maxGpus !== INVALID && maxGpus < gpusPerNode) {
      at.at("maxGpus").fault(
        maxGpus,
        `gpusPerNode or more, ${gpusPerNode}: as many as one node has`,
        "raise maxGpus, or lower gpusPerNode",
      );
    }
    if (instanceFamilies === INVALID) return;
    const counts = instanceFamilies.map((family) => ({ family, has: GPU_FAMILIES[family]?.counts ?? [] }));
    if (counts.every(({ has }) => has.includes(gpusPerNode))) return;
    const common = counts[0]?.has.filter((count) => counts.every(({ has }) => has.includes(count))) ?? [];
    at.at("gpusPerNode").fault(
      gpusPerNode,
      `what instances of each family have: ${counts.map(({ family, has }) => `${family} ${has.join(" or ")}`).join(", ")}`,
      common.length > 0
        ? `choose ${common.join(" or ")}, or other instanceFamilies`
        : "choose instanceFamilies that have a number in common",
    );
  },
});

export type EksGpuNodesSettings = ReadBy<typeof eksGpuNodesInputs>;
