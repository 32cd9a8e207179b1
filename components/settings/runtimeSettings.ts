import { IMAGE_VARIANTS } from "./allowedValues";
import { PATCHED_RELEASE } from "./awsInstanceTypes";
import { encrypted } from "./encrypted";
import { Place } from "./place";
import { choice, defaulted, integer, keyOf, object, optional, required, Rule, text, variants } from "./rules";
import { RuntimeSettings } from "./types";

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

function matches(given: string, pattern: string): boolean {
  return (given.split("@")[0] ?? "").length <= LONGEST_NAME && new RegExp(`^${pattern}$`).test(given);
}

const WRONG_DIGEST = "give the digest as docker prints it: 64 hexadecimal digits in lower case after sha256:";

/** An image that cannot change. */
export const imageByDigest = text({
  allowed: "an image by digest: repository@sha256:<64 hexadecimal digits>",
  example: "registry.example.com/triton@sha256:…",
  refuse(given) {
    if (matches(given, `${NAME}(?:${TAG})?${DIGEST}`)) {
      return undefined;
    }
    return given.includes("@")
      ? WRONG_DIGEST
      : "a tag can move; get the digest with: docker buildx imagetools inspect IMAGE";
  },
});

/** An image by digest, or by a tag that may move. */
export const image = text({
  allowed: "an image by digest or tag: repository@sha256:<64 hexadecimal digits>, or repository:tag",
  example: "registry.example.com/triton@sha256:…",
  refuse(given) {
    if (matches(given, `${NAME}(?:${TAG})?${DIGEST}`) || matches(given, `${NAME}${TAG}`)) {
      return undefined;
    }
    if (given.includes("@")) {
      return WRONG_DIGEST;
    }
    return matches(given, NAME)
      ? "name a tag after a colon, or better the digest after an @"
      : "give the name as for docker pull, the repository in lower case";
  },
});

/** A repository to push to. */
export const repository = text({
  allowed: "a repository with its registry's address and without a tag",
  example: "registry.example.com/triton",
  refuse(given) {
    if (matches(given, `${REGISTRY}/${PATH}`)) {
      return undefined;
    }
    if (given.includes("://")) {
      return `leave ${given.slice(0, given.indexOf("://") + 3)} out`;
    }
    if (matches(given, `${REGISTRY}/${PATH}(?:${TAG})?(?:${DIGEST})?`)) {
      return "leave the tag or digest out; each state of the image gets a tag of its own";
    }
    return matches(given, PATH)
      ? `begin with the registry's address, for example docker.io/${given}`
      : "give address and path in lower case, for example registry.example.com/triton";
  },
});

const oneLine = (given: string): boolean => given !== "" && given.length <= 8192 && !/\p{Cc}/u.test(given);

export const username = text({
  allowed: "the name to log in with",
  example: "deployer",
  refuse: (given) =>
    oneLine(given) && !given.includes(":") ? undefined : "give the name alone, without the password",
});

/** The text of a password, which must never reach a message. */
export function passwordText(allowed: string, fix: string): Rule<string> {
  return {
    type: "string",
    allowed,
    example: "(secret)",
    read: (value, at) =>
      typeof value === "string" && oneLine(value) ? value : at.faultShown("(secret)", allowed, fix),
  };
}

const PASSWORD_FIX = "pulumi config set --secret --path xsched-triton:runtime.registry.password";

const password = encrypted(
  passwordText("a password or token of one line, encrypted in the stack config", PASSWORD_FIX),
  "a password",
  PASSWORD_FIX,
);

const BASE = `nvcr.io/nvidia/tritonserver:${PATCHED_RELEASE}-py3`;

