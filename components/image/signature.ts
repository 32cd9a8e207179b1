import * as fs from "node:fs";
import * as path from "node:path";

import * as command from "@pulumi/command";
import * as pulumi from "@pulumi/pulumi";

import type { ImageSignature } from "../settings";

const textOf = (file: string): string => fs.readFileSync(path.join(__dirname, file), "utf8");

interface ImageCheckArgs {
  /** The image by digest. */
  readonly image: pulumi.Output<string>;
  /** Docker's configuration with the login to the image's registry; undefined for Docker's own. */
  readonly dockerConfig: pulumi.Output<string | undefined>;
}

/** Signs an image. The output is the same image, once it is signed. */
export function signedImage(
  name: string,
  args: ImageCheckArgs & { readonly signature: pulumi.Output<pulumi.Unwrap<ImageSignature>> },
  opts: pulumi.CustomResourceOptions,
): pulumi.Output<string> {
  const environment = args.signature.apply(({ key, keyFile, kms, password = "", transparencyLog }) => ({
    KEY: kms ?? "env://SIGNING_KEY",
    SIGNING_KEY: key ?? (keyFile === undefined ? "" : fs.readFileSync(keyFile, "utf8")),
    COSIGN_PASSWORD: password,
    TRANSPARENCY_LOG: String(transparencyLog),
  }));
  // A key from a file is as secret as one from the stack config.
  return passed(name, "sign-image.sh", args, pulumi.secret(environment), opts);
}

/** Checks the signature of an image. The output is the same image, if it is signed. */
export function verifiedImage(
  name: string,
  args: ImageCheckArgs & { readonly publicKey: pulumi.Output<string> },
  opts: pulumi.CustomResourceOptions,
): pulumi.Output<string> {
  return passed(name, "verify-image.sh", args, { PUBLIC_KEY: args.publicKey }, opts);
}

/** An image after a script has run for it. */
function passed(
  name: string,
  script: string,
  { image, dockerConfig }: ImageCheckArgs,
  environment: pulumi.Input<Record<string, pulumi.Input<string>>>,
  opts: pulumi.CustomResourceOptions,
): pulumi.Output<string> {
  const { stdout } = new command.local.Command(
    name,
    {
      create: "bash -s",
      // Not among the words, which an error repeats.
      stdin: textOf(script),
      // Runs again when this changes.
      environment: pulumi.all([image, environment, dockerConfig]).apply(([IMAGE, others, folder]) => ({
        ...{ IMAGE, ...others },
        ...(folder !== undefined && { DOCKER_CONFIG: folder }),
      })),
      addPreviousOutputInEnv: false,
      logging: command.local.Logging.Stderr,
    },
    opts,
  );
  // What the script prints is no secret, though it was told some.
  return pulumi.all([image, pulumi.unsecret(stdout)]).apply(([known]) => known);
}
