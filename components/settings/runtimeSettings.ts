import { factsOf, glibcOf, PATCHED_RELEASE, releaseOf } from "../image/tritonReleases";
import { imageVariant } from "./allowedValues";
import { tagsField } from "./awsHostSettings";
import type { ImageVariant } from "./generated";
import { kmsKey } from "./kmsKey";
import { Place } from "./place";
import {
  boolean,
  defaulted,
  integer,
  keyOf,
  list,
  object,
  optional,
  plain,
  required,
  secret,
  text,
  variants,
} from "./rules";
import { imageSignature, publicKey, refuseStrayKeys } from "./signatureSettings";

/*
 * Names of images, as https://github.com/distribution/reference defines them: a registry with a port perhaps, a path
 * in lower case, then a tag or a digest.
 */
const REGISTRY = "(?:[A-Za-z0-9-]+(?:\\.[A-Za-z0-9-]+)+(?::[0-9]{1,5})?|[A-Za-z0-9-]+:[0-9]{1,5}|localhost)";
const PATH = "[a-z0-9]+(?:(?:[._]|__|-+)[a-z0-9]+)*(?:/[a-z0-9]+(?:(?:[._]|__|-+)[a-z0-9]+)*)*";
const NAME = `(?:${REGISTRY}/)?${PATH}`;
const DIGEST = "@sha256:[0-9a-f]{64}";
const TAG = ":[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}";

/** Longest name without tag and digest. */
const LONGEST_NAME = 255;

function matches(value: string, pattern: string): boolean {
  return (value.split("@")[0] ?? "").length <= LONGEST_NAME && new RegExp(`^${pattern}$`).test(value);
}

const WRONG_DIGEST = "give the digest as docker prints it: 64 hexadecimal digits in lower case after sha256:";

/** An image that cannot change. */
export const imageByDigest = text({
  allowed: "an image by digest: repository@sha256:<64 hexadecimal digits>",
  example: "registry.example.com/triton@sha256:…",
  refuse(value) {
    if (matches(value, `${NAME}(?:${TAG})?${DIGEST}`)) {
      return undefined;
    }
    return value.includes("@")
      ? WRONG_DIGEST
      : "a tag can move; get the digest with: docker buildx imagetools inspect IMAGE";
  },
});

/** An image by digest, or by a tag that may move. */
export const image = text({
  allowed: "an image by digest or tag: repository@sha256:<64 hexadecimal digits>, or repository:tag",
  example: "registry.example.com/triton@sha256:…",
  refuse(value) {
    if (matches(value, `${NAME}(?:${TAG})?${DIGEST}`) || matches(value, `${NAME}${TAG}`)) {
      return undefined;
    }
    if (value.includes("@")) {
      return WRONG_DIGEST;
    }
    return matches(value, NAME)
      ? "name a tag after a colon, or better the digest after an @"
      : "give the name as for docker pull, the repository in lower case";
  },
});

/** A repository to push to. */
export const repository = text({
  allowed: "a repository with its registry's address and without a tag",
  example: "registry.example.com/triton",
  refuse(value) {
    if (matches(value, `${REGISTRY}/${PATH}`)) {
      return undefined;
    }
    if (value.includes("://")) {
      return `remove ${value.slice(0, value.indexOf("://") + 3)}`;
    }
    if (matches(value, `${REGISTRY}/${PATH}(?:${TAG})?(?:${DIGEST})?`)) {
      return "remove the tag or digest; each state of the image gets its own tag";
    }
    return matches(value, PATH)
      ? `begin with the registry's address, for example docker.io/${value}`
      : "give address and path in lower case, for example registry.example.com/triton";
  },
});

const oneLine = (value: string): boolean => value !== "" && value.length <= 8192 && !/\p{Cc}/u.test(value);

const username = text({
  allowed: "the name to log in with",
  example: "deployer",
  refuse: (value) =>
    oneLine(value) && !value.includes(":") ? undefined : "give the name alone, without the password",
});

