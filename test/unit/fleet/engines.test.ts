import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import * as fs from "node:fs";
import * as os from "node:os";
import * as path from "node:path";

import * as pulumi from "@pulumi/pulumi";

import type { TritonFleetArgs } from "../../../components/settings";
import { IMAGE } from "../settings/context";

const REPOSITORY = "registry.example.com/team/models";
const UID = "0b7c5c0e-6f5e-4d0b-8d38-2f8d8b0c7f11";
const DIGEST = `sha256:${"1".repeat(64)}`;

/** Prints the modules of the agent in the folder that the command imports. */
const IMPORTED = `
import os, sys
sys.path.insert(0, sys.argv[1])
import agent.engine_image
for module in sys.modules.values():
    if module.__name__.split(".")[0] == "agent":
        print(os.path.basename(module.__file__))
`;

interface Container {
  readonly image: string;
  readonly command: readonly string[];
  readonly resources: { readonly limits: object };
  readonly securityContext: object;
  readonly volumeMounts: readonly { readonly name: string; readonly mountPath: string }[];
}

interface Pod {
  readonly restartPolicy?: string;
  readonly automountServiceAccountToken: boolean;
  readonly priorityClassName: string;
  readonly nodeSelector?: object;
  readonly imagePullSecrets?: object;
  readonly tolerations: object;
  readonly securityContext: { readonly runAsNonRoot: boolean };
  readonly containers: readonly [Container];
  readonly volumes: readonly { readonly name: string; readonly image?: object }[];
}

interface Inputs {
  readonly metadata: {
    readonly name: string;
    readonly labels: Record<string, string>;
    readonly annotations: Record<string, string>;
  };
  readonly data?: Record<string, string>;
  readonly stringData?: unknown;
  readonly spec: {
    readonly activeDeadlineSeconds: number;
    readonly backoffLimit: number;
    readonly podSelector: { readonly matchLabels: object };
    readonly ingress: readonly unknown[];
    readonly template: { readonly metadata: { readonly labels: object }; readonly spec: Pod };
  };
}

interface Registered {
  readonly type: string;
  readonly name: string;
  readonly inputs: Inputs;
}

