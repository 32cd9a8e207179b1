import * as assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import * as fs from "node:fs";
import * as path from "node:path";

import { parseDocument } from "yaml";

import { until } from "../until";
import { BuildKit } from "./buildKit";
import { ControlPlane, type KubernetesObject } from "./controlPlane";
import { Kubelet, ServiceProxy } from "./kubelet";
import { skipWithout } from "./needs";
import { freePorts } from "./ports";
import { Registry } from "./registry";
import { IMAGE_PROVIDER, TOOLS_HOME } from "./toolchain";
import { TritonClient, underLoad } from "./triton";
import { changesIn, execute, type Finished, requireSuccess, Workspace } from "./workspace";

const NAMESPACE = "xsched-triton";
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

function whatIsMissing(): string | undefined {
  if (!fs.existsSync(IMAGE_PROVIDER)) return "Docker's build provider is missing (`npm test` looks for it)";
  return ControlPlane.missing ?? BuildKit.missing ?? Registry.missing;
}

describe("models of a fleet that are larger than a ConfigMap, on a real control plane, BuildKit and registry", function () {
  let plane: ControlPlane | undefined;
  let kit: BuildKit | undefined;
  let registry: Registry | undefined;
  let kubelet: Kubelet | undefined;
  let proxy: ServiceProxy | undefined;
  let client: TritonClient | undefined;
  let workspace: Workspace;
  let folder: string;

  const triton = (): TritonClient => client ?? assert.fail("no client");

  const pulumi = (...words: string[]): Promise<Finished> =>
    execute("pulumi", [...words, "--non-interactive"], folder, {
      ...kit?.environment,
      KUBECONFIG: plane?.kubeconfig,
      PULUMI_NODEJS_TRANSPILE_ONLY: "true",
      PULUMI_BACKEND_URL: `file://${path.join(folder, "state")}`,
      PULUMI_CONFIG_PASSPHRASE: "",
      PULUMI_HOME: TOOLS_HOME,
      PULUMI_SKIP_UPDATE_CHECK: "true",
      PULUMI_DISABLE_AUTOMATIC_PLUGIN_ACQUISITION: "true",
    });

  const pods = async (): Promise<readonly KubernetesObject[]> =>
    (await plane?.list(`/api/v1/namespaces/${NAMESPACE}/pods`)) ?? [];

  /** What an `up` has changed, by type. */
  const up = async (): Promise<string[]> => {
    const { code, output } = await pulumi("up", "--yes", "--skip-preview");
    requireSuccess({ code, output });
    await until(
      "two pods are left",
      async () => (await serving()).length === 2 && (await pods()).length <= 3,
    );
    return [...new Set(changesIn(output).map(({ type, done }) => `${type.split(":").at(-1) ?? ""} ${done}`))];
  };

  const serving = async (): Promise<string[]> => {
    const addresses = new Set(proxy?.endpoints);
    return (await pods())
      .filter(({ status }) => addresses.has((status as { podIP?: string }).podIP ?? ""))
      .map(({ metadata }) => metadata.uid);
  };

  const set = (key: string, value: unknown): void => {
    const file = path.join(folder, "Pulumi.dev.yaml");
    const config = parseDocument(fs.readFileSync(file, "utf8"));
    config.setIn(["config", "fleet:fleet", ...key.split(".")], config.createNode(value));
    fs.writeFileSync(file, config.toString());
  };

  const writeWeights = (): Buffer => {
    const weights = randomBytes(WEIGHTS);
    fs.writeFileSync(workspace.file("examples/models/large/1/weights.bin"), weights, { mode: 0o600 });
    return weights;
  };

  const tags = async (): Promise<readonly string[]> =>
    ((await registry?.ask(`${REPOSITORY}/tags/list`)) as { tags?: string[] | null }).tags ?? [];

  /** Does something while clients ask both models; none of their requests may fail. */
  const underRequests = async <T>(work: () => Promise<T>): Promise<T> => {
    const { result, reports } = await underLoad(triton(), ["large", "realtime"], RATE, work);
    for (const [model, { failures, sent }] of reports) {
      assert.deepEqual(failures.slice(0, 3), [], `${model}: ${failures.length} of ${sent} requests failed`);
      assert.ok(sent > RATE, `${sent} requests`);
    }
    return result;
  };

  before(async function () {
    skipWithout(this, whatIsMissing());
    plane = await ControlPlane.start();
    kit = await BuildKit.start({ disk: "own" });
    registry = await Registry.withLogin();
    workspace = await Workspace.create();
    folder = workspace.file("examples/fleet");
    fs.mkdirSync(path.join(folder, "state"));
    const [httpPort = 0, grpcPort, metricsPort] = await freePorts(3);
    kubelet = await Kubelet.start(plane, [4]);
    const service = await ServiceProxy.start(plane, NAMESPACE, httpPort);
    proxy = service.proxy;
    client = new TritonClient(service.port, false, 60);
    requireSuccess(await pulumi("stack", "init", "dev"));
    // Pods share this machine's ports.
    set("server", { httpPort, grpcPort, metricsPort });
    fs.cpSync(workspace.file("examples/models/batch"), workspace.file("examples/models/large"), {
      recursive: true,
    });
    fs.appendFileSync(workspace.file("examples/models/large/1/model.py"), READS_WEIGHTS);
    writeWeights();
    set("models", [
      { name: "realtime", source: "../models/realtime", priority: "max" },
      { name: "large", source: "../models/large", priority: 7 },
    ]);
  });

  after(async () => {
    if (plane === undefined) return;
    client?.close();
    await proxy?.stop();
    await kubelet?.stop();
    await registry?.stop();
    await kit?.stop();
    await plane.stop();
    workspace.remove();
  });

  it("asks for a repository before anything is made", async () => {
    const { code, output } = await pulumi("up", "--yes", "--skip-preview");
    assert.notEqual(code, 0);
    assert.match(output, /models\[1\]\.source: "[^"]*\/models\/large", of 3\.0 MiB/);
    assert.match(output, /fix: set modelImageRepository/);
    assert.equal((await plane?.ask("GET", `/api/v1/namespaces/${NAMESPACE}`))?.status, 404);
  });

  it("previews without a push", async () => {
    set("modelImageRepository", `${registry?.address}/${REPOSITORY}`);
    set("registry", Registry.login);
    const { code, output } = await pulumi("preview");
    requireSuccess({ code, output });
    assert.match(output, /docker-build:index:Image\s+inference-model-large-[0-9a-f]{10}\s+create/);
    assert.deepEqual(await tags(), []);
  });

  it("serves such a model from an image, which a node pulls once, beside one in a ConfigMap", async () => {
    await up();
    for (const model of ["large", "realtime"]) {
      const { status, body } = await triton().infer(model, await triton().exampleRequest(model));
      assert.equal(status, 200, body);
    }
    // Of the configuration in force, which is not in the image.
    assert.equal((await triton().priority("large")).xsched, "7");
    assert.equal((await tags()).length, 1);
    assert.equal(kubelet?.images.references.length, 1);
    assert.deepEqual(fs.readdirSync(path.join(folder, ".local/xsched-triton-models/dev/inference")), []);
  });

  it("does nothing without a change", async () => {
    assert.deepEqual(await up(), []);
  });

  it("changes its priority in pods that serve", async () => {
    const before = await serving();
    set("models.1.priority", 9);
    assert.deepEqual(await underRequests(up), ["ConfigMapPatch updated"]);
    assert.deepEqual(await serving(), before);
    assert.equal((await tags()).length, 1);
  });

  it("rolls where a file of it changes, without a failed request, and keeps the former image", async () => {
    const before = await serving();
    const weights = writeWeights();
    const changed = await underRequests(up);
    assert.ok(changed.includes("Image created") && changed.includes("Deployment updated"), changed.join());
    for (const uid of await serving()) assert.ok(!before.includes(uid));
    assert.equal((await tags()).length, 2);
    const [, latest = ""] = kubelet?.images.references ?? [];
    const folderOfImage = await kubelet?.images.folderOf(latest);
    const file = path.join(folderOfImage ?? "", "1/weights.bin");
    assert.ok(fs.readFileSync(file).equals(weights));
    // Whoever may read it here: in a pod it is somebody else.
    assert.equal(fs.statSync(file).mode & 0o777, 0o555);
    assert.equal((await triton().priority("large")).xsched, "9");
  });

  it("leaves nothing but the images", async () => {
    requireSuccess(await pulumi("destroy", "--yes", "--skip-preview"));
    await until("the namespace is gone", async () => {
      return (await plane?.ask("GET", `/api/v1/namespaces/${NAMESPACE}`))?.status === 404;
    });
    assert.equal((await tags()).length, 2);
  });
});
