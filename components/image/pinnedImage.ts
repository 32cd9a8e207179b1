import * as fs from "node:fs";
import * as path from "node:path";

import * as command from "@pulumi/command";
import * as pulumi from "@pulumi/pulumi";

/** An image that cannot change. */
export interface PinnedImage {
  /** As it was given, without a digest. */
  readonly name: string;
  /** `sha256:` and 64 hexadecimal digits. */
  readonly digest: string;
}

export interface PinnedImageArgs {
  readonly image: pulumi.Output<string>;
  /** Another text looks up the tag again. */
  readonly asOf: pulumi.Output<string>;
  /** Docker's configuration with the login to the image's registry; undefined for Docker's own. */
  readonly dockerConfig: pulumi.Output<string | undefined>;
}

const SCRIPT = fs.readFileSync(path.join(__dirname, "pin-image.cjs"), "utf8");

/** Looks up the digest of an image once, and keeps it in the state. */
export function pinnedImage(
  name: string,
  { image, asOf, dockerConfig }: PinnedImageArgs,
  opts: pulumi.CustomResourceOptions,
): pulumi.Output<PinnedImage> {
  const { stdout } = new command.local.Command(
    name,
    {
      create: "node -",
      // Not among the words, which an error repeats.
      stdin: SCRIPT,
      environment: pulumi.all([image, asOf, dockerConfig]).apply(([known, date, folder]) => ({
        IMAGE: known,
        AS_OF: date,
        ...(folder !== undefined && { DOCKER_CONFIG: folder }),
      })),
      // The script keeps what it has found.
      addPreviousOutputInEnv: true,
      logging: command.local.Logging.Stderr,
    },
    opts,
  );
  return pulumi.all([image, stdout]).apply(([known, text]) => ({
    name: known.split("@")[0] ?? "",
    digest: (JSON.parse(text) as { digest: string }).digest,
  }));
}

/** A pinned image as Docker takes it: with the tag, for people, and the digest, which counts. */
export function referenceTo({ name, digest }: PinnedImage): string {
  return `${name}@${digest}`;
}
