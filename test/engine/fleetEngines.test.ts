import * as assert from "node:assert/strict";
import * as fs from "node:fs";
import * as path from "node:path";

import { parseDocument } from "yaml";

import { until } from "../until";
import { BuildKit } from "./buildKit";
import type { KubernetesObject } from "./controlPlane";
import { FleetOnCluster, NAMESPACE } from "./fleetOnCluster";
import { skipWithout } from "./needs";
import { Registry } from "./registry";
import { requireSuccess } from "./workspace";

const REPOSITORY = "team/models";

/** Of the second fleet. */
const OTHER = "other";

const RATE = 20;

/** As Triton's TensorRT backend takes one, and what stands in for it here. */
const CONFIG = `
input [ { name: "INPUT" data_type: TYPE_INT32 dims: [ 1 ] } ]
output [ { name: "PLAN" data_type: TYPE_STRING dims: [ 1 ] } ]
instance_group [ { kind: KIND_CPU } ]
`;

describe("engines of a fleet, built by Jobs with a stand-in for trtexec, on a real control plane, BuildKit and registry", function () {
  let kit: BuildKit | undefined;
  let registry: Registry | undefined;
  let started: FleetOnCluster | undefined;

  const fleet = (): FleetOnCluster => started ?? assert.fail("no fleet");

  const writeOnnx = (text: string): void => {
    fs.writeFileSync(fleet().exampleModel("vision/1/model.onnx"), text);
  };

  const tags = async (beginning: string): Promise<readonly string[]> => {
    const { tags: all } = (await registry?.ask(`${REPOSITORY}/tags/list`)) as { tags?: string[] | null };
    return (all ?? []).filter((tag) => tag.startsWith(beginning));
  };

  const jobs = (namespace = NAMESPACE): Promise<readonly KubernetesObject[]> =>
    fleet().plane.list(`/apis/batch/v1/namespaces/${namespace}/jobs`);

  /** What the pods serve: the stand-in for a backend answers with its engine. */
  const served = async (): Promise<string> => {
    const { status, body } = await fleet().client.infer(
      "vision",
      await fleet().client.exampleRequest("vision"),
    );
    assert.equal(status, 200, body);
    const { outputs } = JSON.parse(body) as { outputs: { data: string[] }[] };
    return outputs[0]?.data[0] ?? "";
  };

  const refusal = async (): Promise<string> => {
    const { code, output } = await fleet().pulumi("up", "--yes", "--skip-preview");
    assert.notEqual(code, 0, output);
    return output;
  };

  before(async function () {
    skipWithout(this, FleetOnCluster.missingForImages);
    kit = await BuildKit.start({ disk: "own" });
    registry = await Registry.withLogin();
    started = await FleetOnCluster.start([4], kit.environment);
    fs.mkdirSync(fleet().exampleModel("vision/1"), { recursive: true });
    fs.writeFileSync(fleet().exampleModel("vision/config.pbtxt"), CONFIG);
    fs.writeFileSync(fleet().exampleModel("vision/labels.txt"), "cat\n");
    writeOnnx("first\n");
    const realtime = { name: "realtime", source: "../models/realtime", priority: "max" };
    const vision = { name: "vision", source: "../models/vision", priority: 7, engine: {} };
    fleet().set(["models"], [realtime, vision]);
    fleet().set(["replicas"], 1);
  });

  after(async () => {
    await started?.stop();
    await registry?.stop();
    await kit?.stop();
  });

  it("asks for a repository and a login before anything is made", async () => {
    const output = await refusal();
    assert.match(output, /models\[1\]\.engine: \(given\)/);
    assert.match(output, /fix: set modelImageRepository and registry, with a login that may push/);
    assert.equal((await fleet().plane.ask("GET", `/api/v1/namespaces/${NAMESPACE}`)).status, 404);
  });

  it("previews without a Job", async () => {
    fleet().set(["modelImageRepository"], `${registry?.address}/${REPOSITORY}`);
    fleet().set(["registry"], Registry.login);
    const { code, output } = await fleet().pulumi("preview");
    requireSuccess({ code, output });
    assert.match(output, /kubernetes:batch\/v1:Job\s+inference-engine-vision-[0-9a-f]{10}\s+create/);
    assert.deepEqual(await tags(""), []);
  });

  it("serves an engine that a Job has built on a GPU of the cluster", async () => {
    await fleet().up();
    const [model, ...options] = (await served()).split("\n");
    assert.equal(model, "first");
    assert.ok(options.includes("--buildOnly") && !options.includes("--fp16"), options.join(" "));
    assert.equal((await fleet().client.priority("vision")).xsched, "7");
    // The model, its engine, and the engine under the fleet's own name.
    assert.deepEqual([(await tags("engine-")).length, (await tags("")).length], [1, 3]);
    const image = fleet().nodes.images.references.find((reference) => !reference.includes("@"));
    const folder = await fleet().nodes.images.folderOf(image ?? "");
    assert.deepEqual(fs.readdirSync(folder).sort(), ["1", "config.pbtxt", "labels.txt"]);
    assert.deepEqual(fs.readdirSync(path.join(folder, "1")), ["model.plan"]);
    const { output } = await fleet().pulumi("stack", "export");
    assert.ok(!output.includes(Registry.login.password), "the state has the password in clear");
  });

  it("does nothing without a change", async () => {
    assert.deepEqual(await fleet().up(), {});
  });

  it("has another login for the Jobs to come, and starts nothing for it", async () => {
    // As a registry's login that is another one each day.
    fleet().set(["registry", "password"], "of another day");
    assert.deepEqual(await fleet().up(), { "SecretPatch updated": 1 });
    fleet().set(["registry"], Registry.login);
  });

  it("builds anew for another option, without a failed request, and removes the former Job", async () => {
    const [former] = await jobs();
    fleet().set(["models", 1, "engine"], { precision: "fp16" });
    const { result } = await fleet().measured(() => fleet().up(), {
      models: ["vision", "realtime"],
      rate: RATE,
    });
    assert.deepEqual(result, {
      "Deployment updated": 1,
      "Job created": 1,
      "Job deleted": 1,
      "SecretPatch updated": 1,
    });
    assert.ok((await served()).split("\n").includes("--fp16"));
    assert.equal((await tags("engine-")).length, 2);
    const [job, ...others] = await jobs();
    assert.deepEqual(others, []);
    assert.notEqual(job?.metadata.uid, former?.metadata.uid);
  });

  it("tells what the builder says, tries it anew, and leaves what serves", async () => {
    const before = await fleet().servingPods();
    const deployed = await fleet().template();
    writeOnnx("broken\n");
    for (let attempt = 0; attempt < 2; attempt++) {
      const former = (await jobs()).map(({ metadata }) => metadata.uid);
      assert.match(
        await refusal(),
        /TensorRT cannot build the engine of vision, version 1: [^]*While parsing node number 4 \[Einsum\]/,
      );
      assert.ok((await jobs()).some(({ metadata }) => !former.includes(metadata.uid)));
    }
    const { output } = await fleet().command("status", "dev");
    assert.match(
      output,
      /^the build of an engine: pod inference-engine-\S+: it has failed: TensorRT cannot build the engine of vision/m,
    );
    assert.deepEqual(await fleet().servingPods(), before);
    assert.deepEqual(await fleet().template(), deployed);
    assert.ok((await served()).split("\n").includes("--fp16"));
    writeOnnx("first\n");
    await fleet().up();
    assert.deepEqual(await fleet().servingPods(), before);
    assert.equal((await jobs()).length, 1);
  });

  it("builds nothing for another fleet with the same GPU and model", async () => {
    const built = await tags("engine-");
    const config = parseDocument(fs.readFileSync(path.join(fleet().folder, "Pulumi.dev.yaml"), "utf8"));
    config.setIn(["config", "fleet:fleet", "namespace"], OTHER);
    // Nobody asks it.
    config.setIn(["config", "fleet:fleet", "drainSeconds"], 0);
    config.deleteIn(["config", "fleet:fleet", "models", 0]);
    requireSuccess(await fleet().pulumi("stack", "init", OTHER, "--no-select"));
    fs.writeFileSync(path.join(fleet().folder, `Pulumi.${OTHER}.yaml`), config.toString());
    // Ends when its pod serves.
    requireSuccess(await fleet().pulumi("up", "--yes", "--skip-preview", "--stack", OTHER));
    assert.deepEqual(await tags("engine-"), built);
    const [pod] = await fleet().plane.list(
      `/api/v1/namespaces/${OTHER}/pods?labelSelector=app.kubernetes.io/name=engine`,
    );
    const log = fleet()
      .nodes.pods.get(pod?.metadata.uid ?? "")
      ?.container("engine").log;
    assert.match(log ?? "", /^the engine of vision for Tesla T4, 7\.5 is there already: /m);
  });

  it("leaves nothing but the images", async () => {
    const destroyed = ["dev", OTHER].map((stack) =>
      fleet().pulumi("destroy", "--yes", "--skip-preview", "--stack", stack),
    );
    for (const finished of await Promise.all(destroyed)) requireSuccess(finished);
    for (const namespace of [NAMESPACE, OTHER]) {
      await until("the namespace is gone", async () => {
        return (await fleet().plane.ask("GET", `/api/v1/namespaces/${namespace}`)).status === 404;
      });
    }
    assert.equal((await tags("engine-")).length, 2);
  });
});
