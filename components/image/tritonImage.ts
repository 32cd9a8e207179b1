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
  type ImageVariant,
  registryLogin,
  type TritonImageArgs,
  tritonImageInputs,
} from "../settings";
import { stageBuildContext } from "./buildContext";
import { registryOf, repositoryOf } from "./registry";

/** Builders that fit the default base of each variant. */
const BUILDERS: Readonly<Record<ImageVariant, string>> = {
  patched: "nvcr.io/nvidia/tritonserver:22.06-py3-min",
  // Old enough for every Triton in use: what is compiled there runs with any later C library.
  transparent: "docker.io/library/ubuntu:20.04",
};

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

  public constructor(name: string, args: TritonImageArgs, opts?: pulumi.ComponentResourceOptions) {
    const inputs = new ComponentInputs("TritonImage", name, tritonImageInputs, args);
    super("xsched-triton:index:TritonImage", name, {}, opts);
    const { image, build } = inputs.known;
    this.reference =
      build === undefined
        ? this.resolve(inputs.resolve(imageRule, image, "image"))
        : this.build(
            `${name}-build`,
            inputs.resolve(imageBuild, build, "build"),
            inputs.resolveOptional(registryLogin, "registry"),
          );
    this.registerOutputs({ reference: this.reference });
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
    registry: pulumi.Output<{ username: string; password: string }> | undefined,
  ): pulumi.Output<string> {
    const { repository, variant, base, builder } = build;
    const staged = variant.apply((known) => stageBuildContext(known, process.cwd()));
    const state = pulumi
      .all([repository, variant, base, builder, staged.revision])
      .apply((parts) => createHash("sha256").update(JSON.stringify(parts)).digest("hex"));
    // Sources that return to an earlier state are built again, with another digest if the builder or the base has changed
    // meanwhile. A registry with immutable tags would refuse that image under its earlier tag.
    const time = new command.local.Command(
      `${name}-time`,
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
      name,
      {
        context: { location: staged.location },
        dockerfile: { location: staged.dockerfile },
        buildArgs: {
          VARIANT: variant,
          BASE: base,
          BUILDER: pulumi.all([variant, builder]).apply(([kind, chosen]) => chosen ?? BUILDERS[kind]),
          VERSION: packageVersion(),
          REVISION: staged.revision,
          SOURCE_DATE_EPOCH,
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
    return pulumi.interpolate`${repository}@${image.digest}`;
  }
}

/** The checked arguments of a build. */
interface BuildSettings {
  readonly repository: string;
  readonly variant: ImageVariant;
  readonly base: string;
  readonly builder: string | undefined;
}

function packageVersion(): string {
  const file = path.join(__dirname, "../package.json");
  return (JSON.parse(fs.readFileSync(file, "utf8")) as { version: string }).version;
}
