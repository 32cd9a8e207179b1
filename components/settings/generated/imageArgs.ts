// Generated from the rules in components/settings by `npm run generate`; do not edit.
import type * as pulumi from "@pulumi/pulumi";

/** How models of an image are scheduled. */
export const ImageVariant = {
  /** Triton 22.06 with a TensorRT backend that schedules each model at its own priority. */
  Patched: "patched",
  /** Any Triton release; each CUDA stream is scheduled at its CUDA priority. */
  Transparent: "transparent",
} as const;
export type ImageVariant = (typeof ImageVariant)[keyof typeof ImageVariant];

/** What an image is built from. */
export interface ImageBuildArgs {
  /**
   * Repository that the image is pushed to, with its registry's address and without a tag. The images
   * stay there when the deployment is deleted, since others may use them.
   * @example "registry.example.com/triton"
   */
  repository: pulumi.Input<string>;
  /**
   * How models are scheduled.
   * @default "patched"
   */
  variant?: pulumi.Input<ImageVariant>;
  /**
   * Triton image to add XSched to, by tag or digest. `patched` fits Triton 22.06 only. Cost: a
   * download of about 14 GB with the default.
   * @default "nvcr.io/nvidia/tritonserver:22.06-py3"
   * @example "registry.example.com/triton@sha256:…"
   */
  base?: pulumi.Input<string>;
  /**
   * Image to compile in, by tag or digest; not part of the result. Its C library must be the one of
   * `base` or older, and for `patched` it must have the headers and libraries of CUDA and TensorRT.
   * g++, CMake, make and Python are installed if they are missing.
   * @default `nvcr.io/nvidia/tritonserver:22.06-py3-min` for `patched`,
   * `docker.io/library/ubuntu:20.04` for `transparent`
   * @example "docker.io/library/ubuntu:20.04"
   */
  builder?: pulumi.Input<string>;
}

/** How to log in to a registry. */
export interface RegistryLoginArgs {
  /**
   * Name to log in with.
   * @example "deployer"
   */
  username: pulumi.Input<string>;
  /** Password or token. A secret. */
  password: pulumi.Input<string>;
}

/** An image of Triton: exactly one of `image` and `build`. */
export interface TritonImageArgs {
  /**
   * An existing image: `repository@sha256:…`, or `repository:tag`, whose digest each deployment then
   * looks up with the credentials of Docker or of the provider `docker`.
   * @default built by `build`
   * @example "registry.example.com/triton@sha256:…"
   */
  image?: pulumi.Input<string>;
  /**
   * Builds an image with the XSched core, with the Docker of this machine, and pushes it.
   * @default `image` exists already
   */
  build?: pulumi.Input<ImageBuildArgs>;
  /**
   * How to log in to the registry that is pushed to.
   * @default Docker's own log-in
   */
  registry?: pulumi.Input<RegistryLoginArgs>;
}

/** A repository on Amazon ECR. */
export interface EcrRepositoryArgs {
  /**
   * How many images to keep, the newest. An integer from 2 to 1000. Cost: AWS charges for what is
   * stored.
   * @default 10
   */
  keepImages?: pulumi.Input<number>;
  /**
   * Whether the repository may be deleted together with its images. Otherwise it cannot be deleted
   * while it has some.
   * @default false
   */
  forceDelete?: pulumi.Input<boolean>;
  /**
   * Tags for everything that is created on AWS.
   * @default {}
   * @example { team: "inference" }
   */
  tags?: pulumi.Input<Record<string, pulumi.Input<string>>>;
}
