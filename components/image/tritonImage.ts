import { createHash } from "node:crypto";
import * as fs from "node:fs";
import * as path from "node:path";

import * as command from "@pulumi/command";
import * as docker from "@pulumi/docker";
import * as dockerBuild from "@pulumi/docker-build";
import * as pulumi from "@pulumi/pulumi";

import { anyImageArgument, ArgumentCheck, buildArgument, loginArgument, tritonImageNow } from "../arguments";
import { stageBuildContext } from "./buildContext";
import { registryOf, repositoryOf } from "./registry";

/** How models of an image are scheduled. */
export enum ImageVariant {
  /**
   * The TensorRT backend of Triton 22.06, changed so that each model is scheduled at its own priority. Runs on T4,
   * V100, A100 and A10G: that Triton's TensorRT knows no newer GPU.
   */
  Patched = "patched",
  /** Any release of Triton as it is; each CUDA stream is scheduled at its CUDA priority. */
  Transparent = "transparent",
}

/** How to log in to a registry. */
export interface RegistryLoginArgs {
  /** Name to log in with. */
  username: pulumi.Input<string>;
  /** Password or token. Kept as a secret. */
  password: pulumi.Input<string>;
}

/** What an image is built from. */
export interface ImageBuildArgs {
  /**
   * Repository to push to, with its registry's address and without a tag: `registry.example.com/triton`. Images stay
   * there when the component goes, since others may use them.
   */
  repository: pulumi.Input<string>;
  /** How models are scheduled. @default ImageVariant.Patched */
  variant?: pulumi.Input<ImageVariant>;
  /**
   * Image of Triton to add XSched to, by tag or digest; about 14 GB with the default. `ImageVariant.Patched` fits
   * Triton 22.06 only.
   * @default "nvcr.io/nvidia/tritonserver:22.06-py3"
   */
  base?: pulumi.Input<string>;
  /**
   * Image to compile in, by tag or digest; not a part of the result. Its C library must be the one of `base` or older,
   * and for `ImageVariant.Patched` it must have the headers and libraries of CUDA and TensorRT.
   * @default "nvcr.io/nvidia/tritonserver:22.06-py3-min" for patched, "docker.io/library/ubuntu:20.04" for transparent
   */
  builder?: pulumi.Input<string>;
}

/** Exactly one of `image` and `build`. */
export interface TritonImageArgs {
  /**
   * An image that is there already: `repository@sha256:…`, or `repository:tag`, whose digest is then asked for at each
   * deployment with the credentials that Docker or the provider `docker` has.
   */
  image?: pulumi.Input<string>;
  /** Builds an image with the XSched core, with the Docker of this machine, and pushes it. */
  build?: pulumi.Input<ImageBuildArgs>;
  /** How to log in to the registry that is pushed to. @default Docker's own log-in */
  registry?: pulumi.Input<RegistryLoginArgs>;
}

/** Builders that fit the default base of each variant. */
const BUILDERS: Readonly<Record<`${ImageVariant}`, string>> = {
  patched: "nvcr.io/nvidia/tritonserver:22.06-py3-min",
  // Old enough for any Triton that is in use: what is compiled there runs on every later C library.
  transparent: "docker.io/library/ubuntu:20.04",
};

/**
 * What every file and the image itself are dated, in seconds since 1970: 1980, the earliest that archives know. Equal
 * sources on an equal base give an equal digest, whenever they are built.
 */
const SOURCE_DATE_EPOCH = "315532800";

/**
 * An image of Triton for a server to run from, always by its digest: one that is there, or one that is built and pushed
 * here. It is built again when its sources or arguments change, and for nothing else.
 *
 * @example
 * ```ts
 * const image = new TritonImage("triton", { build: { repository: "registry.example.com/triton" } });
 * new TritonDeployment("inference", { image: image.reference, models });
 * ```
 */
export class TritonImage extends pulumi.ComponentResource {
  /** The image as `repository@sha256:…`. */
  public readonly reference: pulumi.Output<string>;

  public constructor(name: string, args: TritonImageArgs, opts?: pulumi.ComponentResourceOptions) {
    const check = new ArgumentCheck("TritonImage", name);
    check.now(tritonImageNow, args);
    super("xsched-triton:index:TritonImage", name, {}, opts);
    if (args.build === undefined) {
      this.reference = this.resolve(check.whenKnown(anyImageArgument, args.image, "image"));
    } else {
      const build = check.whenKnown(buildArgument, args.build, "build");
      const registry = args.registry && check.whenKnown(loginArgument, args.registry, "registry");
      this.reference = this.build(`${name}-build`, build, registry);
    }
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
    // A state that comes back is built anew, and if a builder or a base was replaced meanwhile, differently: a registry
    // whose tags never move would refuse it at the tag that it had.
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
          BUILDER: pulumi.all([variant, builder]).apply(([kind, given]) => given ?? BUILDERS[kind]),
          VERSION: packageVersion(),
          REVISION: staged.revision,
          SOURCE_DATE_EPOCH,
        },
        target: "runtime",
        // The core is written for it.
        platforms: [dockerBuild.Platform.Linux_amd64],
        tags: [
          pulumi.interpolate`${repository}:${variant}-${state.apply((hash) => hash.slice(0, 16))}-${time}`,
        ],
        // By its export, the only place for that setting.
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
      // Another stack that has built the same has the same image.
      { parent: this, retainOnDelete: true },
    );
    return pulumi.interpolate`${repository}@${image.digest}`;
  }
}

/** What is to be built, after its check. */
interface BuildSettings {
  readonly repository: string;
  readonly variant: `${ImageVariant}`;
  readonly base: string;
  readonly builder: string | undefined;
}

function packageVersion(): string {
  const file = path.join(__dirname, "../package.json");
  return (JSON.parse(fs.readFileSync(file, "utf8")) as { version: string }).version;
}
