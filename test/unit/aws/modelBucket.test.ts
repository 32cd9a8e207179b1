import * as assert from "node:assert/strict";
import { createHash } from "node:crypto";
import * as fs from "node:fs";
import * as os from "node:os";
import * as path from "node:path";

import * as pulumi from "@pulumi/pulumi";

import { policyDocument } from "../../../components/aws";
import { modelAccess } from "../../../components/models";
import { PARTITION, type Registered, Recording, record, valueOf } from "./mocks";

const HOST = "/srv/triton";
const KEY = "arn:aws:kms:us-east-1:111122223333:key/01234567-89ab-cdef-0123-456789abcdef";

/** The provider's answers. */
const outputs = ({ type, name, inputs }: Registered): Record<string, unknown> => {
  switch (type) {
    case "aws:s3/bucket:Bucket":
      return { bucket: `${name}-1a2b3c4`, arn: `arn:aws:s3:::${name}-1a2b3c4` };
    case "aws:s3/bucketObjectv2:BucketObjectv2": {
      const content = inputs.key === "models/chat/1/weights.bin" ? "weights" : "";
      return { etag: createHash("md5").update(content).digest("hex") };
    }
    default:
      return {};
  }
};

for (const preview of [true, false]) {
  describe(`a bucket for models, ${preview ? "in a preview" : "in an update"}`, () => {
    let folder: string;
    let program: Recording;
    let bucket: string | undefined;

    before(async () => {
      folder = fs.mkdtempSync(path.join(os.tmpdir(), "xsched-bucket-"));
      fs.mkdirSync(path.join(folder, "1/empty"), { recursive: true });
      fs.writeFileSync(path.join(folder, "1/weights.bin"), "weights");
      fs.writeFileSync(path.join(folder, "config.pbtxt"), 'backend: "onnxruntime"\n');
      program = await record(preview, outputs, async () => {
        const { ModelBucket, ModelRepository } = await import("../../../components");
        const made = new ModelBucket("files", { keepDays: 7, tags: { team: "vision" } });
        new ModelRepository("models", {
          directory: HOST,
          models: [{ name: "chat", source: folder, upload: "s3" }],
          bucket: made.bucket,
        });
        bucket = await valueOf(made.bucket);
      });
    });

    after(() => {
      fs.rmSync(folder, { recursive: true });
    });

    it("is private, encrypted, keeps versions for a while, and is reached over TLS only", () => {
      assert.deepEqual(program.names("aws:s3/bucket"), [
        "files-bucket",
        "files-encryption",
        "files-lifecycle",
        "files-ownership",
        "files-policy",
        "files-private",
        "files-versions",
        "models-chat/1/empty/",
        "models-chat/1/weights.bin",
      ]);
      const access = program.inputs("aws:s3/bucketPublicAccessBlock:BucketPublicAccessBlock");
      for (const key of [
        "blockPublicAcls",
        "blockPublicPolicy",
        "ignorePublicAcls",
        "restrictPublicBuckets",
      ]) {
        assert.equal(access[key], true, key);
      }
      assert.deepEqual(
        program.inputs(
          "aws:s3/bucketServerSideEncryptionConfiguration:BucketServerSideEncryptionConfiguration",
        ).rules,
        [{ applyServerSideEncryptionByDefault: { sseAlgorithm: "AES256" } }],
      );
      assert.deepEqual(program.inputs("aws:s3/bucketVersioning:BucketVersioning").versioningConfiguration, {
        status: "Enabled",
      });
      assert.deepEqual(program.inputs("aws:s3/bucketOwnershipControls:BucketOwnershipControls").rule, {
        objectOwnership: "BucketOwnerEnforced",
      });
      const [rule] = program.inputs("aws:s3/bucketLifecycleConfiguration:BucketLifecycleConfiguration")
        .rules as [Record<string, unknown>];
      assert.deepEqual(rule.noncurrentVersionExpiration, { noncurrentDays: 7 });
      assert.equal(rule.status, "Enabled");
      const { tags, acl, policy } = program.inputs("aws:s3/bucket:Bucket") as Record<string, unknown>;
      assert.deepEqual([acl, policy], [undefined, undefined]);
      assert.deepEqual(tags, {
        team: "vision",
        Name: "project-stack-files",
        "xsched-triton:project": "project",
        "xsched-triton:stack": "stack",
      });
      if (preview) return;
      const { policy: text } = program.inputs("aws:s3/bucketPolicy:BucketPolicy") as { policy: string };
      const { Statement: statements } = JSON.parse(text) as { Statement: Record<string, unknown>[] };
      assert.deepEqual(statements, [
        {
          Sid: "OverTlsOnly",
          Effect: "Deny",
          Principal: "*",
          Action: "s3:*",
          Resource: ["arn:aws:s3:::files-bucket-1a2b3c4", "arn:aws:s3:::files-bucket-1a2b3c4/*"],
          Condition: { Bool: { "aws:SecureTransport": "false" } },
        },
      ]);
    });

    it("has a fixed name when it is protected", () => {
      assert.equal(bucket, preview ? undefined : "files-bucket-1a2b3c4");
    });

    it("gets each file under its own path, and no configuration", () => {
      const objects = program.resources.filter(({ type }) => type === "aws:s3/bucketObjectv2:BucketObjectv2");
      assert.deepEqual(
        objects.map(({ inputs }) => [inputs.key, inputs.content]),
        [
          ["models/chat/1/empty/", ""],
          ["models/chat/1/weights.bin", undefined],
        ],
      );
    });

    it("is where the host fetches from, by the ETags of the uploaded files", () => {
      const fetch = program.inputs("command:local:Command", "models-chat/files");
      if (preview) return;
      const weights = createHash("md5").update("weights").digest("hex");
      const nothing = createHash("md5").update("").digest("hex");
      const { filesDigest, ...request } = JSON.parse(fetch.stdin as string) as Record<string, unknown>;
      assert.match(String(filesDigest), /^[0-9a-f]{16}$/);
      assert.deepEqual(request, {
        model: "chat",
        source: "s3://files-bucket-1a2b3c4/models/chat",
        objects: [
          { path: "1/empty/", etag: nothing, bytes: 0 },
          { path: "1/weights.bin", etag: weights, bytes: 7 },
        ],
      });
      assert.equal(fetch.create, "/srv/triton/bin/agent fetch");
    });
  });
}