const password = secret({
  what: "a password",
  config: {
    allowed: "a password or token of one line, encrypted in the stack config",
    fix: "pulumi config set --secret --path xsched-triton:runtime.registry.password",
  },
  arguments: {
    allowed: "a password or token of one line",
    fix: "pass the password, from a secret in the stack config",
  },
  refuse: (value) => (oneLine(value) ? undefined : { shown: "(secret)" }),
});

/** How to log in to a registry. */
export const registryLogin = object({
  name: "RegistryLogin",
  description: "How to log in to a registry.",
  allowed: "an object with a username and a password",
  fields: {
    username: required(username, "Name to log in with."),
    password: required(password, "Password or token. A secret."),
  },
});

const BASE = `nvcr.io/nvidia/tritonserver:${PATCHED_RELEASE}-py3`;

/** Docker's scanner, at the digest of its release 1.11.0. The scan of a later one, 1.12.0, needs much more memory. */
const SBOM_GENERATOR =
  "docker.io/docker/buildkit-syft-scanner:1.11.0@sha256:79e7b013cbec16bbb436f312819a49a4a57752b2270c1a9332ae1a10fcc82a68";

const buildFields = {
  repository: required(
    repository,
    "Repository that the image is pushed to, with its registry's address and without a tag. The images stay there when the deployment is deleted, since others may use them.",
  ),
  variant: optional(
    imageVariant,
    "How models are scheduled.",
    `\`patched\` if \`base\` is Triton ${PATCHED_RELEASE}, otherwise \`hooked\``,
  ),
  base: defaulted(
    image,
    BASE,
    `Triton image to add XSched to, by tag or digest. \`patched\` fits Triton ${PATCHED_RELEASE} only. The digest of a tag is looked up once and kept in the stack's state.`,
    { cost: "a download of about 14 GB with the default" },
  ),
  builder: optional(
    image,
    "Image to compile in, by tag or digest; not part of the result. Its C library must be the one of `base` or older, and for `patched` it must have the headers and libraries of CUDA and TensorRT. g++, CMake, make and Python are installed if they are missing.",
    "`nvcr.io/nvidia/tritonserver:22.06-py3-min` for `patched`, otherwise `docker.io/library/ubuntu:20.04`",
    { example: "docker.io/library/ubuntu:20.04" },
  ),
  tagsAsOf: optional(
    text({
      allowed: "a text of at most 100 characters, for example a date",
      example: '"2026-11-28"',
      refuse: (value) => (value.length <= 100 && !/\p{Cc}/u.test(value) ? undefined : "give a date"),
    }),
    "When this changes, the tags of `base` and `builder` are looked up again.",
    "each tag is looked up once",
    { cost: "if a tag has moved, a new image, and with it a restart of Triton" },
  ),
  provenance: defaulted(
    boolean,
    true,
    "Whether the image carries BuildKit's provenance (SLSA): what it was built from, by digest, and how.",
  ),
  sbom: defaulted(
    boolean,
    true,
    "Whether the image carries an SBOM (SPDX): the packages in it. `sbomGenerator` makes it during the build.",
    { cost: "the generator reads the whole image, which takes minutes with the default base" },
  ),
  sbomGenerator: defaulted(
    imageByDigest,
    SBOM_GENERATOR,
    "Image that makes the SBOM, by digest: one that follows BuildKit's SBOM protocol.",
  ),
};

/** The variant of an image that is not told one. */
export function usualVariant(base: string): ImageVariant {
  return releaseOf(base) === PATCHED_RELEASE ? "patched" : "hooked";
}

