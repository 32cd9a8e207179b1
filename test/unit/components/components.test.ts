import * as assert from "node:assert/strict";
import * as fs from "node:fs";
import * as os from "node:os";
import * as path from "node:path";

import * as pulumi from "@pulumi/pulumi";
import type { RegisterResourceRequest } from "@pulumi/pulumi/proto/resource_pb";

import type * as components from "../../../components";
import { ensemble, HOST_KEY, IMAGE, PRIVATE_KEY } from "../settings/context";

const MODELS = path.resolve(__dirname, "../../../examples/models");

interface Registered {
  readonly type: string;
  readonly name: string;
  readonly inputs: Readonly<Record<string, unknown>>;
}

/** What a resource was called before, as the engine is told. */
interface Alias {
  readonly resource: string;
  readonly name?: string;
  readonly type?: string;
}

/** Writes down the aliases of everything that is registered; the mocks are not told. */
function recordAliases(): Alias[] {
  const aliases: Alias[] = [];
  const monitor = pulumi.runtime.getMonitor() as unknown as {
    registerResource: (request: RegisterResourceRequest, ...others: unknown[]) => unknown;
  };
  const register = monitor.registerResource.bind(monitor);
  monitor.registerResource = (request, ...others) => {
    for (const alias of request.getAliasesList()) {
      const { name, type } = alias.getSpec()?.toObject() ?? {};
      aliases.push({ resource: request.getName(), ...(name && { name }), ...(type && { type }) });
    }
    return register(request, ...others);
  };
  return aliases;
}

/** What the agent answers to a command. */
function answerOf(name: string): object {
  if (name.endsWith("-agent")) return { gpus: ["NVIDIA T4"], docker: true };
  return name.endsWith("/engine") ? { digest: "0123456789abcdef" } : { version: "2.23.0" };
}

const SSH = { address: "gpu.example", privateKey: PRIVATE_KEY, hostKey: HOST_KEY };