describe("a bucket for models with a key of your own", () => {
  it("asks KMS once for many files", async () => {
    const program = await record(false, outputs, async () => {
      const { ModelBucket } = await import("../../../components");
      new ModelBucket("files", { kmsKeyId: KEY });
    });
    assert.deepEqual(
      program.inputs("aws:s3/bucketServerSideEncryptionConfiguration:BucketServerSideEncryptionConfiguration")
        .rules,
      [
        {
          applyServerSideEncryptionByDefault: { sseAlgorithm: "aws:kms", kmsMasterKeyId: KEY },
          bucketKeyEnabled: true,
        },
      ],
    );
  });
});

describe("what a host may read", () => {
  type Statement = [actions: string[], resources: string[]];

  /** Of the role's own policy, and of each further one. */
  const policies = async (
    models: Parameters<typeof modelAccess>[0],
    bucket?: pulumi.Input<string>,
    partition = PARTITION,
  ): Promise<Statement[][]> => {
    const found: Statement[][] = [];
    const program = async (): Promise<void> => {
      const { policyStatements, managedPolicies } = modelAccess(models, bucket);
      for (const statements of [policyStatements, ...managedPolicies]) {
        const known = statements.map(async ({ actions, resources }): Promise<Statement> => {
          const [allowed, arns] = [
            await valueOf(pulumi.output(actions)),
            await valueOf(pulumi.output(resources)),
          ];
          return [allowed ?? [], arns ?? []];
        });
        found.push(await Promise.all(known));
      }
    };
    await record(false, outputs, program, partition);
    return found;
  };
  const allowed = async (...given: Parameters<typeof policies>): Promise<Statement[]> => {
    const [own = [], ...further] = await policies(...given);
    assert.deepEqual(further, []);
    return own;
  };
  const read = ["s3:GetObject", "s3:GetObjectVersion"];
  const share = ["s3:GetObject", "s3:PutObject"];
  const inS3 = (source: string, shared?: string) => ({
    ...{ name: source.replace(/.*\//, ""), source, upload: "auto" as const },
    ...(shared !== undefined && { engine: { shared } }),
  });

  it("is only its models, wherever they are", async () => {
    const models = [
      { name: "a", source: "s3://team-bucket/models/a", upload: "auto" as const },
      { name: "b", source: "/folder", upload: "s3" as const },
      { name: "c", source: "/folder", upload: "ssh" as const },
    ];
    assert.deepEqual(await allowed(models, pulumi.output("own-bucket")), [
      [read, ["arn:aws:s3:::team-bucket/models/a/*", "arn:aws:s3:::own-bucket/models/*"]],
    ]);
  });

  it("names no place twice, nor one that is below another", async () => {
    const models = ["s3://team/a/b", "s3://team/a", "s3://team/a", "s3://team/ab", "s3://other/a/b/c"];
    assert.deepEqual(await allowed(models.map((source) => inS3(source, "s3://team/engines"))), [
      [read, ["arn:aws:s3:::team/a/*", "arn:aws:s3:::team/ab/*", "arn:aws:s3:::other/a/b/c/*"]],
      [share, ["arn:aws:s3:::team/engines/*"]],
    ]);
  });

  it("is in further policies where IAM takes no more in the role's own, and still only its models", async () => {
    const govCloud = { partition: "aws-us-gov", dnsSuffix: "amazonaws.com" };
    const sources = Array.from(
      { length: 400 },
      (_, index) => `s3://models-of-the-company/production/m${index}`,
    );
    const models = sources.map((source, index) => inS3(source, `s3://engines-of-the-company/m${index}`));
    const found = await policies(models, undefined, govCloud);
    const sizes = found.map((statements) => {
      const named = statements.map(([actions, resources], index) => ({
        sid: `S${index}`,
        actions,
        resources,
      }));
      return policyDocument(named).length;
    });
    const [own = 0, ...further] = sizes;
    assert.ok(own > 7000 && own < 7500 + 250, `${own}`);
    assert.ok(further.length > 1 && further.every((size) => size <= 6144), further.join(", "));
    const named = (wanted: string[]): string[] =>
      found.flat().flatMap(([actions, resources]) => (actions[1] === wanted[1] ? resources : []));
    assert.deepEqual(
      named(read),
      sources.map((source) => `arn:aws-us-gov:s3:::${source.slice("s3://".length)}/*`),
    );
    assert.equal(named(share).length, 400);
  });

  it("includes the place of shared engines, where it may add some", async () => {
    const models = [{ shared: pulumi.output("s3://team/engines") }, { shared: "s3://team/engines" }, {}].map(
      (engine, index) => ({ name: `m${index}`, source: "/folder", upload: "ssh" as const, engine }),
    );
    assert.deepEqual(await allowed(models), [[share, ["arn:aws:s3:::team/engines/*"]]]);
    const [, inBucket] = await allowed([{ ...models[2]!, upload: "s3" }], "own-bucket");
    assert.deepEqual(inBucket, [share, ["arn:aws:s3:::own-bucket/engines/*"]]);
  });

  it("is named as its part of AWS names it", async () => {
    const china = { partition: "aws-cn", dnsSuffix: "amazonaws.com.cn" };
    assert.deepEqual(await allowed([inS3("s3://team/a", "s3://team/b")], undefined, china), [
      [read, ["arn:aws-cn:s3:::team/a/*"]],
      [share, ["arn:aws-cn:s3:::team/b/*"]],
    ]);
  });

  it("is nothing without a model in S3", async () => {
    assert.deepEqual(await allowed([{ name: "c", source: "/folder", upload: "ssh" }]), []);
  });
});
