import * as assert from "node:assert/strict";
import * as fs from "node:fs";

import { S3Server } from "../aws/s3Server";
import { freePorts } from "./ports";
import { StandInCloud } from "./standInCloud";
import { TritonClient } from "./triton";
import { changesIn, type Finished, requireSuccess, Workspace } from "./workspace";

const STACK = "dev";
const BUCKET = "aws:s3/bucket:Bucket";

describe("a model that travels through a bucket, on a stand-in for AWS", function () {
  let cloud: StandInCloud | undefined;
  let s3: S3Server;
  let workspace: Workspace;
  let triton: TritonClient;

  const npm = (command: string, ...words: string[]): Promise<Finished> =>
    workspace.npm(command, "--", STACK, "--non-interactive", ...words);

  const up = async (): Promise<string[]> => {
    s3.fetched.length = 0;
    const { code, output } = await npm("up", "--yes", "--skip-preview");
    requireSuccess({ code, output });
    return changesIn(output)
      .map(({ name, done }) => `${name} ${done}`)
      .sort();
  };

  const answer = async (): Promise<string> => {
    const input = { name: "INPUT", shape: [1, 1], datatype: "FP32", data: [21] };
    const { body } = await triton.request(
      "POST",
      "/v2/models/scale/infer",
      JSON.stringify({ inputs: [input] }),
    );
    return body;
  };

  before(async function () {
    this.timeout(900_000);
    if (StandInCloud.missing !== undefined) {
      console.log(`      ${StandInCloud.missing}`);
      this.skip();
    }
    s3 = await S3Server.start();
    cloud = new StandInCloud();
    fs.writeFileSync(cloud.file("s3.json"), JSON.stringify({ url: s3.url, programs: s3.programs }));
    workspace = await Workspace.create();
    await workspace.initStack(STACK, {});
    cloud.serve(workspace);
    const [httpPort, grpcPort, metricsPort] = await freePorts(3);
    triton = new TritonClient(httpPort!);
    workspace.edit(STACK, (config) => {
      const set = (where: string[], value: unknown): void => {
        config.setIn(["config", ...where], config.createNode(value));
      };
      set(["xsched-triton:server"], { httpPort, grpcPort, metricsPort, exitTimeoutSeconds: 5 });
      set(["xsched-triton:host", "user"], "root");
      set(["xsched-triton:host", "adminCidrs"], ["127.0.0.1/32"]);
      set(["xsched-triton:runtime"], { kind: "process" });
      set(
        ["xsched-triton:models"],
        [{ name: "scale", source: "test/fixtures/models/scale", upload: "s3", priority: 70 }],
      );
    });
  });

  after(async () => {
    if (cloud === undefined) return;
    triton.close();
    await npm("down", "--yes", "--skip-preview");
    await cloud.stop();
    await s3.stop();
    workspace.remove();
  });

  it("is uploaded, fetched with the role of the instance, and served", async () => {
    await up();
    assert.match(await answer(), /"data":\[42\.0\]/);
    assert.deepEqual(await triton.priority("scale"), { triton: "PRIORITY_MAX", xsched: "70" });
    const [bucket] = cloud?.everything(BUCKET) ?? [];
    assert.deepEqual(s3.fetched, ["models/scale/1/model.py"]);
    const policies = cloud?.everything("aws:iam/rolePolicy:RolePolicy") ?? [];
    const allowed = policies.map(({ properties }) => JSON.stringify(properties.policy)).join();
    assert.ok(allowed.includes(`arn:aws:s3:::${bucket?.id}/models/scale/*`), allowed);
    assert.ok(!allowed.includes("s3:Put") && !allowed.includes("s3:List"), allowed);
  });

  it("changes nothing when nothing has changed", async () => {
    assert.deepEqual(await up(), []);
    assert.deepEqual(s3.fetched, []);
  });

  it("that has changed is uploaded and fetched where it has", async () => {
    fs.writeFileSync(workspace.file("test/fixtures/models/scale/1/labels.txt"), "a label\n");
    assert.deepEqual(await up(), [
      "models-scale updated",
      "models-scale-1/labels.txt created",
      "models-scale-files updated",
      "server-scale updated",
    ]);
    assert.deepEqual(s3.fetched, ["models/scale/1/labels.txt"]);
    assert.match(await answer(), /"data":\[42\.0\]/);
  });

  it("leaves neither bucket nor objects", async () => {
    const { code, output } = await npm("down", "--yes", "--skip-preview");
    requireSuccess({ code, output });
    assert.deepEqual(
      (cloud?.everything() ?? []).map(({ type }) => type).filter((type) => type.startsWith("aws:s3")),
      [],
    );
  });
});
