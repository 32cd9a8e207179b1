import * as assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import * as fs from "node:fs";
import * as path from "node:path";

import { until } from "../until";
import { BuildKit } from "./buildKit";
import { FleetOnCluster, NAMESPACE } from "./fleetOnCluster";
import { skipWithout } from "./needs";
import { Registry } from "./registry";
import { requireSuccess } from "./workspace";

const REPOSITORY = "team/models";

/** More than a ConfigMap holds. */
const WEIGHTS = 3 << 20;

/** A model that is served with its weights, or not at all. */
const READS_WEIGHTS = `
import pathlib

WEIGHTS = pathlib.Path(__file__).with_name("weights.bin")
assert WEIGHTS.stat().st_size == ${WEIGHTS}, WEIGHTS
`;

const RATE = 20;

describe("models of a fleet that are larger than a ConfigMap, on a real control plane, BuildKit and registry", function () {
  let kit: BuildKit | undefined;
  let registry: Registry | undefined;
  let started: FleetOnCluster | undefined;

  const fleet = (): FleetOnCluster => started ?? assert.fail("no fleet");

  const underRequests = async <T>(work: () => Promise<T>): Promise<T> =>
    (await fleet().measured(work, { models: ["large", "realtime"], rate: RATE })).result;

  const writeWeights = (): Buffer => {
    const weights = randomBytes(WEIGHTS);
    fs.writeFileSync(fleet().exampleModel("large/1/weights.bin"), weights, { mode: 0o600 });
    return weights;
  };

  const tags = async (): Promise<readonly string[]> =>
    ((await registry?.ask(`${REPOSITORY}/tags/list`)) as { tags?: string[] | null }).tags ?? [];

  before(async function () {
    skipWithout(this, FleetOnCluster.missingForImages);
    kit = await BuildKit.start({ disk: "own" });
    registry = await Registry.withLogin();
    started = await FleetOnCluster.start([4], kit.environment);
    fs.cpSync(fleet().exampleModel("batch"), fleet().exampleModel("large"), { recursive: true });
    fs.appendFileSync(fleet().exampleModel("large/1/model.py"), READS_WEIGHTS);
    writeWeights();
    const realtime = { name: "realtime", source: "../models/realtime", priority: "max" };
    fleet().set(["models"], [realtime, { name: "large", source: "../models/large", priority: 7 }]);
  });

  after(async () => {
    await started?.stop();
    await registry?.stop();
    await kit?.stop();
  });

  it("asks for a repository before anything is made", async () => {
    const { code, output } = await fleet().pulumi("up", "--yes", "--skip-preview");
    assert.notEqual(code, 0);
    assert.match(output, /models\[1\]\.source: "[^"]*\/models\/large", of 3\.0 MiB/);
    assert.match(output, /fix: set modelImageRepository/);
    assert.equal((await fleet().plane.ask("GET", `/api/v1/namespaces/${NAMESPACE}`)).status, 404);
  });

  it("previews without a push", async () => {
    fleet().set(["modelImageRepository"], `${registry?.address}/${REPOSITORY}`);
    fleet().set(["registry"], Registry.login);
    const { code, output } = await fleet().pulumi("preview");
    requireSuccess({ code, output });
    assert.match(output, /docker-build:index:Image\s+inference-model-large-[0-9a-f]{10}\s+create/);
    assert.deepEqual(await tags(), []);
  });

  it("serves such a model from an image, which a node pulls once, beside one in a ConfigMap", async () => {
    await fleet().up();
    for (const model of ["large", "realtime"]) {
      const { status, body } = await fleet().client.infer(model, await fleet().client.exampleRequest(model));
      assert.equal(status, 200, body);
    }
    // Of the configuration in force, which is not in the image.
    assert.equal((await fleet().client.priority("large")).xsched, "7");
    assert.equal((await tags()).length, 1);
    assert.equal(fleet().nodes.images.references.length, 1);
    assert.deepEqual(
      fs.readdirSync(path.join(fleet().folder, ".local/xsched-triton-models/dev/inference")),
      [],
    );
  });

  it("does nothing without a change", async () => {
    assert.deepEqual(await fleet().up(), {});
  });

  it("changes its priority in pods that serve", async () => {
    const before = await fleet().servingPods();
    fleet().set(["models", 1, "priority"], 9);
    assert.deepEqual(await underRequests(() => fleet().up()), { "ConfigMapPatch updated": 1 });
    assert.deepEqual(await fleet().servingPods(), before);
    assert.equal((await tags()).length, 1);
  });

  it("rolls where a file of it changes, without a failed request, and keeps the former image", async () => {
    const before = await fleet().servingPods();
    const weights = writeWeights();
    const changed = await underRequests(() => fleet().up());
    assert.equal(changed["Image created"], 1);
    assert.equal(changed["Deployment updated"], 1);
    for (const uid of await fleet().servingPods()) assert.ok(!before.includes(uid));
    assert.equal((await tags()).length, 2);
    const [, latest = ""] = fleet().nodes.images.references;
    const folderOfImage = await fleet().nodes.images.folderOf(latest);
    const file = path.join(folderOfImage, "1/weights.bin");
    assert.ok(fs.readFileSync(file).equals(weights));
    // Whoever may read it here: in a pod it is somebody else.
    assert.equal(fs.statSync(file).mode & 0o777, 0o555);
    assert.equal((await fleet().client.priority("large")).xsched, "9");
  });

  it("leaves nothing but the images", async () => {
    requireSuccess(await fleet().pulumi("destroy", "--yes", "--skip-preview"));
    await until("the namespace is gone", async () => {
      return (await fleet().plane.ask("GET", `/api/v1/namespaces/${NAMESPACE}`)).status === 404;
    });
    assert.equal((await tags()).length, 2);
  });
});
