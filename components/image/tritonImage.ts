import { createHash } from "node:crypto";
import * as fs from "node:fs";
import * as path from "node:path";

import * as command from "@pulumi/command";
import * as docker from "@pulumi/docker";
import * as dockerBuild from "@pulumi/docker-build";
import * as pulumi from "@pulumi/pulumi";

import {
  ComponentInputs,
  image as imageRule,
  imageBuild,
  imageSignature,
  type ImageVariant,
  publicKey,
  registryLogin,
  type TritonImageArgs,
  tritonImageInputs,
  usualVariant,
} from "../settings";
import { stageBuildContext } from "./buildContext";
import { type Login, removeLogin, writeLogin } from "./dockerLogin";
import { pinnedImage, referenceTo } from "./pinnedImage";
import { registryOf, repositoryOf } from "./registry";
import { signedImage, verifiedImage } from "./signature";

/** Builders that fit the default base of each variant. */
const BUILDERS: Readonly<Record<ImageVariant, string>> = {
  // Old enough for every Triton in use: what is compiled there runs with any later C library.
  hooked: "docker.io/library/ubuntu:20.04",
  patched: "nvcr.io/nvidia/tritonserver:22.06-py3-min",
  transparent: "docker.io/library/ubuntu:20.04",
};

const TRANSPARENT =
  "build.variant is transparent: models have no priorities of their own, only the two CUDA priorities of their streams. " +
  "hooked replaces it, on the same base: set build.variant to hooked. The image is then built once more, and Triton restarts.";

/**
 * The date of every file and of the image itself, in seconds since 1970: 1980, the earliest date that archives can hold.
 * Equal sources on an equal base give an equal digest, whenever they are built.
 */
const SOURCE_DATE_EPOCH = "315532800";

/**
 * An image of Triton for a server to run, always referred to by its digest: an existing one, or one that is built and
 * pushed here. It is rebuilt only when its sources or arguments change.
 *
 * @example
 * ```ts
 * const image = new TritonImage("triton", { build: { repository: "registry.example.com/triton" } });
 * new TritonServer("server", { image: image.reference, directory: host.directory, models: repository.models });
 * ```
 */
export class TritonImage extends pulumi.ComponentResource {
  /** The image as `repository@sha256:…`. */
  public readonly reference: pulumi.Output<string>;
  /** What it is built on, with its digest. Absent if the image exists already. */
  public readonly base?: pulumi.Output<string>;

  public constructor(name: string, args: TritonImageArgs, opts?: pulumi.ComponentResourceOptions) {
    const inputs = new ComponentInputs("TritonImage", name, tritonImageInputs, args);
    super("xsched-triton:index:TritonImage", name, {}, opts);
    const { image, build } = inputs.known;
    const registry = inputs.resolveOptional(registryLogin, "registry");
    const login = (pushed: pulumi.Output<string>): pulumi.Output<string | undefined> =>
      loginFor(name, pushed, pushed, registry);
    if (build === undefined) {
      const found = this.resolve(inputs.resolve(imageRule, image, "image"));
      const key = inputs.resolveOptional(publicKey, "publicKey");
      this.reference =
        key === undefined
          ? found
          : verifiedImage(
              `${name}-verified`,
              { image: found, publicKey: key, dockerConfig: login(found) },
              { parent: this },
            );
    } else {
      const { reference, base } = this.build(name, inputs.resolve(imageBuild, build, "build"), registry);
      const signature = inputs.resolveOptional(imageSignature, "signature");
      this.reference =
        signature === undefined
          ? reference
          : signedImage(
              `${name}-signature`,
              { image: reference, signature, dockerConfig: login(reference) },
              { parent: this },
            );
      this.base = base;
    }
    // Every command that needs the login has run.
    this.reference.apply(() => {
      removeLogin(name);
    });
    this.registerOutputs({ reference: this.reference, ...(this.base && { base: this.base }) });
  }

  private resolve(image: pulumi.Output<string>): pulumi.Output<string> {
    return image.apply((known) => {
      const repository = repositoryOf(known);
      const digest = known.split("@")[1];
      if (digest !== undefined) return pulumi.output(`${repository}@${digest}`);
      const found = docker.getRegistryImageOutput({ name: known }, { parent: this });
      return pulumi.interpolate`${repository}@${found.sha256Digest}`;
    });
  }

