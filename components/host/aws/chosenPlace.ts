import * as fs from "node:fs";
import * as path from "node:path";

import * as command from "@pulumi/command";
import * as pulumi from "@pulumi/pulumi";

import { sdk } from "../../aws";
import { type Choice, isAllowed } from "./choices";

/*
 * Where an instance is launched when there are several choices.
 *
 * AWS says only at a launch whether it has capacity, and Pulumi's AWS provider, which has one place for an instance, tries
 * that again and again: 25 attempts take some 50 minutes (hashicorp/terraform-provider-aws #43193). So a command that comes
 * right before the instance makes attempts of its own, one after the other, and leaves the first place that can be had in the
 * stack's state (choose-place.cjs). The instance itself stays what it was, `aws.ec2.Instance`: a stack that gets a second
 * choice keeps its instance.
 *
 * What it tries with:
 * - on demand, a capacity reservation for one instance, which exists for seconds: AWS grants one only if it has the capacity.
 *   Only instances that name it can run in it, so no other one takes it, and it ends by itself within the hour if `up` is
 *   killed at this very moment;
 * - on spot, which knows no reservations, a bare instance that shuts itself down when it boots, and is terminated thereby.
 * Both are given back before the instance is launched, so that someone else can be faster. Then the launch fails, within two
 * minutes with `aws:maxRetries: 7` as in the stacks of this project, what serves stays, and the next `npm run up` chooses again.
 *
 * Why not otherwise:
 * - EC2 Fleet (`instant`) makes the same attempts in one request, but it has no persistent spot requests that stop an
 *   instance and start it again, its instances are not the provider's `Instance` (each existing stack would get another
 *   machine, and volumes, tags and protection could no longer change in place), and it names no reason per choice until all
 *   have failed.
 * - An Auto Scaling group of one replaces its instance whenever AWS finds it unhealthy, and with it all that is on its
 *   volume; which instance it has, and so its address and host key, would change outside of an `up`.
 * - RunInstances by ourselves, and the instance imported, would leave no gap; but Pulumi imports only what it is told of
 *   before it starts, and an `up` that is killed in between leaves an instance that no state knows.
 */

/** What is chosen from, and what the choice holds for. */
export interface PlaceArgs {
  readonly choices: pulumi.Output<readonly [Choice, ...Choice[]]>;
  readonly region: pulumi.Output<string>;
  /** An AMI's id, or how EC2 finds it. */
  readonly image: pulumi.Output<string>;
  /** In a network of the stack's own, its subnets by their zones. */
  readonly subnets: pulumi.Output<Record<string, string>> | undefined;
  /** What replaces the instance wherever it is, so that a new place is chosen: the settings, not what they lead to. */
  readonly launch: pulumi.Output<Launch>;
  /** Tags of the instance, by which its own one is found. */
  readonly tags: pulumi.Output<Record<string, string>>;
}

/** Settings whose change replaces an instance, beside those that are chosen from. */
export interface Launch {
  readonly ami: string | undefined;
  readonly kmsKeyId: string | undefined;
  readonly subnetId: string | undefined;
  readonly publicIp: boolean;
  /** The range of a network of the stack's own. */
  readonly network: string | undefined;
}

/** A place that was chosen, and what it was preferred to. */
export interface ChosenPlace extends Choice {
  /** The choices before it, each with the reason that AWS gave. */
  readonly passedOver: readonly string[];
}

const SCRIPT = fs.readFileSync(path.join(__dirname, "choose-place.cjs"), "utf8");

/** Chooses a place once, and keeps it in the state for as long as the choices allow it. */
export function chosenPlace(
  name: string,
  { choices, region, image, subnets, launch, tags }: PlaceArgs,
  opts: pulumi.CustomResourceOptions,
): pulumi.Output<ChosenPlace> {
  const preview = pulumi.runtime.isDryRun();
  const wanted = launch.apply((known) => JSON.stringify(known));
  const { stdout } = new command.local.Command(
    name,
    {
      create: "node -",
      // Not among the words, which an error repeats.
      stdin: SCRIPT,
      environment: {
        CHOICES: choices.apply((known) => JSON.stringify(known)),
        LAUNCH: wanted,
        IMAGE: image,
        ...(subnets !== undefined && { SUBNETS: subnets.apply((known) => JSON.stringify(known)) }),
        AWS_REGION: region,
        ...(sdk.config.profile !== undefined && { AWS_PROFILE: sdk.config.profile }),
        PROJECT: pulumi.getProject(),
        STACK: pulumi.getStack(),
        NAME: tags.apply(({ Name = "" }) => Name),
      },
      // The script keeps what it has chosen.
      addPreviousOutputInEnv: true,
      logging: command.local.Logging.Stderr,
    },
    // A preview knows no result of a command that has changed, and would announce a replacement that nobody intends.
    preview ? { ...opts, ignoreChanges: ["create", "environment", "stdin"] } : opts,
  );
  return pulumi.all([stdout, choices, wanted]).apply(([text, allowed, as]): ChosenPlace => {
    const place = JSON.parse(text) as ChosenPlace & { launch: string };
    // Only in a preview: the update will choose anew, and very likely the first.
    if (!isAllowed(place, allowed) || place.launch !== as) return { ...allowed[0], passedOver: [] };
    const { instanceType, zone, spot, passedOver } = place;
    return { instanceType, zone, spot, passedOver };
  });
}
