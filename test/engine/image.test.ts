import * as assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { generateKeyPairSync } from "node:crypto";
import { once } from "node:events";
import * as fs from "node:fs";
import * as path from "node:path";

import { isMap, isSeq } from "yaml";

import { until } from "../until";
import { BuildKit } from "./buildKit";
import { Cosign } from "./cosign";
import { DockerEngine } from "./dockerEngine";
import { EXAMPLES, MODELS } from "./examples";
import { freePorts } from "./ports";
import { Registry } from "./registry";
import { StandInImages } from "./standInImage";
import { IMAGE_PROVIDER } from "./toolchain";
import { TritonClient } from "./triton";
import { changesIn, execute, type Finished, requireSuccess, Workspace } from "./workspace";
import { skipWithout } from "./needs";

const STACK = "built";
const REPOSITORY = "team/triton";
const PASSWORD = "xsched-triton:runtime.registry.password";
const SIGNATURE_PASSWORD = "xsched-triton:runtime.signature.password";
/** A tag of the base, which moves. */
const TAG = "moving";
/** The most that the image may add to its base. */
const MOST_MEGABYTES = 30;

/** https://github.com/moby/buildkit/blob/master/docs/attestations/attestation-storage.md */
interface Index {
  readonly manifests: readonly {
    readonly digest: string;
    readonly platform?: { readonly architecture: string };
    readonly annotations?: Readonly<Record<string, string>>;
  }[];
}

interface Manifest {
  readonly layers: readonly { readonly digest: string }[];
}

interface Statement {
  readonly predicateType: string;
  readonly predicate: {
    readonly buildDefinition?: {
      readonly resolvedDependencies: readonly { readonly digest?: Readonly<Record<string, string>> }[];
    };
    readonly packages?: readonly { readonly name: string }[];
  };
}

function whatIsMissing(): string | undefined {
  if (!fs.existsSync(IMAGE_PROVIDER)) return "Docker's build provider is missing (`npm test` looks for it)";
  return BuildKit.missing ?? DockerEngine.missing ?? Registry.missing ?? StandInImages.missing;
}