  private build(
    name: string,
    build: pulumi.Output<BuildSettings>,
    registry: pulumi.Output<Login> | undefined,
  ): { reference: pulumi.Output<string>; base: pulumi.Output<string> } {
    const { repository, tagsAsOf } = build;
    const variant = build.apply((known) => known.variant ?? usualVariant(known.base));
    variant.apply(async (known) => {
      if (known === "transparent") await pulumi.log.warn(TRANSPARENT, this);
    });
    const staged = variant.apply((known) => stageBuildContext(known, process.cwd()));
    const pin = (part: string, image: pulumi.Output<string>): ReturnType<typeof pinnedImage> =>
      pinnedImage(
        `${name}-${part}`,
        {
          image,
          asOf: tagsAsOf.apply((date) => date ?? ""),
          dockerConfig: loginFor(name, image, repository, registry),
        },
        { parent: this },
      );
    const base = pin("base", build.base);
    const builder = pin(
      "builder",
      pulumi.all([variant, build.builder]).apply(([kind, chosen]) => chosen ?? BUILDERS[kind]),
    ).apply(referenceTo);
    const attestations = build.apply(attestationArguments);
    const state = pulumi
      .all([repository, variant, base.apply(referenceTo), builder, staged.revision, attestations])
      .apply((parts) => createHash("sha256").update(JSON.stringify(parts)).digest("hex"));
    // Sources that return to an earlier state are built again, with another digest if the builder or the base has changed
    // meanwhile. A registry with immutable tags would refuse that image under its earlier tag.
    const time = new command.local.Command(
      `${name}-build-time`,
      {
        create: "date -u +%Y%m%d-%H%M%S",
        // Runs again when this changes.
        environment: { STATE: state },
        interpreter: ["/bin/bash", "-c"],
        addPreviousOutputInEnv: false,
        logging: command.local.Logging.Stderr,
      },
      { parent: this },
    ).stdout;
    const image = new dockerBuild.Image(
      `${name}-build`,
      {
        context: { location: staged.location },
        dockerfile: { location: staged.dockerfile },
        buildArgs: pulumi
          .all([variant, base.apply(referenceTo), builder, staged.revision, attestations])
          .apply(([kind, BASE, BUILDER, REVISION, attested]) => ({
            ...{ VARIANT: kind, BASE, BUILDER, VERSION: packageVersion(), REVISION, SOURCE_DATE_EPOCH },
            ...attested,
          })),
        // https://github.com/opencontainers/image-spec/blob/main/annotations.md
        labels: {
          "org.opencontainers.image.base.name": base.name,
          "org.opencontainers.image.base.digest": base.digest,
        },
        target: "runtime",
        // The core supports no other platform.
        platforms: [dockerBuild.Platform.Linux_amd64],
        tags: [
          pulumi.interpolate`${repository}:${variant}-${state.apply((hash) => hash.slice(0, 16))}-${time}`,
        ],
        // The export pushes: timestamps can only be rewritten there.
        push: false,
        exports: [{ raw: "type=registry,rewrite-timestamp=true" }],
        buildOnPreview: false,
        registries: registry && [
          {
            address: repository.apply(registryOf),
            username: registry.username,
            password: pulumi.secret(registry.password),
          },
        ],
      },
      // Another stack with the same sources uses the same image.
      { parent: this, retainOnDelete: true },
    );
    return {
      reference: pulumi.interpolate`${repository}@${image.digest}`,
      base: base.apply(referenceTo),
    };
  }
}

/** The checked arguments of a build. */
interface BuildSettings {
  readonly repository: string;
  readonly variant: ImageVariant | undefined;
  readonly base: string;
  readonly builder: string | undefined;
  readonly tagsAsOf: string | undefined;
  readonly provenance: boolean;
  readonly sbom: boolean;
  readonly sbomGenerator: string;
}

/**
 * The build arguments that make BuildKit attest; the provider has no setting of its own. No argument of ours is a secret,
 * so that the provenance may tell them all.
 * https://docs.docker.com/build/metadata/attestations/
 */
function attestationArguments({
  provenance,
  sbom,
  sbomGenerator,
}: Pick<BuildSettings, "provenance" | "sbom" | "sbomGenerator">): Readonly<Record<string, string>> {
  return {
    ...(provenance && { BUILDKIT_ATTEST_PROVENANCE: "mode=max" }),
    ...(sbom && { BUILDKIT_ATTEST_SBOM: `generator=${sbomGenerator}` }),
  };
}

/** Docker's configuration for an image: the stack's login if the image is in the registry that it is for, or Docker's own. */
function loginFor(
  name: string,
  image: pulumi.Output<string>,
  repository: pulumi.Output<string>,
  registry: pulumi.Output<Login> | undefined,
): pulumi.Output<string | undefined> {
  if (registry === undefined) return pulumi.output(undefined);
  const folder = pulumi.all([image, repository, registry]).apply(([known, pushed, login]) => {
    const address = registryOf(pushed);
    return registryOf(known) === address ? writeLogin(name, address, login) : undefined;
  });
  // The path alone tells nothing.
  return pulumi.unsecret(folder);
}

function packageVersion(): string {
  const file = path.join(__dirname, "../package.json");
  return (JSON.parse(fs.readFileSync(file, "utf8")) as { version: string }).version;
}
