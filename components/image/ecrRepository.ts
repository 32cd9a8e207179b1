import * as pulumi from "@pulumi/pulumi";

import { sdk, tagsOf } from "../aws";
import { ComponentInputs, type EcrRepositoryArgs, ecrRepositoryInputs } from "../settings";

/** A login that may push for the next 12 hours, the longest that AWS grants. */
export interface EcrLogin {
  /** User name. */
  readonly username: string;
  /** Password. */
  readonly password: string;
}

/**
 * A repository on Amazon ECR for images of Triton: encrypted, with immutable tags and a scan of each image that is
 * pushed; the oldest images are deleted.
 */
export class EcrRepository extends pulumi.ComponentResource {
  /** Where to push to, without a tag; `build.repository` of a `TritonImage`. */
  public readonly repository: pulumi.Output<string>;
  /** ARN; `repositoryArn` of an `AwsGpuHost`. */
  public readonly arn: pulumi.Output<string>;
  /** A login that may push for the next 12 hours; each deployment requests a new one. A secret. */
  public readonly login: pulumi.Output<EcrLogin>;

  public constructor(name: string, args: EcrRepositoryArgs = {}, opts?: pulumi.ComponentResourceOptions) {
    const inputs = new ComponentInputs("EcrRepository", name, ecrRepositoryInputs, args);
    super("xsched-triton:index:EcrRepository", name, {}, opts);
    const wanted = inputs.resolve(ecrRepositoryInputs, inputs.known);
    const repository = new sdk.ecr.Repository(
      `${name}-repository`,
      {
        imageTagMutability: "IMMUTABLE",
        imageScanningConfiguration: { scanOnPush: true },
        encryptionConfigurations: [
          args.kmsKeyId === undefined
            ? { encryptionType: "AES256" }
            : { encryptionType: "KMS", kmsKey: wanted.kmsKeyId as pulumi.Output<string> },
        ],
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

/**
 * https://docs.aws.amazon.com/AmazonECR/latest/userguide/LifecyclePolicies.html
 *
 * A push stores three manifests: a tagged index, and, without tags, the image and its attestations. Only the index counts.
 * ECR deletes nothing that an index refers to; once the index is gone, the second rule takes the other two. The tags of
 * signatures have no second dash, and count neither.
 */
export function keepNewest(images: number): string {
  return JSON.stringify({
    rules: [
      {
        rulePriority: 1,
        description: `Keep the newest ${images}`,
        selection: {
          tagStatus: "tagged",
          tagPatternList: ["*-*-*"],
          countType: "imageCountMoreThan",
          countNumber: images,
        },
        action: { type: "expire" },
      },
      {
        rulePriority: 2,
        description: "Delete what belonged to a deleted image",
        selection: {
          tagStatus: "untagged",
          countType: "sinceImagePushed",
          countUnit: "days",
          countNumber: 1,
        },
        action: { type: "expire" },
      },
    ],
  });
}
