import * as assert from "node:assert/strict";
import * as fs from "node:fs";

import { S3Server } from "../aws/s3Server";
import { freePorts } from "./ports";
import { TritonClient } from "./triton";
import { changesIn, type Finished, requireSuccess, Workspace } from "./workspace";

const BUCKET = "weights-of-the-team";

/** An ensemble of one step. */
const SUMMARY = `
platform: "ensemble"
max_batch_size: 64
input [ { name: "DAY" data_type: TYPE_FP32 dims: [ 1440 ] } ]
output [ { name: "HOURLY" data_type: TYPE_FP32 dims: [ 24 ] } ]
ensemble_scheduling {
  step [
    {
      model_name: "batch"
      model_version: -1
      input_map { key: "MEASUREMENTS" value: "DAY" }
      output_map { key: "HOURLY" value: "HOURLY" }
    }
  ]
}
`;

describe("a model in S3 on the real engine", () => {
  let s3: S3Server;
  let workspace: Workspace;
  let triton: TritonClient;

  const up = async (): Promise<Finished> => {
    s3.fetched.length = 0;
    return workspace.npm("up");
  };

  const changed = ({ code, output }: Finished): string[] => {
    requireSuccess({ code, output });
    return changesIn(output)
      .map(({ name, done }) => `${name} ${done}`)
      .sort();
  };

  /** Keys that the host has fetched, without config.pbtxt, which the program reads. */
  const fetched = (): string[] => s3.fetched.filter((key) => !key.endsWith("config.pbtxt")).sort();

  const answer = async (value: number): Promise<string> =>
    (
      await triton.request(
        "POST",
        "/v2/models/scale/infer",
        JSON.stringify({ inputs: [{ name: "INPUT", shape: [1, 1], datatype: "FP32", data: [value] }] }),
      )
    ).body;

  const put = async (name: string, edit: (text: string) => string = (text) => text): Promise<void> => {
    const file = workspace.file("test/fixtures/models/scale", name);
    await s3.put(BUCKET, `models/scale/${name}`, edit(fs.readFileSync(file, "utf8")));
  };

  before(async () => {
    s3 = await S3Server.start();
    await s3.createBucket(BUCKET);
    workspace = await Workspace.create(s3.environment);
    const [httpPort, grpcPort, metricsPort] = await freePorts(3);
    triton = new TritonClient(httpPort!);
    workspace.edit("local", (config) => {
      for (const [key, port] of Object.entries({ httpPort, grpcPort, metricsPort })) {
        config.setIn(["config", "xsched-triton:server", key], port);
      }
      const batch = { name: "batch", source: "examples/models/batch" };
      const scale = { name: "scale", source: `s3://${BUCKET}/models/scale`, priority: 70 };
      const summary = { name: "summary", source: `s3://${BUCKET}/models/summary`, priority: 30 };
      config.setIn(["config", "xsched-triton:models"], config.createNode([batch, scale, summary]));
    });
  });

  after(async () => {
    triton.close();
    await workspace.npm("down");
    workspace.remove();
    await s3.stop();
  });

  it("fails the preview if it is missing, before anything is created", async () => {
    const { code, output } = await workspace.npm("preview");
    assert.notEqual(code, 0);
    assert.match(output, /s3:\/\/weights-of-the-team\/models\/scale: there are no objects/);
    assert.ok(!fs.existsSync(workspace.file(".local/hosts")));
    await workspace.installTriton();
  });

  it("is fetched and served, at its priority", async () => {
    await put("config.pbtxt");
    await put("1/model.py");
    await s3.put(BUCKET, "models/summary/config.pbtxt", SUMMARY);
    await s3.put(BUCKET, "models/summary/1/notes.txt", "nothing to run\n");
    const { code, output } = await up();
    requireSuccess({ code, output });
    assert.deepEqual(fetched(), ["models/scale/1/model.py", "models/summary/1/notes.txt"]);
    assert.match(await answer(21), /"data":\[42\.0\]/);
    assert.deepEqual(await triton.priority("scale"), { triton: "PRIORITY_MAX", xsched: "70" });
  });

  it("gives the models of its steps its priority, if it is an ensemble", async () => {
    assert.deepEqual(await triton.priority("batch"), { triton: "PRIORITY_MAX", xsched: "30" });
  });

  it("is not fetched if unchanged, and changes nothing", async () => {
    assert.deepEqual(changed(await up()), []);
    assert.deepEqual(fetched(), []);
  });

  it("is reloaded but not fetched for another priority", async () => {
    workspace.edit("local", (config) => {
      config.setIn(["config", "xsched-triton:models", 1, "priority"], "min");
    });
    assert.deepEqual(changed(await up()), ["triton-models-scale updated", "triton-server-models updated"]);
    assert.deepEqual(fetched(), []);
    assert.deepEqual(await triton.priority("scale"), { triton: "PRIORITY_MIN", xsched: "-255" });
  });

  it("is reloaded for another configuration, which a preview announces", async () => {
    await put("config.pbtxt", (text) => text.replace('string_value: "2"', 'string_value: "3"'));
    const { code, output } = await workspace.npm("preview");
    requireSuccess({ code, output });
    const touched = [...output.matchAll(/^\s*~\s+command:\S+\s+(\S+)/gm)].map(([, name]) => name);
    assert.deepEqual(touched.sort(), ["triton-models-scale", "triton-server-models"]);
    assert.match(await answer(1), /"data":\[2\.0\]/);
    assert.deepEqual(changed(await up()), ["triton-models-scale updated", "triton-server-models updated"]);
    assert.match(await answer(1), /"data":\[3\.0\]/);
  });

  it("fetches only an object that changed", async () => {
    await s3.put(BUCKET, "models/scale/1/labels.txt", "a label\n");
    assert.deepEqual(changed(await up()), [
      "triton-models-scale updated",
      "triton-models-scale/files updated",
      "triton-server-models updated",
    ]);
    assert.deepEqual(fetched(), ["models/scale/1/labels.txt"]);
    assert.match(await answer(1), /"data":\[3\.0\]/);
  });

  it("keeps its predecessor serving if the host cannot fetch it", async () => {
    await put("1/model.py", (text) => `${text}# another state\n`);
    s3.mischief.set("models/scale/1/model.py", "deny");
    const { code, output } = await up();
    s3.mischief.clear();
    assert.notEqual(code, 0);
    assert.match(
      output,
      /S3 denies this host access to s3:\/\/weights-of-the-team\/models\/scale\/1\/model\.py/,
    );
    assert.match(await answer(1), /"data":\[3\.0\]/);
    assert.equal((await up()).code, 0);
    assert.deepEqual(fetched(), ["models/scale/1/model.py"]);
    assert.deepEqual(changed(await up()), []);
  });

  it("can switch to a folder on this machine, and leaves nothing behind", async () => {
    workspace.edit("local", (config) => {
      config.setIn(["config", "xsched-triton:models", 1, "source"], "test/fixtures/models/scale");
    });
    assert.deepEqual(changed(await up()), [
      "triton-models-scale updated",
      "triton-models-scale/files deleted",
      "triton-server-models updated",
    ]);
    assert.match(await answer(1), /"data":\[2\.0\]/);
    const store = fs.readdirSync(workspace.file(".local/hosts/local/models/store/scale"));
    assert.ok(!store.some((name) => name.endsWith(".objects")), store.join());
  });
});
