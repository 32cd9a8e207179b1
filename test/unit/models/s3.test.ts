import * as assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import * as path from "node:path";

import type * as pulumi from "@pulumi/pulumi";

import { renderedConfig } from "../../../components/models/renderedConfig";
import { digestObjects, readS3Model } from "../../../components/models/s3";
import { type ModelObject, modelObjects } from "../../../components/models/s3/objectList";
import { s3Fault } from "../../../components/models/s3/s3Fault";
import type { ModelSettings } from "../../../components/settings";
import { S3Server } from "../../aws/s3Server";

const SOURCE = "s3://bucket/m";
const ETAG = "d41d8cd98f00b204e9800998ecf8427e";

/** The configuration that Triton gets for a model. */
async function rendered(model: Partial<ModelSettings>): Promise<string> {
  const settings = { name: "m", priority: 0, ...model } as ModelSettings;
  return (renderedConfig(settings) as pulumi.Output<string> & { promise(): Promise<string> }).promise();
}

const object = (name: string, etag = ETAG, bytes = 1): ModelObject => ({ path: name, etag, bytes });

const paths = (...names: string[]): string[] =>
  modelObjects(
    SOURCE,
    names.map((name) => object(name)),
  ).map(({ path: name }) => name);

describe("the objects of a model in S3", () => {
  it("are those of its versions, without files that do not belong to a model", () => {
    assert.deepEqual(
      paths("config.pbtxt", "2/b", "1/a", "labels.txt", "1/__pycache__/x", ".git/y", "", "1/config.pbtxt"),
      [...["1/a", "1/config.pbtxt", "2/b", "labels.txt"]],
    );
    // An ensemble's version is an empty folder, which S3's console makes a marker of.
    assert.deepEqual(paths("1/", "config.pbtxt"), ["1/"]);
    // The AWS CLI leaves it out.
    assert.deepEqual(modelObjects(SOURCE, [object("config.pbtxt")], true), []);
  });

  for (const [names, message] of [
    [[], /there are no objects\n {2}allowed: .*\n {2}fix: put the model's files there/],
    [["config.pbtxt"], /there is no version folder/],
    [["1"], /there is no version folder/],
    [["latest/a"], /there is no version folder/],
    [["1/a", "1/a/b"], /1\/a is an object and a folder with 1\/a\/b in it/],
    [["1/../../a"], /the key "1\/\.\.\/\.\.\/a" cannot be the path of a file/],
    [["1//a"], /cannot be the path/],
    [["1/a\nb"], /the key "1\/a\\nb" cannot be the path/],
    [["1/a "], /cannot be the path/],
  ] as const) {
    it(`cannot be ${JSON.stringify(names)}`, () => {
      assert.throws(() => paths(...names), message);
    });
  }

  it("have a digest that depends on each ETag, size and name, and nothing else", () => {
    const digest = (...objects: ModelObject[]): string => digestObjects(modelObjects(SOURCE, objects));
    const same = digest(object("1/a"), object("1/b"));
    assert.match(same, /^[0-9a-f]{16}$/);
    assert.equal(digest(object("1/b"), object("1/a"), object("config.pbtxt")), same);
    const others = [
      digest(object("1/a"), object("1/c")),
      digest(object("1/a"), object("1/b", "00000000000000000000000000000000")),
      digest(object("1/a"), object("1/b", ETAG, 2)),
      digest(object("1/a")),
    ];
    assert.equal(new Set([same, ...others]).size, 5);
  });
});

describe("an error from S3", () => {
  for (const [error, message] of [
    [{ name: "NoSuchBucket" }, /^s3:\/\/b\/m: there is no bucket b\n {2}fix: correct the model's source/],
    [{ name: "AccessDenied" }, /denies access to the bucket b\n {2}fix: .*s3:ListBucket, s3:GetObject/],
    [{ name: "Unknown", message: "?", $metadata: { httpStatusCode: 403 } }, /denies access/],
    [
      { name: "CredentialsProviderError", message: "key AKIA" },
      /^s3:\/\/b\/m: this machine has no AWS credentials\n/,
    ],
    [{ name: "ExpiredToken" }, /have expired\n {2}fix: aws sso login/],
    [{ name: "InvalidAccessKeyId" }, /does not accept the credentials/],
    [
      { name: "Error", code: "ECONNREFUSED" },
      /cannot be reached \(ECONNREFUSED\)\n {2}fix: .*AWS_ENDPOINT_URL/,
    ],
    [{ name: "SlowDown", message: "less" }, /S3 answers SlowDown: less/],
    ["text", /S3 answers Error: text/],
  ] as const) {
    it(`ends in a message: ${JSON.stringify(error)}`, () => {
      assert.match(s3Fault("s3://b/m", "b", error).message, message);
    });
  }
});

describe("a model in S3, read with the SDK", () => {
  let s3: S3Server;
  const before_ = { ...process.env };

  before(async function () {
    this.timeout(600_000);
    s3 = await S3Server.start();
    Object.assign(process.env, s3.environment);
    await s3.createBucket("sdk-bucket");
  });

  after(async () => {
    for (const name of Object.keys(s3.environment)) {
      if (before_[name] === undefined) Reflect.deleteProperty(process.env, name);
      else process.env[name] = before_[name];
    }
    await s3.stop();
  });

  it("consists of its objects by ETag, and its configuration", async () => {
    await s3.put("sdk-bucket", "team/chat/1/model.onnx", "weights");
    await s3.put("sdk-bucket", "team/chat/config.pbtxt", 'backend: "onnxruntime"\n');
    // Another model with the same prefix.
    await s3.put("sdk-bucket", "team/chat-2/1/model.onnx", "other");
    const { objects, config, location } = await readS3Model("s3://sdk-bucket/team/chat");
    const etag = createHash("md5").update("weights").digest("hex");
    assert.deepEqual(objects, [{ path: "1/model.onnx", etag, bytes: 7 }]);
    assert.equal(config, 'backend: "onnxruntime"\n');
    assert.deepEqual(location, { bucket: "sdk-bucket", prefix: "team/chat" });
  });

  it("names its instances in the configuration if a version has TensorRT's model.plan", async () => {
    const model = { source: "s3://sdk-bucket/plan" };
    await s3.put("sdk-bucket", "plan/1/model.plan", "engine");
    await s3.put("sdk-bucket", "plan/config.pbtxt", "instance_group { count: 2 }\n");
    assert.match(await rendered(model), /key: "xsched_instances"/);
    // A configuration of the settings is no reason not to look at the files.
    assert.match(
      await rendered({ ...model, config: "instance_group { count: 2 }" }),
      /key: "xsched_instances"/,
    );
    await s3.put("sdk-bucket", "no-plan/1/model.onnx", "weights");
    await s3.put("sdk-bucket", "no-plan/config.pbtxt", "instance_group { count: 2 }\n");
    assert.doesNotMatch(await rendered({ ...model, source: "s3://sdk-bucket/no-plan" }), /xsched_instances/);
  });

  it("is complete even if it has more objects than one answer lists", async () => {
    for (let index = 0; index < 1003; index += 17) {
      const names = Array.from({ length: Math.min(17, 1003 - index) }, (_, each) => `many/1/${index + each}`);
      await Promise.all(names.map((name) => s3.put("sdk-bucket", name, name)));
    }
    assert.equal((await readS3Model("s3://sdk-bucket/many")).objects.length, 1003);
  });

  it("is refused with a fix if it is missing", async () => {
    await assert.rejects(readS3Model("s3://sdk-bucket/nothing"), /sdk-bucket\/nothing: there are no objects/);
    await assert.rejects(readS3Model("s3://no-such-bucket/m"), /there is no bucket no-such-bucket\n {2}fix:/);
  });

  it("is read once per run", async () => {
    await s3.put("sdk-bucket", "once/1/a", "a");
    const first = readS3Model("s3://sdk-bucket/once");
    assert.equal(readS3Model("s3://sdk-bucket/once"), first);
    await first;
  });
});

describe("a program that does not use AWS", () => {
  it("loads no part of AWS's SDKs", () => {
    const program = `
      require("./components/compile.cjs");
      require("./components");
      require("./components/settings");
      const loaded = Object.keys(require.cache).filter((file) => /node_modules.(@aws-sdk|@smithy|@pulumi.aws)\\b/.test(file));
      console.log(loaded.length);`;
    const { stdout, stderr } = spawnSync(process.execPath, ["-e", program], {
      cwd: path.resolve(__dirname, "../../.."),
      encoding: "utf8",
    });
    assert.equal(stdout, "0\n", stderr);
  });
});