/** Records faults between the keys; looks at the raw value, so that no other fault hides one. */
function checkBuild(_: unknown, at: Place, raw: unknown): void {
  const release = releaseOf(keyOf(raw, "base") ?? BASE);
  if (release === undefined) return;
  const variant = keyOf(raw, "variant");
  if (variant === "patched" && release !== PATCHED_RELEASE) {
    at.at("variant").fault(
      variant,
      `hooked for Triton ${release}: the change to the TensorRT backend fits Triton ${PATCHED_RELEASE} only`,
      "set variant to hooked, or remove it",
    );
  }
  const facts = factsOf(release);
  if (facts === undefined && variant !== "transparent") {
    at.at("base").fault(
      keyOf(raw, "base"),
      `an image of Triton ${PATCHED_RELEASE} or newer, which the hooks fit`,
      "name a newer release",
    );
  }
  const builder = keyOf(raw, "builder");
  const compiledOn = typeof builder === "string" ? /(?:^|\/)ubuntu:([0-9.]+)/.exec(builder)?.[1] : undefined;
  const runsOn = facts?.ubuntu;
  if (compiledOn === undefined || runsOn === undefined || compiledOn <= runsOn) return;
  const newer = glibcOf(compiledOn);
  at.at("builder").fault(
    builder,
    `an image with the C library of the base or an older one: Triton ${release} has Ubuntu ${runsOn} with glibc ${glibcOf(runsOn)}${newer === undefined ? "" : `, not ${newer}`}`,
    `remove builder, or set it to docker.io/library/ubuntu:${runsOn}`,
  );
}

/** What an image is built from. */
export const imageBuild = object({
  name: "ImageBuild",
  description: "What an image is built from.",
  allowed: "an object that says what to build",
  fields: buildFields,
  check: checkBuild,
});

const keepImages = integer(2, 1000, 10);

const stackBuild = object({
  name: "StackImageBuild",
  description: "What the stack's image is built from.",
  allowed: "an object that says what to build",
  fields: {
    ...buildFields,
    repository: plain(
      optional(
        repository,
        buildFields.repository.description,
        "one that the stack creates, if `host.kind` is `aws`; otherwise required",
      ),
    ),
    keepImages: optional(
      keepImages,
      "How many images to keep in the repository that the stack creates, the newest. They include the image that runs and the one before it.",
      "10",
      { cost: "AWS charges for what is stored" },
    ),
  },
  check: checkBuild,
});

/** A folder in a container that its programs may write to. */
const containerFolder = text({
  allowed: "the absolute path of a folder in the container",
  example: "/opt/models/cache",
  refuse(folder) {
    if (!/^(\/[A-Za-z0-9._@+-]+)+$/.test(folder) || /\/\.\.?(\/|$)/.test(folder)) {
      return "give an absolute path without . and .., of letters, digits and . _ @ + -";
    }
    // What the kernel and the deployment mount there.
    return /^\/(proc|sys|dev|xsched-triton)(\/|$)/.test(folder) ? "choose another folder" : undefined;
  },
});

/** How a container is run, whatever its image. */
export const containerOptions = {
  drainSeconds: defaulted(
    integer(0, 3600, 10),
    0,
    "How long the container keeps serving before it stops, while Docker reports it as unhealthy: for a load balancer that watches its health.",
    { unit: "seconds", cost: "adds to the time of every change that restarts Triton" },
  ),
  memoryGiB: optional(
    integer(1, 65536, 48),
    "How much memory of the machine the container may use, with what it writes to `/dev/shm`, which takes up to half of it, or 1 GiB. Beyond that, the kernel ends Triton, which starts again.",
    "nearly all of the machine: a twentieth is left to the rest of it",
    { unit: "GiB" },
  ),
  writablePaths: defaulted(
    list(containerFolder, { allowed: "a list of folders in the container" }),
    [],
    "Folders in the container that models write to, besides `/tmp`, `/var/tmp`, `/run`, `/root` and `/home`. Everything else is read-only. What is written there lasts as long as the container.",
  ),
};

const signatureFields = {
  signature: optional(
    imageSignature,
    "How an image that is built is signed, with cosign 3 on the machine that deploys.",
    "it is not signed",
  ),
  publicKey: optional(
    publicKey,
    "Public key that `image` must be signed with. The signature is checked on the machine that deploys, with cosign 3, before a host pulls the image.",
    "its digest alone counts",
  ),
};

