import assert from "node:assert/strict";

import type { StackResource } from "../../../policy/resource";
import { openBuckets } from "../../../policy/storage";
import { inPreview, LATER } from "./preview";
import { stackResource } from "./resources";

const ARN = "arn:aws:s3:::files-1";
const BLOCKED = {
  ...{ blockPublicAcls: true, blockPublicPolicy: true },
  ...{ ignorePublicAcls: true, restrictPublicBuckets: true },
};
const DENIAL = {
  Effect: "Deny",
  Principal: "*",
  Action: "s3:*",
  Resource: [ARN, `${ARN}/*`],
  Condition: { Bool: { "aws:SecureTransport": "false" } },
};

const bucket = (props: object = {}, version = ""): StackResource =>
  stackResource(`aws:s3/bucket${version}:Bucket${version}`, "files", { bucket: "files-1", ...props });
const block = (props: object = BLOCKED): StackResource =>
  stackResource("aws:s3/bucketPublicAccessBlock:BucketPublicAccessBlock", "private", {
    bucket: "files-1",
    ...props,
  });
const encryption = (): StackResource =>
  stackResource(
    "aws:s3/bucketServerSideEncryptionConfiguration:BucketServerSideEncryptionConfiguration",
    "encryption",
    { bucket: "files-1" },
  );
const policy = (statement: object = {}): StackResource =>
  stackResource("aws:s3/bucketPolicy:BucketPolicy", "policy", {
    bucket: "files-1",
    policy: JSON.stringify({ Statement: { ...DENIAL, ...statement } }),
  });

const NOT_PRIVATE = "files: bucket: nothing says whether it can be made public";
const NOT_ENCRYPTED = "files: bucket: nothing says how it is encrypted";
const NO_TLS = "files: bucket: answers without TLS";

const cases: readonly (readonly [string, readonly StackResource[], readonly string[]])[] = [
  ["a bucket as AWS makes it", [bucket()], [NOT_PRIVATE, NOT_ENCRYPTED, NO_TLS]],
  ["such a bucket of an older type", [bucket({}, "V2")], [NOT_PRIVATE, NOT_ENCRYPTED, NO_TLS]],
  ["one that is private, encrypted and TLS-only", [bucket(), block(), encryption(), policy()], []],
  [
    "one with policy and encryption of its own",
    [bucket({ policy: { Statement: [DENIAL] }, serverSideEncryptionConfiguration: { rule: {} } }), block()],
    [],
  ],
  [
    "one whose block is another bucket's",
    [bucket(), block({ ...BLOCKED, bucket: "files-2" }), encryption(), policy()],
    [NOT_PRIVATE],
  ],
  [
    "a block that is not whole",
    [bucket(), block({ ...BLOCKED, restrictPublicBuckets: false }), encryption(), policy()],
    ["files: restrictPublicBuckets: false"],
  ],
  [
    "a denial in other letters",
    [
      bucket(),
      block(),
      encryption(),
      policy({
        Action: "S3:*",
        Principal: { AWS: ["*"] },
        Condition: { bool: { "aws:securetransport": [false] } },
      }),
    ],
    [],
  ],
  ...(
    [
      ["of one user only", { Principal: { AWS: "arn:aws:iam::111122223333:user/a" } }],
      ["of one action only", { Action: "s3:GetObject" }],
      ["of objects only", { Resource: `${ARN}/*` }],
      ["of the bucket only", { Resource: ARN }],
      ["of what comes with TLS", { Condition: { Bool: { "aws:SecureTransport": "true" } } }],
      [
        "under another condition, too",
        { Condition: { ...DENIAL.Condition, StringEquals: { "aws:SourceVpc": "vpc-1" } } },
      ],
      ["that is none", { Effect: "Allow" }],
    ] as const
  ).map(
    ([what, statement]) =>
      [`a denial ${what}`, [bucket(), block(), encryption(), policy(statement)], [NO_TLS]] as const,
  ),
];

const found = (resources: readonly StackResource[]): string[] =>
  openBuckets(resources).map(({ urn, fault }) => `${urn}: ${fault.path}: ${fault.value}`);

describe("private-buckets", () => {
  for (const [what, resources, faults] of cases) {
    it(`${faults.length === 0 ? "accepts" : "refuses"} ${what}`, () => {
      assert.deepEqual(found(resources), faults);
    });
  }

  it("finds in a preview what belongs to a bucket that has no name yet", () => {
    const part = (type: string, name: string, props: object = {}): StackResource =>
      stackResource(`aws:s3/${type}`, name, inPreview({ bucket: LATER, ...props }), {
        bucket: "files",
      });
    const files = part("bucket:Bucket", "files", { policy: LATER });
    const rest = [
      part("bucketServerSideEncryptionConfiguration:BucketServerSideEncryptionConfiguration", "encryption"),
      part("bucketPolicy:BucketPolicy", "policy", { policy: LATER }),
    ];
    assert.deepEqual(found([files, ...rest]), [NOT_PRIVATE]);
    const blocked = part("bucketPublicAccessBlock:BucketPublicAccessBlock", "private", BLOCKED);
    assert.deepEqual(found([files, blocked, ...rest]), []);
  });
});
