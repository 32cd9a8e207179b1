import * as pulumi from "@pulumi/pulumi";

import { ArgumentCheck, ecrArgument, ecrNow } from "../arguments";
import { sdk, tagsOf } from "../aws";
import type { RegistryLoginArgs } from "./tritonImage";

export interface EcrRepositoryArgs {
  /** How many images are kept, the newest: 2 to 1000. @default 10 */
  keepImages?: pulumi.Input<number>;
  /** Whether the images in it may go with it; without, it cannot be deleted while it has some. @default false */
  forceDelete?: pulumi.Input<boolean>;
  /** Tags of the repository. */
  tags?: pulumi.Input<Record<string, pulumi.Input<string>>>;
}

/**
 * A repository on Amazon ECR for images of Triton: encrypted, each image scanned when it comes, no tag ever moved, the
 * oldest images dropped.
 */
export class EcrRepository extends pulumi.ComponentResource {
  /** Where to push to, without a tag; `build.repository` of a `TritonImage`. */
  public readonly repository: pulumi.Output<string>;
  /** ARN; `repositoryArn` of an `AwsGpuHost`. */
  public readonly arn: pulumi.Output<string>;
  /** How to push for the next 12 hours, which is all that AWS gives; asked for in each deployment. A secret. */
  public readonly login: pulumi.Output<RegistryLoginArgs>;

  public constructor(name: string, args: EcrRepositoryArgs = {}, opts?: pulumi.ComponentResourceOptions) {
    const check = new ArgumentCheck("EcrRepository", name);
    check.now(ecrNow, args);
    super("xsched-triton:index:EcrRepository", name, {}, opts);
    const wanted = check.whenKnown(ecrArgument, args);
    const repository = new sdk.ecr.Repository(
      `${name}-repository`,
      {
        imageTagMutability: "IMMUTABLE",
        imageScanningConfiguration: { scanOnPush: true },
        encryptionConfigurations: [{ encryptionType: "AES256" }],
        forceDelete: wanted.forceDelete,
        tags: tagsOf(name, wanted.tags),
      },
      { parent: this },
    );
    new sdk.ecr.LifecyclePolicy(
      `${name}-lifecycle`,
      { repository: repository.name, policy: wanted.keepImages.apply(keepNewest) },
      { parent: this },
    );
    const token = sdk.ecr.getAuthorizationTokenOutput(
      { registryId: repository.registryId, region: repository.region },
      { parent: this },
    );
    this.repository = repository.repositoryUrl;
    this.arn = repository.arn;
    this.login = pulumi.secret(token.apply(({ userName, password }) => ({ username: userName, password })));
    this.registerOutputs({ repository: this.repository, arn: this.arn });
  }
}

/** https://docs.aws.amazon.com/AmazonECR/latest/userguide/LifecyclePolicies.html */
export function keepNewest(images: number): string {
  return JSON.stringify({
    rules: [
      {
        rulePriority: 1,
        description: `Keep the newest ${images}`,
        selection: { tagStatus: "any", countType: "imageCountMoreThan", countNumber: images },
        action: { type: "expire" },
      },
    ],
  });
}