/** What Triton runs in. */
export const runtimeRule = variants({
  name: "Runtime",
  description: "What Triton runs in.",
  allowed: "an object with the kind of runtime and what that kind needs",
  variants: {
    process: { description: "a tritonserver process, without Docker; CPU only", fields: {} },
    container: {
      description: "a Docker container",
      fields: {
        image: optional(
          image,
          "Triton's image, ready to run: `repository@sha256:…` or `repository:tag`. A tag is resolved to its digest by each `up`.",
          "built by `build`",
        ),
        build: plain(
          optional(
            stackBuild,
            "Builds a Triton image with the XSched core, with the Docker of this machine, and pushes it.",
            "`image` exists already",
          ),
        ),
        registry: optional(
          registryLogin,
          "How to log in to the image's registry, here and on the host.",
          "Docker's own log-in on each of the two",
        ),
        ...signatureFields,
        ...containerOptions,
      },
      check: checkImage,
    },
  },
  usual: "process",
});

/** An image of Triton: one that exists, or one to build. */
export const tritonImageInputs = object({
  name: "TritonImage",
  description: "An image of Triton: exactly one of `image` and `build`.",
  allowed: "an object with the arguments of an image",
  fields: {
    image: optional(
      image,
      "An existing image: `repository@sha256:…`, or `repository:tag`, whose digest each deployment then looks up with the credentials of Docker or of the provider `docker`.",
      "built by `build`",
    ),
    build: optional(
      imageBuild,
      "Builds an image with the XSched core, with the Docker of this machine, and pushes it.",
      "`image` exists already",
    ),
    registry: optional(
      registryLogin,
      "How to log in to the registry that is pushed to.",
      "Docker's own log-in",
    ),
    ...signatureFields,
  },
  check(_, at, raw) {
    checkImage(raw, at);
  },
});

export const ecrRepositoryInputs = object({
  name: "EcrRepository",
  description: "A repository on Amazon ECR.",
  allowed: "an object with the arguments of a repository",
  fields: {
    keepImages: defaulted(keepImages, 10, "How many images to keep, the newest.", {
      cost: "AWS charges for what is stored",
    }),
    forceDelete: defaulted(
      boolean,
      false,
      "Whether the repository may be deleted together with its images. Otherwise it cannot be deleted while it has some.",
    ),
    kmsKeyId: optional(
      kmsKey,
      "Key of your own that the images are encrypted with. Another key replaces the repository.",
      "ECR's own",
    ),
    tags: tagsField,
  },
});

function checkImage(raw: unknown, at: Place): void {
  refuseTwoImages(raw, at);
  refuseStrayKeys(raw, at);
}

/** Refuses both an image and a build, and neither; looks at the raw value, so that no other fault hides this one. */
function refuseTwoImages(value: unknown, at: Place): void {
  const present = [keyOf(value, "image"), keyOf(value, "build")].filter((each) => each !== undefined);
  if (present.length === 0) {
    at.at("image").fault(
      undefined,
      "image, or build to make one",
      `add image: ${image.example}, or build: { repository: ${repository.example} }`,
    );
  } else if (present.length === 2) {
    at.at("build").fault(keyOf(value, "build"), "image or build, not both", "remove one of the two");
  }
}

/** The release that a process is of: components/server/triton-requirements.txt. */
const PROCESS_RELEASE = "24.10";

/** The release of Triton that a runtime's raw config names; undefined if the config doesn't say. */
export function tritonRelease(runtime: unknown): string | undefined {
  if (keyOf(runtime, "kind") !== "container") return PROCESS_RELEASE;
  const build = keyOf(runtime, "build");
  if (build === undefined) return releaseOf(keyOf(runtime, "image"));
  return keyOf(build, "variant") === "patched" ? PATCHED_RELEASE : releaseOf(keyOf(build, "base") ?? BASE);
}