describe("engines of a fleet", () => {
  let folder: string;
  let registered: Registered[];

  before(() => {
    folder = fs.mkdtempSync(path.join(os.tmpdir(), "xsched-triton-engines-"));
    for (const model of ["vision", "speech"]) {
      fs.mkdirSync(path.join(folder, model, "1"), { recursive: true });
      fs.writeFileSync(path.join(folder, model, "1/model.onnx"), `onnx of ${model}\n`);
    }
  });

  after(() => {
    fs.rmSync(folder, { recursive: true });
  });

  const deploy = async (
    args: Partial<TritonFleetArgs> = {},
    models: readonly object[] = [{ name: "vision", engine: { precision: "fp16" } }],
  ): Promise<void> => {
    registered = [];
    await pulumi.runtime.setMocks(
      {
        newResource: ({ type, name, inputs, id }) => {
          registered.push({ type: type.split(":").at(-1) ?? "", name, inputs: inputs as Inputs });
          if (id) return { id, state: { metadata: { annotations: {} } } };
          const { metadata } = inputs as { metadata?: object };
          const state = { ...(inputs as object), digest: DIGEST };
          return { id: name, state: metadata ? { ...state, metadata: { ...metadata, uid: UID } } : state };
        },
        call: ({ inputs }) => inputs as object,
      },
      "project",
      "stack",
      false,
    );
    const api = await import("../../../components/fleet");
    new api.TritonFleet("edge", {
      image: IMAGE,
      modelImageRepository: REPOSITORY,
      registry: { username: "deployer", password: "of the test" },
      ...args,
      models: models.map((model) => ({
        source: path.join(folder, (model as { name: string }).name),
        ...model,
      })) as TritonFleetArgs["models"],
    });
    await pulumi.runtime.disconnect();
  };

  const made = (type: string): readonly Registered[] => registered.filter((each) => each.type === type);
  const [job, deployment] = ["Job", "Deployment"].map((type) => (): Registered => {
    const found = made(type).find(({ name }) => type === "Job" || name === "edge");
    return found ?? assert.fail(`no ${type}`);
  }) as [() => Registered, () => Registered];
  const podOf = ({ inputs }: Registered): Pod => inputs.spec.template.spec;

  it("are built by a Job on a whole GPU, where the fleet's pods may be", async () => {
    await deploy({ nodeSelector: { gpu: "a10g" }, pullSecrets: ["pull"], engineBuildSeconds: 600 });
    const { name, inputs } = job();
    assert.match(name, /^edge-engine-vision-[0-9a-f]{10}$/);
    assert.equal(inputs.metadata.name, name.replace("-vision", ""));
    assert.equal(inputs.spec.activeDeadlineSeconds, 600 + 900);
    const pod = podOf(job());
    const [container] = pod.containers;
    const served = podOf(deployment());
    for (const key of [
      "priorityClassName",
      "nodeSelector",
      "imagePullSecrets",
      "tolerations",
      "securityContext",
    ] as const) {
      assert.deepEqual(pod[key], served[key], key);
    }
    assert.equal(pod.restartPolicy, "Never");
    assert.equal(pod.automountServiceAccountToken, false);
    assert.equal(pod.securityContext.runAsNonRoot, true);
    assert.deepEqual(container.securityContext, served.containers[0].securityContext);
    assert.deepEqual(container.resources.limits, { "nvidia.com/gpu": "1" });
    assert.equal(container.image, "nvcr.io/nvidia/tensorrt:22.06-py3");
    const { model, repository, tag, engine } = JSON.parse(container.command[5] ?? "") as Record<
      string,
      unknown
    >;
    assert.deepEqual([model, repository], ["vision", REPOSITORY]);
    assert.equal(tag, `${name.replace("edge-engine-", "")}-${UID}`);
    assert.deepEqual(engine, {
      ...{ precision: "fp16", shapes: [], workspaceMiB: 4096 },
      builder: "nvcr.io/nvidia/tensorrt:22.06-py3",
    });
  });

  it("are built of the model's image, and served from the one that the Job pushes", async () => {
    await deploy();
    const image = (pod: Pod): object[] => pod.volumes.flatMap((volume) => volume.image ?? []);
    assert.deepEqual(image(podOf(job())), [
      { reference: `${REPOSITORY}@${DIGEST}`, pullPolicy: "IfNotPresent" },
    ]);
    const reference = `${REPOSITORY}:${job().name.replace("edge-engine-", "")}-${UID}`;
    assert.equal(job().inputs.metadata.annotations["xsched-triton/image"], reference);
    assert.deepEqual(image(podOf(deployment())), [{ reference, pullPolicy: "IfNotPresent" }]);
    const texts = made("ConfigMapPatch").flatMap(({ inputs }) => Object.values(inputs.data ?? {}));
    assert.ok(texts.some((text) => text.includes('platform: "tensorrt_plan"')));
  });

  it("are pushed with a login that no other pod has, and that is a secret", async () => {
    await deploy();
    const [login] = made("SecretPatch");
    assert.ok(pulumi.runtime.isRpcSecret(login?.inputs.stringData));
    const names = (pod: Pod): string[] =>
      pod.volumes.flatMap((volume) => ("secret" in volume ? [JSON.stringify(volume.secret)] : []));
    assert.deepEqual(names(podOf(job())), ['{"defaultMode":292,"secretName":"edge-engines"}']);
    assert.deepEqual(names(podOf(deployment())), []);
    assert.ok(!JSON.stringify(made("Job")).includes("of the test"));
  });

  it("are built by pods that nobody reaches, and that no Service takes for others", async () => {
    await deploy();
    const { labels } = job().inputs.spec.template.metadata as { labels: Record<string, string> };
    const policy = made("NetworkPolicy").find(({ name }) => name === "edge-engines")?.inputs.spec;
    assert.ok(policy !== undefined);
    assert.deepEqual(policy.ingress, []);
    for (const [label, value] of Object.entries(policy.podSelector.matchLabels))
      assert.equal(labels[label], value);
    assert.notEqual(labels["app.kubernetes.io/instance"], "edge");
  });

  it("are built anew for what they depend on, and for nothing else", async () => {
    const nameOf = async (...args: Parameters<typeof deploy>): Promise<string> => {
      await deploy(...args);
      return job().name;
    };
    const engine = { precision: "fp16" };
    const first = await nameOf();
    for (const [what, again] of Object.entries({
      "a priority": await nameOf({}, [{ name: "vision", engine, priority: 9, weight: 2 }]),
      "the image": await nameOf({ image: IMAGE.replace(/.$/, "0") }),
      replicas: await nameOf({ replicas: 7, cpus: 3, placementSeconds: 77 }),
      "another login": await nameOf({ registry: { username: "other", password: "other" } }),
    })) {
      assert.equal(again, first, what);
    }
    for (const [what, other] of Object.entries({
      "an option": await nameOf({}, [{ name: "vision", engine: { precision: "fp32" } }]),
      "another GPU": await nameOf({ nodeSelector: { gpu: "h100" } }),
      "another repository": await nameOf({ modelImageRepository: "registry.example.com/others" }),
    })) {
      assert.notEqual(other, first, what);
    }
    fs.appendFileSync(path.join(folder, "vision/1/model.onnx"), "changed\n");
    assert.notEqual(await nameOf(), first);
  });

  it("have one program and one login for all models; models without an engine have neither", async () => {
    await deploy({}, [
      { name: "vision", engine: {} },
      { name: "speech", engine: {} },
    ]);
    assert.equal(made("Job").length, 2);
    for (const type of ["Secret", "SecretPatch"]) assert.equal(made(type).length, 1, type);
    await deploy({}, [{ name: "vision" }]);
    for (const type of ["Job", "Secret", "SecretPatch"]) assert.equal(made(type).length, 0, type);
  });

  it("are built by the modules of the agent that their program imports, and no others", async () => {
    await deploy();
    const program = made("ConfigMapPatch").find(({ name }) => name === "edge-engines-program-content");
    const files = program?.inputs.data ?? {};
    const place = path.join(folder, "bin/agent");
    fs.mkdirSync(path.join(place, "agent"), { recursive: true });
    for (const [file, text] of Object.entries(files)) fs.writeFileSync(path.join(place, "agent", file), text);
    const { stdout, stderr } = spawnSync("python3", ["-ISBc", IMPORTED, place], { encoding: "utf8" });
    assert.deepEqual(
      [...new Set([...stdout.trim().split("\n"), "__main__.py"])].sort(),
      Object.keys(files).sort(),
      stderr,
    );
  });
});