/** What an image is built from; the same in the stack config and as arguments. */
export const buildFields = {
  repository: required(
    repository,
    "Repository that the image is pushed to, with the registry's address. What it holds stays there when the deployment goes.",
  ),
  variant: defaulted(
    choice(IMAGE_VARIANTS),
    "patched",
    "How Triton is scheduled: `patched` builds Triton's TensorRT backend with XSched, and each model has its own priority; `transparent` leaves any release of Triton as it is, and a model is scheduled at the CUDA priority of its streams.",
  ),
  base: defaulted(image, BASE, "Image of Triton that is added to. `patched` fits 22.06 only."),
  builder: optional(
    image,
    "Image to compile in. Its C library is the one of `base` or older, and for `patched` it has the headers of CUDA and TensorRT. What it lacks of g++, CMake, make and Python is installed.",
    "`nvcr.io/nvidia/tritonserver:22.06-py3-min` for `patched`, `docker.io/library/ubuntu:20.04` for `transparent`",
  ),
};

export const keepImages = integer(2, 1000, 10);

const buildInConfig = {
  ...buildFields,
  repository: optional(
    repository,
    buildFields.repository.description,
    "one that the stack makes, if `host.kind` is `aws`; else required",
  ),
  keepImages: optional(
    keepImages,
    "How many images the repository that the stack makes keeps, the newest. The one that runs and the one before it are among them.",
    "10",
  ),
};

const build = object("an object that says what to build", buildInConfig);

const registry = object("an object with a username and a password", {
  username: required(username, "Name to log in with."),
  password: required(password, "Password or token. A secret."),
});

/** Seconds that a container may serve on before it stops. */
export const drainSeconds = defaulted(
  integer(0, 3600, 0),
  0,
  "Seconds for which the container serves on before it stops, while Docker shows it as unhealthy: for a load balancer that follows that.",
);

const kinds = variants(
  "an object with the kind of runtime and what that kind needs",
  {
    process: { description: "a tritonserver process, without Docker; CPU only", fields: {} },
    container: {
      description: "a Docker container",
      fields: {
        image: optional(
          image,
          "Triton's image, ready to run. A tag is resolved to its digest at each `up`.",
          "made by `build`",
        ),
        build: optional(
          build,
          "Builds Triton's image with the XSched core on this machine, and pushes it.",
          "`image` is there already",
        ),
        registry: optional(
          registry,
          "How to log in to the registry of the image, here and on the host.",
          "Docker's own log-in on each of the two",
        ),
        drainSeconds,
      },
    },
  },
  "process",
);

/** What Triton runs in. */
export const runtimeRule: Rule<RuntimeSettings> = {
  ...kinds,
  read(value, at) {
    if (keyOf(value, "kind") === "container") refuseTwoImages(value, at);
    return kinds.read(value, at);
  },
};

/** Refuses both an image and a build, and neither; looks at the raw value, so that no other fault hides this one. */
export function refuseTwoImages(value: unknown, at: Place): void {
  const given = [keyOf(value, "image"), keyOf(value, "build")].filter((each) => each !== undefined);
  if (given.length === 0) {
    at.at("image").fault(
      undefined,
      "image, or build to make one",
      `add image: ${image.example}, or build: { repository: ${repository.example} }`,
    );
  } else if (given.length === 2) {
    at.at("build").fault(keyOf(value, "build"), "image or build, not both", "take one of the two out");
  }
}

/**
 * The release of Triton that a runtime's raw config names; undefined if it cannot be told from it. A process runs on
 * the CPU, but what is said of it holds for the container that it becomes.
 */
export function tritonRelease(runtime: unknown): string | undefined {
  const build = keyOf(runtime, "build");
  if (keyOf(runtime, "kind") !== "container") return PATCHED_RELEASE;
  if (build !== undefined && keyOf(build, "variant") !== "transparent") return PATCHED_RELEASE;
  const image = build === undefined ? keyOf(runtime, "image") : (keyOf(build, "base") ?? BASE);
  return typeof image === "string" ? /\/tritonserver:([0-9]{2}\.[0-9]{2})\b/.exec(image)?.[1] : undefined;
}
