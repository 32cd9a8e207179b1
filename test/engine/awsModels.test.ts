import * as assert from "node:assert/strict";
import * as fs from "node:fs";
import * as os from "node:os";
import * as path from "node:path";

import { S3Server } from "../aws/s3Server";
import { AwsStack } from "./awsStack";
import { changesIn, requireSuccess } from "./workspace";
import { skipWithout } from "./needs";

const BUCKET = "aws:s3/bucket:Bucket";

describe("a stack on AWS that cannot be set up", function () {
  const { TMPDIR } = process.env;
  let folder: string;

  before(function () {
    skipWithout(this, AwsStack.missing);
    folder = fs.mkdtempSync(path.join(os.tmpdir(), "xsched-triton-refused-"));
    process.env.TMPDIR = folder;
  });

  after(() => {
    if (TMPDIR === undefined) delete process.env.TMPDIR;
    else process.env.TMPDIR = TMPDIR;
    fs.rmSync(folder, { recursive: true, force: true });
  });

  it("leaves nothing of its clone and of its cloud", async () => {
    await assert.rejects(AwsStack.create("no stack's name"), /pulumi stack: /);
    assert.deepEqual(fs.readdirSync(folder), []);
    assert.equal(process.env.STAND_IN_CLOUD, undefined);
  });
});

describe("a model transferred through a bucket, on a stand-in for AWS", function () {
  let stack: AwsStack;
  let s3: S3Server;

  const up = async (): Promise<string[]> => {
    s3.fetched.length = 0;
    const { code, output } = await stack.up();
    requireSuccess({ code, output });
    return changesIn(output)
      .map(({ name, done }) => `${name} ${done}`)
      .sort();
  };

  const answer = async (): Promise<string> => {
    const input = { name: "INPUT", shape: [1, 1], datatype: "FP32", data: [21] };
    const { body } = await stack.triton.request(
      "POST",
      "/v2/models/scale/infer",
      JSON.stringify({ inputs: [input] }),
    );
    return body;
  };

  before(async function () {
    skipWithout(this, AwsStack.missing);
    stack = await AwsStack.create("dev");
    s3 = await S3Server.start();
    const server = JSON.stringify({ url: s3.url, programs: s3.programs });
    fs.writeFileSync(stack.cloud.file("s3.json"), server);
    stack.set(["xsched-triton:server", "exitTimeoutSeconds"], 5);
    stack.set(["xsched-triton:host", "adminCidrs"], ["127.0.0.1/32"]);
    stack.set(["xsched-triton:runtime"], { kind: "process" });
    stack.set(
      ["xsched-triton:models"],
      [{ name: "scale", source: "test/fixtures/models/scale", upload: "s3", priority: 70 }],
    );
  });

  after(async () => {
    if (AwsStack.missing !== undefined) return;
    await stack.stop();
    await s3.stop();
  });

  it("is uploaded, fetched with the instance's role, and served", async () => {
    await up();
    assert.match(await answer(), /"data":\[42\.0\]/);
    assert.deepEqual(await stack.triton.priority("scale"), { triton: "PRIORITY_MAX", xsched: "70" });
    const [bucket] = stack.everything(BUCKET);
    assert.deepEqual(s3.fetched, ["models/scale/1/model.py"]);
    const policies = stack.everything("aws:iam/rolePolicy:RolePolicy");
    const allowed = policies.map(({ properties }) => JSON.stringify(properties.policy)).join();
    assert.ok(allowed.includes(`arn:aws:s3:::${bucket?.id}/models/*`), allowed);
    assert.ok(!allowed.includes("s3:Put") && !allowed.includes("s3:List"), allowed);
  });

  it("changes nothing when nothing has changed", async () => {
    assert.deepEqual(await up(), []);
    assert.deepEqual(s3.fetched, []);
  });

  it("is uploaded and fetched only where it has changed", async () => {
    fs.writeFileSync(stack.workspace.file("test/fixtures/models/scale/1/labels.txt"), "a label\n");
    assert.deepEqual(await up(), [
      "triton-models-scale updated",
      "triton-models-scale/1/labels.txt created",
      "triton-models-scale/files updated",
      "triton-server-models updated",
    ]);
    assert.deepEqual(s3.fetched, ["models/scale/1/labels.txt"]);
    assert.match(await answer(), /"data":\[42\.0\]/);
  });

  it("leaves neither a bucket nor objects", async () => {
    const { code, output } = await stack.down();
    requireSuccess({ code, output });
    assert.deepEqual(
      stack
        .everything()
        .map(({ type }) => type)
        .filter((type) => type.startsWith("aws:s3")),
      [],
    );
  });
});
