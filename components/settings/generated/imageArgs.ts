// Generated from the rules in components/settings by `npm run generate`; do not edit.
import type * as pulumi from "@pulumi/pulumi";

/** How models of an image are scheduled. */
export const ImageVariant = {
  /** Any Triton release, unchanged; each model of each backend is scheduled at its own priority. */
  Hooked: "hooked",
  /** Triton 22.06 with a TensorRT backend that schedules each model at its own priority. */
  Patched: "patched",
  /**
   * The core alone, for programs other than Triton; each CUDA stream is scheduled at its CUDA
   * priority.
   */
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
   * @default `patched` if `base` is Triton 22.06, otherwise `hooked`
   */
  variant?: pulumi.Input<ImageVariant>;
  /**
   * Triton image to add XSched to, by tag or digest. `patched` fits Triton 22.06 only. The digest of a
   * tag is looked up once and kept in the stack's state. Cost: a download of about 14 GB with the
   * default.
   * @default "nvcr.io/nvidia/tritonserver:22.06-py3"
   * @example "registry.example.com/triton@sha256:…"
   */
  base?: pulumi.Input<string>;
  /**
   * Image to compile in, by tag or digest; not part of the result. Its C library must be the one of
   * `base` or older, and for `patched` it must have the headers and libraries of CUDA and TensorRT.
   * g++, CMake, make and Python are installed if they are missing.
   * @default `nvcr.io/nvidia/tritonserver:22.06-py3-min` for `patched`, otherwise
   * `docker.io/library/ubuntu:20.04`
   * @example "docker.io/library/ubuntu:20.04"
   */
  builder?: pulumi.Input<string>;
  /**
   * When this changes, the tags of `base` and `builder` are looked up again. Cost: if a tag has moved,
   * a new image, and with it a restart of Triton.
   * @default each tag is looked up once
   * @example "2026-11-28"
   */
  tagsAsOf?: pulumi.Input<string>;
  /**
   * Whether the image carries BuildKit's provenance (SLSA): what it was built from, by digest, and
   * how.
   * @default true
   */
  provenance?: pulumi.Input<boolean>;
  /**
   * Whether the image carries an SBOM (SPDX): the packages in it. `sbomGenerator` makes it during the
   * build. Cost: the generator reads the whole image, which takes minutes with the default base.
   * @default true
   */
  sbom?: pulumi.Input<boolean>;
  /**
   * Image that makes the SBOM, by digest: one that follows BuildKit's SBOM protocol.
   * @default
   * "docker.io/docker/buildkit-syft-scanner:1.11.0@sha256:79e7b013cbec16bbb436f312819a49a4a57752b2270c1a9332ae1a10fcc82a68"
   * @example "registry.example.com/triton@sha256:…"
   */
  sbomGenerator?: pulumi.Input<string>;
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

/** How an image is signed, with cosign: exactly one of `key`, `keyFile` and `kms`. */
export interface ImageSignatureArgs {
  /**
   * Private key, the text of cosign's `cosign.key`. A secret.
   * @default `keyFile`, or `kms`
   */
  key?: pulumi.Input<string>;
  /**
   * File on the machine that deploys with the private key. Its content is kept in the stack's state,
   * encrypted.
   * @default `key`, or `kms`
   * @example "cosign.key"
   */
  keyFile?: pulumi.Input<string>;
  /**
   * Key of a key service, which the machine that deploys may sign with. The key never leaves the
   * service.
   * @default `key`, or `keyFile`
   * @example "awskms:///alias/images"
   */
  kms?: pulumi.Input<string>;
  /**
   * Password of `key` or `keyFile`. A secret.
   * @default empty
   */
  password?: pulumi.Input<string>;
  /**
   * Whether the signature is recorded in Sigstore's public log (Rekor), where everyone can read the
   * image's name and digest, for ever.
   * @default false
   */
  transparencyLog?: pulumi.Input<boolean>;
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
  /**
   * How an image that is built is signed, with cosign 3 on the machine that deploys.
   * @default it is not signed
   */
  signature?: pulumi.Input<ImageSignatureArgs>;
  /**
   * Public key that `image` must be signed with. The signature is checked on the machine that deploys,
   * with cosign 3, before a host pulls the image.
   * @default its digest alone counts
   * @example "-----BEGIN PUBLIC KEY-----…"
   */
  publicKey?: pulumi.Input<string>;
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
   * Key of your own that the images are encrypted with. Another key replaces the repository.
   * @default ECR's own
   * @example "arn:aws:kms:us-east-1:111122223333:key/01234567-89ab-cdef-0123-456789abcdef"
   */
  kmsKeyId?: pulumi.Input<string>;
  /**
   * Tags for everything that is created on AWS.
   * @default {}
   * @example { team: "inference" }
   */
  tags?: pulumi.Input<Record<string, pulumi.Input<string>>>;
}