describe("an image that the stack builds, on a real Docker and BuildKit", function () {
  let engine: DockerEngine | undefined;
  let kit: BuildKit;
  let images: StandInImages;
  let registry: Registry;
  let workspace: Workspace;
  let cosign: Cosign;
  let directory: string;
  let triton: TritonClient;

  const docker = (...words: string[]): Promise<string> => {
    assert.ok(engine);
    return engine.ask(...words);
  };

  const containers = (): Promise<string[]> => {
    assert.ok(engine);
    return engine.containersOf(directory);
  };

  const lines = (text: string): string[] => text.split("\n").filter((line) => line !== "");

  const npm = (command: string): Promise<Finished> =>
    workspace.npm(command, "--", STACK, "--yes", "--skip-preview", "--non-interactive");

  const inspect = async (format: string): Promise<string> => {
    const [container = ""] = await containers();
    return docker("inspect", "--format", format, container);
  };

  /** Of the image that runs. */
  const baseDigest = async (): Promise<string> =>
    docker(
      ...["image", "inspect", "--format", '{{index .Config.Labels "org.opencontainers.image.base.digest"}}'],
      await inspect("{{.Image}}"),
    );

  const running = (): Promise<string> => inspect("{{.Id}} {{.State.StartedAt}}");

  /** The digests of the built images on the host. */
  const onHost = async (): Promise<string[]> =>
    lines(
      await docker("images", "--digests", "--format", "{{.Digest}}", `${registry.address}/${REPOSITORY}`),
    );

  const pushedTags = async (): Promise<readonly string[]> => {
    const { tags } = (await registry.ask(`${REPOSITORY}/tags/list`)) as { tags: string[] | null };
    // A signature has a tag, too, in a registry that knows no referrers.
    return (tags ?? []).filter((tag) => !tag.startsWith("sha256-"));
  };

  const set = (where: readonly string[], value: unknown): void => {
    workspace.edit(STACK, (config) => {
      config.setIn(["config", ...where], value);
    });
  };

  const append = (file: string, text: string): void => {
    fs.appendFileSync(workspace.file(file), text);
  };

  /** Pulumi repeats a line when more of the provider's messages arrive. */
  const changed = (output: string): string[] =>
    [...new Set(changesIn(output).map(({ name, done }) => `${name} ${done}`))].sort();

  const everyModelServes = async (): Promise<boolean> =>
    (await Promise.all(MODELS.map((model) => triton.isReady(model)))).every(Boolean);

  before(async function () {
    // The stand-in images may have to be made, or another file be making them, on a busy machine.
    this.timeout(1_200_000);
    skipWithout(this, whatIsMissing());
    engine = await DockerEngine.start();
    kit = await BuildKit.start({ disk: "user" });
    images = await StandInImages.serve(engine);
    registry = await Registry.withLogin();
    workspace = await Workspace.create({ ...engine.environment, ...kit.environment });
    cosign = new Cosign(workspace.directory);
    workspace.environment.PATH = [cosign.folder, process.env.PATH].join(path.delimiter);
    await workspace.initStack(STACK, { [PASSWORD]: Registry.login.password });
    directory = workspace.file("host");
    const [httpPort, grpcPort, metricsPort] = await freePorts(3);
    triton = new TritonClient(httpPort!);
    for (const [key, port] of Object.entries({ httpPort, grpcPort, metricsPort })) {
      set(["xsched-triton:server", key], port);
    }
    set(["xsched-triton:host"], { kind: "local", directory });
    set(["xsched-triton:runtime", "kind"], "container");
    set(["xsched-triton:runtime", "registry", "username"], Registry.login.username);
    set(["xsched-triton:runtime", "build"], {
      repository: `${registry.address}/${REPOSITORY}`,
      base: await images.tag(TAG, "1"),
      builder: await images.tools(engine),
      sbomGenerator: await images.scanner(engine),
    });
  });

  after(async () => {
    if (engine === undefined) return;
    triton.close();
    await npm("down");
    await engine.docker("image", "rm", images.image("1"));
    await registry.stop();
    await images.stop();
    await kit.stop();
    await engine.stop();
    workspace.remove();
  });

  it("is built, pushed, pulled by digest, and serves every example model", async function () {
    // All may have to be compiled, on a machine that may be busy otherwise.
    this.timeout(1_200_000);
    const { code, output } = await npm("up");
    requireSuccess({ code, output });
    assert.doesNotMatch(output, /\.sh: line \d+:/);
    assert.ok(!output.includes(Registry.login.password), "the password is not printed");
    for (const { name, ...priority } of EXAMPLES) {
      assert.ok(await triton.isReady(name), `${name} is ready`);
      assert.deepEqual(await triton.priority(name), priority);
      const { status, body } = await triton.infer(name, await triton.exampleRequest(name));
      assert.equal(status, 200, body);
    }
    const [digest] = await onHost();
    assert.equal(await inspect("{{.Config.Image}}"), `${registry.address}/${REPOSITORY}@${digest}`);
    assert.equal((await pushedTags()).length, 1);
  });

  it("runs as Triton's own user, and Docker sees that it is healthy", async () => {
    assert.equal(await inspect("{{.Config.User}}"), "triton-server");
    let health = "";
    await until(
      () => health,
      async () => (health = await inspect("{{.State.Health.Status}}")) === "healthy",
    );
  });

  it("adds little to its base: no compiler, no sources, and labels that describe it", async () => {
    const built = await inspect("{{.Image}}");
    await docker("pull", images.image("1"));
    const size = async (image: string): Promise<number> =>
      Number(await docker("image", "inspect", "--format", "{{.Size}}", image));
    const added = ((await size(built)) - (await size(images.image("1")))) / 1e6;
    console.log(`      ${added.toFixed(2)} MB`);
    assert.ok(added < MOST_MEGABYTES, `${added} MB`);
    const label = (name: string): Promise<string> =>
      docker("image", "inspect", "--format", `{{index .Config.Labels "${name}"}}`, built);
    assert.equal(await label("xsched-triton.variant"), "hooked");
    assert.equal(await label("org.opencontainers.image.base.name"), `${images.repository}:${TAG}`);
    assert.equal(await label("org.opencontainers.image.base.digest"), images.digest("1"));
    assert.match(await label("org.opencontainers.image.revision"), /^[0-9a-f]{64}$/);
    // Not tritonserver, so that it runs as in the base.
    const found = await docker(
      ...["run", "--rm", "--network", "none", built],
      ...["sh", "-c", "command -v g++ cmake make; ls -d /source /build; env"],
    ).catch(String);
    assert.doesNotMatch(found, /^\/(usr|opt|source|build)/m);
    assert.doesNotMatch(found, /^(LD_LIBRARY_PATH|LD_PRELOAD|XSCHED_POLICY|XSCHED_AUTO_XQUEUE)=/m);
  });

  it("carries its provenance, which names its base by digest and no password, and an SBOM", async () => {
    const [digest = ""] = await onHost();
    const { manifests } = (await registry.ask(`${REPOSITORY}/manifests/${digest}`)) as Index;
    const image = manifests.find(({ platform }) => platform?.architecture === "amd64");
    const attestations = manifests.filter(
      ({ annotations }) => annotations?.["vnd.docker.reference.type"] === "attestation-manifest",
    );
    assert.equal(manifests.length, 2);
    assert.deepEqual(
      attestations.map(({ annotations }) => annotations?.["vnd.docker.reference.digest"]),
      [image?.digest],
    );
    const { layers } = (await registry.ask(`${REPOSITORY}/manifests/${attestations[0]!.digest}`)) as Manifest;
    const statements = await Promise.all(
      layers.map(async (layer) => (await registry.ask(`${REPOSITORY}/blobs/${layer.digest}`)) as Statement),
    );
    assert.deepEqual(statements.map(({ predicateType }) => predicateType).sort(), [
      "https://slsa.dev/provenance/v1",
      "https://spdx.dev/Document",
    ]);
    const provenance = statements.find(({ predicateType }) => predicateType.includes("slsa.dev"))?.predicate;
    const used = provenance?.buildDefinition?.resolvedDependencies.map(({ digest }) => digest?.sha256);
    assert.ok(used?.includes(images.digest("1").replace("sha256:", "")), JSON.stringify(used));
    assert.ok(!JSON.stringify(provenance).includes(Registry.login.password));
    const sbom = statements.find(({ predicateType }) => predicateType.includes("spdx"))?.predicate;
    assert.ok(sbom?.packages?.some(({ name }) => name === "libc6"));
  });

  it("refuses to start if it must be scheduled but cannot be", async () => {
    assert.ok(engine);
    const { code, output } = await engine.docker(
      ...["run", "--rm", "--network", "none", "--env", "XSCHED_REQUIRED=ON"],
      ...[await inspect("{{.Image}}"), "tritonserver"],
    );
    assert.equal(code, 1, output);
    assert.match(output, /^error: models cannot be scheduled: no GPU is visible in the container$/m);
  });

  describe("with the core's simulated driver for a GPU", () => {
    let folder: string;

    const compile = async (output: string, ...words: string[]): Promise<void> => {
      const flags = ["-std=c++17", "-shared", "-fPIC", "-o", path.join(folder, output)];
      requireSuccess(await execute("g++", [...flags, ...words, "-ldl", "-lpthread"], folder));
    };

    /** What the toolkit adds to a container with a GPU; and models and backends of our own. */
    const words = (): string[] => [
      ...["--network", "none", "--volume", `${folder}:/simulated:ro`],
      ...["--volume", `${folder}/nvidia-smi:/usr/bin/nvidia-smi:ro`],
      ...["--env", "XSCHED_CUDA_LIB=/simulated/driver.so", "--env", "XSCHED_REQUIRED=ON"],
      // Triton itself leaves the driver alone.
      ...["--env", "SIMULATED_VERSION=10000"],
    ];

    const SERVE = [
      ...["tritonserver", "--model-repository=/simulated/models", "--backend-directory=/simulated/backends"],
      ...["--model-control-mode=explicit", "--load-model=*"],
    ];

    before(async () => {
      folder = workspace.file("simulated");
      const [core, hooks] = [workspace.file("native/xsched"), workspace.file("native/triton_hooks")];
      fs.mkdirSync(path.join(folder, "models"), { recursive: true });
      fs.copyFileSync(
        workspace.file("test/fixtures/simulatedGpu/nvidia-smi"),
        path.join(folder, "nvidia-smi"),
      );
      fs.chmodSync(path.join(folder, "nvidia-smi"), 0o755);
      await compile(
        "driver.so",
        "-Wl,-Bsymbolic",
        ...[".", "src", "include", "tests"].map((each) => `-I${path.join(core, each)}`),
        ...["functions.cc", "machine.cc"].map((file) => path.join(core, "tests/simulated_driver", file)),
      );
      for (const [model, backend, priority] of [
        ["chat", "one_stream", 200],
        // In the default stream, as PyTorch's.
        ["batch", "default_stream", -100],
      ] as const) {
        fs.mkdirSync(path.join(folder, "backends", backend), { recursive: true });
        await compile(
          `backends/${backend}/libtriton_${backend}.so`,
          `-DWORK="${backend}.h"`,
          ...["src", "tests/backends"].map((each) => `-I${path.join(hooks, each)}`),
          `-I${path.join(core, "src")}`,
          ...["src/json.cc", "tests/backends/backend.cc"].map((file) => path.join(hooks, file)),
        );
        fs.mkdirSync(path.join(folder, "models", model, "1"), { recursive: true });
        fs.writeFileSync(
          path.join(folder, "models", model, "config.pbtxt"),
          [
            `backend: "${backend}"`,
            'input [ { name: "INPUT" data_type: TYPE_INT32 dims: [ 1 ] } ]',
            'output [ { name: "OUTPUT" data_type: TYPE_INT32 dims: [ 1 ] } ]',
            "instance_group [ { kind: KIND_CPU } ]",
            ...Object.entries({ kernels: 3, microseconds: 10, xsched_priority: priority }).map(
              ([key, value]) => `parameters { key: "${key}" value { string_value: "${value}" } }`,
            ),
            "",
          ].join("\n"),
        );
      }
      // Only we can read the workspace, and the image has another user.
      fs.chmodSync(workspace.directory, 0o755);
    });

    it("schedules each model at its own priority, of any backend, and is healthy", async () => {
      const image = await inspect("{{.Image}}");
      const container = await docker("run", "--detach", ...words(), image, ...SERVE);
      try {
        const inside = (...command: string[]): Promise<Finished> => {
          assert.ok(engine);
          return engine.docker("exec", container, ...command);
        };
        const check = (...command: string[]): Promise<Finished> =>
          inside("/opt/xsched/bin/healthcheck.sh", ...command);
        let checked = "";
        let log = "";
        await until(
          () => `${checked}${log}`,
          async () => {
            const { code, output } = await check();
            if (code === 0) return true;
            [checked, log] = [output, await docker("logs", container)];
            return false;
          },
        );
        assert.deepEqual(await check("scheduler"), { code: 0, output: "" });
        const infer = [
          "import json, urllib.request as http",
          'tensor = {"name": "INPUT", "shape": [1], "datatype": "INT32", "data": [1]}',
          'body = json.dumps({"inputs": [tensor]}).encode()',
          'http.urlopen("http://127.0.0.1:8000/v2/models/batch/infer", body)',
        ];
        requireSuccess(await inside("python3", "-c", infer.join("\n")));
        const { output: stats } = await inside("/opt/xsched/bin/xsched-ctl", "stats", "--json");
        const { queues } = JSON.parse(stats) as { queues: { name: string; priority: number }[] };
        assert.deepEqual(queues.map(({ name, priority }) => `${name} ${priority}`).sort(), [
          "batch/batch_0_0 -100",
          "chat/chat_0_0 200",
        ]);
        const { output: status } = await inside("/opt/xsched/bin/xsched-ctl", "status");
        assert.match(status, /^driver +\/simulated\/driver\.so$/m);
        assert.match(status, /^scheduled +yes$/m);
        // A stream that is nobody's gets an XQueue all the same.
        assert.match(status, /^mode +hooked$/m);
      } finally {
        await docker("rm", "--force", container);
      }
    });

    it("refuses to start without its hooks if it must be scheduled", async () => {
      assert.ok(engine);
      const { code, output } = await engine.docker(
        ...["run", "--rm", ...words(), "--volume", "/dev/null:/opt/xsched/lib/libxsched_triton_hooks.so"],
        ...[await inspect("{{.Image}}"), ...SERVE],
      );
      assert.equal(code, 1, output);
      assert.match(
        output,
        /^error: models cannot be scheduled: the hooks for Triton's backends cannot be loaded: /m,
      );
    });

    it("lets an engine's builder, of another image, into the server's scheduling domain below its models", async () => {
      assert.ok(engine);
      const fixture = workspace.file("test/fixtures/engineBuilder");
      const programs = path.join(folder, "programs");
      fs.mkdirSync(programs);
      // Docker with NVIDIA's toolkit, which adds a driver; and an image with trtexec.
      const [real = ""] = [process.env.PATH ?? ""]
        .flatMap((folders) => folders.split(path.delimiter))
        .map((each) => path.join(each, "docker"))
        .filter((each) => fs.existsSync(each));
      const gpu = [
        ...[`--volume=${folder}:/simulated:ro`, "--env=XSCHED_CUDA_LIB=/simulated/driver.so"],
        ...[`--volume=${fixture}/image:/usr/local/bin:ro`, "--env=STATE=/tmp", "--env=OPTIONS="],
      ];
      const script = [
        "#!/bin/bash",
        "words=()",
        "while [ $# -gt 0 ]; do",
        `  if [ "$1" = --gpus ]; then words+=(${gpu.map((word) => `'${word}'`).join(" ")}) && shift; else words+=("$1"); fi`,
        "  shift",
        "done",
        `exec '${real}' "\${words[@]}"`,
        "",
      ];
      fs.writeFileSync(path.join(programs, "docker"), script.join("\n"), { mode: 0o755 });
      fs.copyFileSync(path.join(folder, "nvidia-smi"), path.join(programs, "nvidia-smi"));
      const source = workspace.file("onnx");
      fs.mkdirSync(path.join(source, "1"), { recursive: true });
      // For this user only, who is not the server's.
      fs.writeFileSync(path.join(source, "1/model.onnx"), "kernels 1000\n", { mode: 0o600 });
      const [server = ""] = await containers();
      const [mount = ""] = (await inspect('{{range .Mounts}}{{.Name}} {{.Destination}}{{"\\n"}}{{end}}'))
        .split("\n")
        .filter((each) => each.endsWith(" /xsched-triton/domain"));
      const models = await docker(
        ...["run", "--detach", "--interactive", "--network", "none", ...gpu],
        ...["--mount", `type=volume,source=${mount.split(" ")[0]},target=/xsched-triton/domain`],
        ...["--env", "XSCHED_DOMAIN_DIR=/xsched-triton/domain/gpus", await inspect("{{.Image}}")],
        ...["/opt/xsched/bin/xsched-run", "--priority", "200", "--", "sh", "-c"],
        "{ echo work; cat; } | python3 /usr/local/bin/kernels.py",
      );
      const agent = spawn(path.join(directory, "bin/agent"), ["build-engines"], {
        env: {
          ...process.env,
          ...engine.environment,
          PATH: `${programs}:${process.env.PATH ?? ""}`,
        },
        stdio: ["pipe", "pipe", "pipe"],
      });
      const builder = images.image("1");
      const options = { builder, precision: "fp32", workspaceMiB: 4096 };
      agent.stdin.end(JSON.stringify({ model: "bert", filesDigest: "0", source, engine: options }));
      let said = "";
      for (const stream of [agent.stdout, agent.stderr]) {
        stream.on("data", (text: Buffer) => {
          said += text.toString();
        });
      }
      const ended = once(agent, "close");
      interface Member {
        readonly pid: number;
        readonly work: number;
        readonly waits: number | null;
        readonly blocked_by: readonly number[];
      }
      // As the host's agent asks for it.
      const members = async (): Promise<readonly Member[]> => {
        const list = ["/opt/xsched/bin/xsched-ctl", "list", "--domain", "--json"];
        const { code, output } = await engine!.docker("exec", server, ...list);
        if (code !== 0) return [];
        return (JSON.parse(output) as { devices: { processes: Member[] }[] }).devices.flatMap(
          ({ processes }) => processes,
        );
      };
      try {
        let seen: readonly Member[] = [];
        await until(
          () => [said, seen],
          async () => {
            seen = await members();
            return seen.some(({ blocked_by }) => blocked_by.length > 0);
          },
        );
        // The first process of its container.
        assert.deepEqual(
          seen.filter(({ pid }) => pid === 1).map(({ work, waits }) => [work, waits]),
          [[-255, -255]],
        );
        await until("`up` says that it waits", () => / \(\d+ s; waits for models\): /.test(said));
        const name = await docker("ps", "--filter", "name=^xsched-engine-", "--format", "{{.Names}}");
        assert.equal(
          await docker("inspect", "--format", "{{.Config.Image}} {{.Config.User}}", name),
          `${builder} 1000:1000`,
        );
        await docker("rm", "--force", models);
        await ended;
        assert.match(said, /^built the engine of bert, version 1 in \d+ s$/m);
        assert.doesNotMatch(said, /outside/);
        const plan = path.join(directory, "engines/ready/bert/1/model.plan");
        assert.equal(fs.readFileSync(plan, "utf8"), "kernels 1000\n");
        const { uid, mode } = fs.statSync(plan);
        assert.deepEqual([uid, mode & 0o777], [process.getuid?.(), 0o644]);
        assert.equal(fs.readdirSync(path.join(directory, "engines/cache")).length, 1);
        assert.deepEqual(await members(), []);
      } finally {
        agent.kill();
        await docker("rm", "--force", models);
      }
    });
  });

  it("is not built again when none of its sources has changed, even if the tag of its base has", async () => {
    const before = await running();
    await images.tag(TAG, "2");
    append("native/xsched/README.md", "\n");
    append("native/xsched/tests/main.cc", "// changed\n");
    append("native/tensorrt_backend/src/stream_xqueue.h", "// not of this variant\n");
    append("native/triton_hooks/README.md", "\n");
    append("images/triton/README.md", "\n");
    fs.writeFileSync(workspace.file("native/xsched/src/left.orig.md"), "");
    fs.rmSync(workspace.file("native/xsched/src/left.orig.md"));
    fs.chmodSync(workspace.file("native/xsched/Makefile"), 0o775);
    const { code, output } = await npm("up");
    requireSuccess({ code, output });
    assert.deepEqual(changesIn(output), []);
    assert.match(output, /Resources:\s+\d+ unchanged/);
    assert.equal((await pushedTags()).length, 1);
    assert.equal(await running(), before);
  });

  it("is built once more when a source changes, and only the container is replaced", async () => {
    const before = await running();
    // Not of the core, which takes a minute to compile: patchedImage.test.ts changes that.
    append("native/http_status/http_status.cc", "// changed\n");
    const { code, output } = await npm("up");
    requireSuccess({ code, output });
    assert.deepEqual(changed(output), [
      "triton-image-build updated",
      "triton-image-build-time updated",
      "triton-server-image updated",
      "triton-server-process updated",
    ]);
    assert.equal((await pushedTags()).length, 2);
    assert.notEqual(await running(), before);
    assert.ok(await everyModelServes());
    assert.equal((await onHost()).length, 2);
    assert.equal(await baseDigest(), images.digest("1"));
  });

  it("stays as it is when a model's priority changes", async () => {
    const before = await running();
    workspace.edit(STACK, (config) => {
      const models = config.getIn(["config", "xsched-triton:models"]);
      assert.ok(isSeq(models));
      const entry = models.items.find((item) => isMap(item) && item.get("name") === "interactive");
      assert.ok(isMap(entry));
      entry.set("priority", 90);
    });
    const { code, output } = await npm("up");
    requireSuccess({ code, output });
    assert.deepEqual(changed(output), ["triton-models-interactive updated", "triton-server-models updated"]);
    assert.equal(await running(), before);
  });

  describe("when it cannot be built or pulled", () => {
    let server: string;
    let tags: readonly string[];

    /** An `up` that must fail with a single error, and change nothing. */
    const failure = async (): Promise<string> => {
      const { code, output } = await npm("up");
      assert.notEqual(code, 0, output);
      const errors = [...output.matchAll(/^ {4}error: (?!running ")(.*)$/gm)].map(([, text = ""]) => text);
      const [error = "", ...others] = errors.filter((text) => text !== "update failed");
      assert.deepEqual(others, [], output);
      // The plan to build it is known before the failure.
      assert.deepEqual(
        changed(output).filter((change) => !/^triton-image-(base|build-time) updated$/.test(change)),
        [],
      );
      assert.equal(await running(), server);
      assert.ok(await everyModelServes());
      assert.deepEqual(await pushedTags(), tags);
      return error;
    };

    before(async () => {
      await images.tag(TAG, "1");
      // A new change to build each time; not to the core, which takes a minute to compile.
      append("images/triton/entrypoint.sh", "# changed\n");
      server = await running();
      tags = await pushedTags();
    });

    const withBase = async (base: string): Promise<string> => {
      set(["xsched-triton:runtime", "build", "base"], base);
      try {
        return await failure();
      } finally {
        set(["xsched-triton:runtime", "build", "base"], `${images.repository}:${TAG}`);
      }
    };

    it("reports that the base image cannot be pulled", async () => {
      const absent = `${images.repository}@sha256:${"0".repeat(64)}`;
      const error = await withBase(absent);
      assert.match(error, /failed to resolve source metadata/);
      assert.ok(error.includes(`${absent}: not found`), error);
    });

    it("reports that the tag of the base image stands for nothing", async () => {
      const absent = `${images.repository}:absent`;
      assert.equal(
        await withBase(absent),
        `the digest of the image ${absent} cannot be looked up: no such manifest: ${absent}`,
      );
    });

    it("reports that the registry refuses the login", async () => {
      await workspace.setSecret(STACK, PASSWORD, "another one");
      const error = await failure().finally(() =>
        workspace.setSecret(STACK, PASSWORD, Registry.login.password),
      );
      assert.ok(error.includes(`failed to push ${registry.address}/${REPOSITORY}`), error);
      assert.match(error, /401 Unauthorized/);
      assert.doesNotMatch(error, /another one/);
    });

    it("reports that the disk is full", async () => {
      const small = await BuildKit.start({ disk: 150 });
      try {
        Object.assign(workspace.environment, small.environment);
        assert.match(await failure(), /no space left on device/);
      } finally {
        Object.assign(workspace.environment, kit.environment);
        await small.stop();
      }
    });

    it("reports that no Docker engine answers", async () => {
      // Without a builder, the provider starts one in Docker.
      const { DOCKER_HOST, BUILDX_CONFIG } = workspace.environment;
      const nowhere = workspace.file("nowhere.sock");
      workspace.environment.DOCKER_HOST = `unix://${nowhere}`;
      workspace.environment.BUILDX_CONFIG = workspace.file("buildx");
      const error = await failure().finally(() => {
        workspace.environment.BUILDX_CONFIG = BUILDX_CONFIG;
        if (DOCKER_HOST === undefined) delete workspace.environment.DOCKER_HOST;
        else workspace.environment.DOCKER_HOST = DOCKER_HOST;
      });
      assert.ok(error.includes(`failed to connect to the docker API at unix://${nowhere}`), error);
    });

    it("reports that it cannot be signed, and its predecessor keeps serving", async () => {
      await images.tag(TAG, "2");
      set(["xsched-triton:runtime", "build", "tagsAsOf"], "2026-11-28");
      set(["xsched-triton:runtime", "signature"], { keyFile: cosign.keyFile });
      await workspace.setSecret(STACK, SIGNATURE_PASSWORD, "another one");
      const { code, output } = await npm("up");
      assert.notEqual(code, 0, output);
      assert.match(output, /^ {4}error: the image .* is not signed: cosign's reason is above$/m);
      assert.doesNotMatch(output, /another one/);
      assert.equal(await running(), server);
      assert.ok(await everyModelServes());
      assert.equal((await pushedTags()).length, 3);
    });

    it("is available with the next `up`, signed, and the host keeps its predecessor", async () => {
      const [, previous] = (await inspect("{{.Config.Image}}")).split("@");
      await workspace.setSecret(STACK, SIGNATURE_PASSWORD, cosign.password);
      const { code, output } = await npm("up");
      requireSuccess({ code, output });
      // The image is there already; what the failed updates have left of its resource is forgotten.
      assert.deepEqual(
        changed(output).filter((change) => change !== "triton-image-build deleted"),
        ["triton-image-signature created", "triton-server-image updated", "triton-server-process updated"],
      );
      const [, digest] = (await inspect("{{.Config.Image}}")).split("@");
      assert.deepEqual((await onHost()).sort(), [previous, digest].sort());
      assert.equal(await baseDigest(), images.digest("2"));
      assert.equal((await pushedTags()).length, 3);
      assert.ok(await everyModelServes());
      // Its login was there for cosign only.
      assert.ok(!fs.existsSync(workspace.file(".local/xsched-triton-login/built/triton-image")));
    });
  });

  describe("when it exists already", () => {
    let before: string;

    /** The image that runs, by digest, with a key that it must be signed with. */
    const require = async (image: string, publicKey: string): Promise<Finished> => {
      workspace.edit(STACK, (config) => {
        for (const key of ["build", "signature"]) config.deleteIn(["config", "xsched-triton:runtime", key]);
        config.setIn(["config", "xsched-triton:runtime", "image"], image);
        config.setIn(["config", "xsched-triton:runtime", "publicKey"], publicKey);
      });
      return npm("up");
    };

    it("is refused with a signature of another key", async () => {
      before = await running();
      const other = generateKeyPairSync("ec", { namedCurve: "P-256" }).publicKey;
      const pem = other.export({ type: "spki", format: "pem" }) as string;
      const image = await inspect("{{.Config.Image}}");
      const { code, output } = await require(image, pem);
      assert.notEqual(code, 0, output);
      assert.ok(output.includes(`error: the image ${image} has no signature of this key`), output);
      assert.equal(await running(), before);
    });

    it("is used with a signature of the key, and goes on running if it does already", async () => {
      requireSuccess(await require(await inspect("{{.Config.Image}}"), cosign.publicKey));
      assert.equal(await running(), before);
      assert.ok(await everyModelServes());
    });
  });

  describe("where a GPU is simulated", () => {
    /** The image that runs, with the driver that the suite above has made. */
    const withSimulatedGpu = async (): Promise<string> => {
      const [image, login] = [`${registry.address}/team/simulated`, workspace.file("login")];
      const container = await docker("create", "--network", "none", await inspect("{{.Image}}"));
      const folder = workspace.file("simulated");
      await docker("cp", folder, `${container}:/simulated`);
      await docker("cp", path.join(folder, "nvidia-smi"), `${container}:/usr/bin/nvidia-smi`);
      // Triton itself leaves the driver alone.
      const environment = "ENV XSCHED_CUDA_LIB=/simulated/driver.so SIMULATED_VERSION=10000";
      await docker("commit", "--change", environment, container, image);
      await docker("rm", container);
      const { username, password } = Registry.login;
      await docker(
        "--config",
        login,
        "login",
        "--username",
        username,
        "--password",
        password,
        registry.address,
      );
      await docker("--config", login, "push", image);
      const pushed = await docker("inspect", "--format", "{{index .RepoDigests 0}}", image);
      await docker("image", "rm", image);
      return pushed;
    };

    const configure = (batch: number): void => {
      const models = { chat: 200, batch };
      set(
        ["xsched-triton:models"],
        Object.entries(models).map(([name, priority]) => ({
          name,
          priority,
          source: workspace.file(`simulated/models/${name}`),
        })),
      );
    };

    it("takes another priority of a model in the running scheduler, without a load", async () => {
      const image = await withSimulatedGpu();
      workspace.edit(STACK, (config) => {
        for (const key of ["build", "signature", "publicKey"]) {
          config.deleteIn(["config", "xsched-triton:runtime", key]);
        }
      });
      set(["xsched-triton:runtime", "image"], image);
      for (const [model, backend] of [
        ["chat", "one_stream"],
        ["batch", "default_stream"],
      ] as const) {
        const library = `libtriton_${backend}.so`;
        fs.copyFileSync(
          workspace.file(`simulated/backends/${backend}/${library}`),
          workspace.file(`simulated/models/${model}/1/${library}`),
        );
      }
      configure(-100);
      requireSuccess(await npm("up"));
      const tensor = { name: "INPUT", shape: [1], datatype: "INT32", data: [1] };
      // With its first request, a model has a queue in the default stream.
      assert.equal((await triton.infer("batch", JSON.stringify({ inputs: [tensor] }))).status, 200);
      const before = await running();

      configure(150);
      const { code, output } = await npm("up");
      requireSuccess({ code, output });
      assert.deepEqual(changed(output), ["triton-models-batch updated", "triton-server-models updated"]);
      assert.match(output, /the model batch is changed in the running scheduler, without a load/);
      assert.equal(await running(), before);
      const [container = ""] = await containers();
      const stats = await docker("exec", container, "/opt/xsched/bin/xsched-ctl", "stats", "--json");
      const { queues } = JSON.parse(stats) as { queues: { name: string; priority: number }[] };
      assert.deepEqual(queues.map(({ name, priority }) => `${name} ${priority}`).sort(), [
        "batch/batch_0_0 150",
        "chat/chat_0_0 200",
      ]);
      assert.equal((await triton.priority("batch")).xsched, "-100");
      const status = await workspace.npm("status", "--", STACK);
      assert.match(status.output, /^batch +1 +150 +yes/m);
    });
  });

  // Runs after the suites before it.
  describe("at the end", () => {
    it("leaves the host with `npm run down`, and stays in the registry", async () => {
      const { code, output } = await npm("down");
      requireSuccess({ code, output });
      assert.deepEqual(await containers(), []);
      assert.deepEqual(await onHost(), []);
      assert.ok(!fs.existsSync(directory));
      assert.equal((await pushedTags()).length, 3);
    });
  });
});
