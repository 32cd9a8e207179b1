import * as pulumi from "@pulumi/pulumi";

import { sdk, tagsOf } from "../aws";
import { ComponentInputs, type ModelBucketArgs, modelBucketInputs } from "../settings";

/**
 * A bucket that models' files travel through to hosts on AWS: private, encrypted, over TLS only. What is overwritten is
 * kept for a while, so that a host can restore what it serves. The bucket is deleted with everything in it.
 */
export class ModelBucket extends pulumi.ComponentResource {
  /** Name of the bucket; known once everything that protects it is in place. */
  public readonly bucket: pulumi.Output<string>;
  /** ARN of the bucket. */
  public readonly arn: pulumi.Output<string>;

  public constructor(name: string, args: ModelBucketArgs = {}, opts?: pulumi.ComponentResourceOptions) {
    const inputs = new ComponentInputs("ModelBucket", name, modelBucketInputs, args);
    super("xsched-triton:index:ModelBucket", name, {}, opts);
    const wanted = inputs.resolve(modelBucketInputs, inputs.known);
    const child = { parent: this };
    const made = new sdk.s3.Bucket(
      `${name}-bucket`,
      // The stack owns the objects; nobody owns their old versions.
      { forceDestroy: true, tags: tagsOf(name, wanted.tags) },
      child,
    );
    const bucket = made.bucket;
    const access = new sdk.s3.BucketPublicAccessBlock(
      `${name}-private`,
      {
        bucket,
        blockPublicAcls: true,
        blockPublicPolicy: true,
        ignorePublicAcls: true,
        restrictPublicBuckets: true,
      },
      child,
    );
    const protection = [
      access,
      new sdk.s3.BucketOwnershipControls(
        `${name}-ownership`,
        { bucket, rule: { objectOwnership: "BucketOwnerEnforced" } },
        child,
      ),
      // S3's own key where nobody asks for another: with one of KMS the host needs a right to it, and an ETag is no checksum.
      new sdk.s3.BucketServerSideEncryptionConfiguration(
        `${name}-encryption`,
        {
          bucket,
          rules: [
            args.kmsKeyId === undefined
              ? { applyServerSideEncryptionByDefault: { sseAlgorithm: "AES256" } }
              : {
                  applyServerSideEncryptionByDefault: {
                    sseAlgorithm: "aws:kms",
                    kmsMasterKeyId: wanted.kmsKeyId as pulumi.Output<string>,
                  },
                  // One request to KMS for many files, which cost.
                  bucketKeyEnabled: true,
                },
          ],
        },
        child,
      ),
      new sdk.s3.BucketPolicy(
        `${name}-policy`,
        { bucket, policy: made.arn.apply(tlsOnly) },
        // S3 takes one change of a bucket's access at a time.
        { ...child, dependsOn: access },
      ),
    ];
    const versioning = new sdk.s3.BucketVersioning(
      `${name}-versions`,
      { bucket, versioningConfiguration: { status: "Enabled" } },
      child,
    );
    new sdk.s3.BucketLifecycleConfiguration(
      `${name}-lifecycle`,
      {
        bucket,
        rules: [
          {
            id: "old-versions",
            status: "Enabled",
            filter: { prefix: "" },
            noncurrentVersionExpiration: { noncurrentDays: wanted.keepDays },
            abortIncompleteMultipartUpload: { daysAfterInitiation: 7 },
          },
        ],
      },
      { ...child, dependsOn: versioning },
    );
    const protected_ = pulumi.all([versioning.id, ...protection.map(({ id }) => id)]);
    this.bucket = pulumi.all([bucket, protected_]).apply(([known]) => known);
    this.arn = made.arn;
    this.registerOutputs({ bucket: this.bucket, arn: this.arn });
  }
}

/** https://docs.aws.amazon.com/AmazonS3/latest/userguide/example-bucket-policies.html#example-bucket-policies-HTTP-HTTPS */
export function tlsOnly(arn: string): string {
  return JSON.stringify({
    Version: "2012-10-17",
    Statement: [
      {
        Sid: "OverTlsOnly",
        Effect: "Deny",
        Principal: "*",
        Action: "s3:*",
        Resource: [arn, `${arn}/*`],
        Condition: { Bool: { "aws:SecureTransport": "false" } },
      },
    ],
  });
}