for (const preview of [true, false]) {
  describe(`components, ${preview ? "in a preview" : "in an update"}`, () => {
    let registered: Registered[];
    let aliases: Alias[];
    let api: typeof components;

    const named = (name: string): Registered => {
      const found = registered.find((resource) => resource.name === name);
      assert.ok(found, `${name} is registered`);
      return found;
    };

    const stdinOf = (name: string): unknown => JSON.parse(named(name).inputs.stdin as string);

    const deploy = async (args: components.TritonStackArgs = {}): Promise<components.TritonStack> => {
      registered = [];
      await pulumi.runtime.setMocks(
        {
          newResource: ({ type, name, inputs }) => {
            registered.push({ type, name, inputs: inputs as Record<string, unknown> });
            const stdout = name.endsWith("-directory")
              ? "/srv/triton"
              : `xsched-triton-result ${JSON.stringify(answerOf(name))}`;
            return { id: `${name}-id`, state: { ...(inputs as object), ...(!preview && { stdout }) } };
          },
          call: ({ inputs }) => inputs as Record<string, unknown>,
        },
        "project",
        "stack",
        preview,
      );
      aliases = recordAliases();
      api = await import("../../../components");
      const deployment = new api.TritonStack("edge", {
        models: [
          { name: "realtime", source: path.join(MODELS, "realtime"), priority: 200 },
          { name: "batch", source: path.join(MODELS, "batch"), priority: pulumi.output(-100) },
        ],
        ...args,
      });
      await pulumi.runtime.disconnect();
      return deployment;
    };

    it("take over the resources of a TritonDeployment, which had the same parts", async () => {
      await deploy();
      // Parts of the same type and name need no alias of their own: the engine derives theirs from their parent's.
      const parts = ["TritonHost edge-host", "ModelRepository edge-models", "TritonServer edge-server"];
      const former = ["edge", ...parts.map((part) => part.split(" ")[1])];
      assert.deepEqual(
        aliases.filter(({ resource }) => former.includes(resource)),
        [{ resource: "edge", type: "xsched-triton:index:TritonDeployment" }],
      );
      const types = registered.map(({ type, name }) => `${type.split(":").at(-1)} ${name}`);
      for (const part of parts) assert.ok(types.includes(part), `${part} is among ${types.join(", ")}`);
    });

    it("name every child after its component, and parent it there", async () => {
      await deploy();
      const names = registered.map(({ name }) => name).sort();
      assert.deepEqual(names, [
        "edge",
        "edge-host",
        "edge-host-agent",
        "edge-host-directory",
        "edge-models",
        "edge-models-batch",
        "edge-models-realtime",
        "edge-server",
        "edge-server-models",
        "edge-server-process",
        "edge-server-runtime",
      ]);
      const commands = registered.filter(({ type }) => type.startsWith("command:"));
      assert.ok(commands.every(({ type }) => type === "command:local:Command"));
    });

    it("render a model's priority both ways", async () => {
      await deploy();
      const { config } = stdinOf("edge-models-batch") as { config: string };
      assert.match(config, /priority: PRIORITY_MIN/);
      assert.match(config, /key: "xsched_priority"\s+value \{\s+string_value: "-100"\s+\}/);
    });

    it("render a model's floor and weight and tell the host, and change nothing of a model without them", async () => {
      await deploy({
        models: [
          { name: "realtime", source: path.join(MODELS, "realtime"), priority: 200 },
          { name: "batch", source: path.join(MODELS, "batch"), floor: pulumi.output(20) },
          { name: "heavy", source: path.join(MODELS, "batch"), weight: pulumi.output(3) },
        ],
      });
      const { config } = stdinOf("edge-models-batch") as { config: string };
      assert.match(config, /key: "xsched_floor"\s+value \{\s+string_value: "20"\s+\}/);
      const { config: plain } = stdinOf("edge-models-realtime") as { config: string };
      assert.doesNotMatch(plain, /floor|weight/);
      const { config: heavy } = stdinOf("edge-models-heavy") as { config: string };
      assert.match(heavy, /key: "xsched_weight"\s+value \{\s+string_value: "3"\s+\}/);
      // In a preview, what is to be served is not known yet.
      if (preview) return;
      const { models } = stdinOf("edge-server-models") as { models: { name: string }[] };
      assert.deepEqual(
        models.map((model) => Object.keys(model)),
        [
          ["name", "digest", "loadDigest", "priority", "dependsOn"],
          ["name", "digest", "loadDigest", "priority", "dependsOn", "floor"],
          ["name", "digest", "loadDigest", "priority", "dependsOn", "weight"],
        ],
      );
    });

    it("tell the host which states of a model differ in priority, floor and weight alone", async () => {
      const batch = { name: "batch", source: path.join(MODELS, "batch") };
      const served = async (model: object): Promise<{ digest: string; loadDigest: string }> => {
        await deploy({ models: [{ ...batch, ...model }] });
        const { models } = stdinOf("edge-server-models") as {
          models: { digest: string; loadDigest: string }[];
        };
        return models[0]!;
      };
      // In a preview, what is to be served is not known yet.
      if (preview) return;
      const first = await served({ priority: -100 });
      for (const change of [{ priority: 100 }, { floor: 20 }, { weight: 3 }]) {
        const other = await served(change);
        assert.notEqual(other.digest, first.digest, JSON.stringify(change));
        assert.equal(other.loadDigest, first.loadDigest, JSON.stringify(change));
      }
      for (const change of [{ parameters: { more: "1" } }, { instanceGroups: [{ count: 2 }] }]) {
        assert.notEqual((await served(change)).loadDigest, first.loadDigest, JSON.stringify(change));
      }
      const source = path.join(MODELS, "interactive");
      const config = fs.readFileSync(path.join(batch.source, "config.pbtxt"), "utf8");
      const own = config.replace(/^name: .*$/m, "");
      const [one, two] = [await served({ config: own }), await served({ config: own, source })];
      assert.notEqual(one.loadDigest, two.loadDigest);
    });

    it("name the instances of a model with a model.plan in its configuration, and change nothing of others", async () => {
      const source = fs.mkdtempSync(path.join(os.tmpdir(), "xsched-plan-"));
      fs.mkdirSync(path.join(source, "2"));
      fs.writeFileSync(path.join(source, "2/model.plan"), "");
      const instanceGroups = [{ count: 2 }];
      await deploy({
        models: [
          { name: "realtime", source, instanceGroups },
          { name: "batch", source: path.join(MODELS, "batch"), instanceGroups },
        ],
      });
      fs.rmSync(source, { recursive: true });
      const configs = ["realtime", "batch"].map(
        (name) => stdinOf(`edge-models-${name}`) as { config: string },
      );
      assert.match(
        configs[0]!.config,
        /key: "xsched_instances"\s+value \{\s+string_value: "[0-9a-f]{16}"\s+\}/,
      );
      assert.doesNotMatch(configs[1]!.config, /xsched_instances/);
    });

    it("give the steps of an ensemble that is known only later its priority", async () => {
      const later = pulumi.output(ensemble("batch", "realtime"));
      const { models } = await deploy({
        models: [
          { name: "realtime", source: path.join(MODELS, "realtime"), priority: 1 },
          { name: "batch", source: path.join(MODELS, "batch") },
          { name: "both", source: path.join(MODELS, "batch"), config: later, priority: pulumi.output(-40) },
        ],
      });
      const priorities = await new Promise((resolve) => {
        models.apply(resolve);
      });
      assert.deepEqual(priorities, [
        { name: "realtime", priority: 1 },
        { name: "batch", priority: -40 },
        { name: "both", priority: -40 },
      ]);
      const { config } = stdinOf("edge-models-batch") as { config: string };
      assert.match(config, /string_value: "-40"/);
    });

    it("never pass the previous output or a trigger that a priority is part of", async () => {
      await deploy();
      for (const { inputs } of registered.filter(({ type }) => type.startsWith("command:"))) {
        assert.equal(inputs.addPreviousOutputInEnv, false);
        assert.equal((inputs.triggers as unknown[]).length, 1);
      }
    });

    it("reach another machine through SSH with a pinned host key, and keep the connection secret", async () => {
      await deploy({ host: { kind: "ssh", ...SSH } });
      const remote = registered.filter(({ type }) => type.startsWith("command:remote:"));
      assert.equal(remote.length, registered.filter(({ type }) => type.startsWith("command:")).length);
      for (const { inputs } of remote) {
        const { value } = inputs.connection as { value?: Record<string, unknown> };
        const connection = value ?? (inputs.connection as Record<string, unknown>);
        assert.equal(connection.hostKey, SSH.hostKey);
        assert.equal(connection.port, 22);
        assert.equal(connection.user, "root");
      }
      assert.ok(
        registered.some(
          ({ type, name }) => type === "command:remote:CopyToRemote" && name === "edge-models-batch/files",
        ),
      );
    });

    it("tell a model from the parts of another one", async () => {
      const source = path.join(MODELS, "batch");
      const names = ["x", "x-files", "x-files-files", "x-engine"];
      await deploy({
        host: { kind: "ssh", ...SSH },
        models: names.map((name) => ({ name, source })),
      });
      const inRepository = registered.filter(({ name }) => name.startsWith("edge-models-"));
      assert.deepEqual(
        inRepository.map(({ name }) => name).sort(),
        names.flatMap((name) => [`edge-models-${name}`, `edge-models-${name}/files`]).sort(),
      );
    });

    it("build a model's engine on the host, and store the result", async () => {
      const runtime = { kind: "container", image: IMAGE } as const;
      await deploy({
        runtime,
        models: [
          { name: "bert", source: path.join(MODELS, "batch"), engine: { workspaceMiB: pulumi.output(512) } },
        ],
      }).catch((error: unknown) => {
        assert.match(String(error), /models\[0\]\.source: .*\n.*a folder with a model\.onnx/);
      });
      assert.ok(!registered.some(({ name }) => name === "edge-models-bert"));
      const source = fs.mkdtempSync(path.join(os.tmpdir(), "xsched-onnx-"));
      fs.mkdirSync(path.join(source, "1"));
      fs.writeFileSync(path.join(source, "1/model.onnx"), "");
      await deploy({
        runtime,
        models: [{ name: "bert", source, engine: { workspaceMiB: pulumi.output(512) } }],
      });
      fs.rmSync(source, { recursive: true });
      const built = named("edge-models-bert/engine").inputs;
      assert.deepEqual((JSON.parse(built.stdin as string) as { engine: unknown }).engine, {
        builder: "nvcr.io/nvidia/tensorrt:22.06-py3",
        precision: "fp32",
        workspaceMiB: 512,
        shapes: [],
      });
      if (preview) return;
      const stored = stdinOf("edge-models-bert") as Record<string, string>;
      assert.match(stored.config!, /platform: "tensorrt_plan"/);
      assert.match(stored.source!, /engines\/ready\/bert$/);
      assert.equal(stored.filesDigest, "0123456789abcdef");
    });

    it("run a container if an image is given, and then install no process runtime", async () => {
      await deploy({ runtime: { kind: "container", image: IMAGE } });
      assert.ok(!registered.some(({ name }) => name === "edge-server-runtime"));
      const { kind, image } = stdinOf("edge-server-process") as Record<string, string>;
      assert.deepEqual([kind, image], ["container", IMAGE]);
    });
  });
}
