import * as assert from "node:assert/strict";
import { type ChildProcess, execFileSync } from "node:child_process";
import { randomUUID } from "node:crypto";
import * as fs from "node:fs";
import * as path from "node:path";

import { stringify } from "yaml";

import { stageBuildContext } from "../../components/image/buildContext";
import { until } from "../until";
import { BuildKit } from "./buildKit";
import { DockerEngine, hasProgram, startDaemon, stopDaemon } from "./dockerEngine";
import { freePorts } from "./ports";
import { Registry } from "./registry";
import { StandInImages } from "./standInImage";
import { IMAGE_PROVIDER, PLUGINS, withoutDebugLogs } from "./toolchain";
import { execute, type Finished, requireSuccess, Workspace } from "./workspace";
import { skipWithout } from "./needs";

const FIXTURE = "test/fixtures/patchedImage";
const REPOSITORIES = ["tensorrt_backend", "core", "common", "backend"] as const;
const BACKEND = "/opt/tritonserver/backends/tensorrt/libtriton_tensorrt.so";
/** Where the container toolkit mounts the host's driver. */
const DRIVER = "/usr/lib/x86_64-linux-gnu/libcuda.so.1";
const DECOY = "/usr/local/cuda/compat/lib.real/libcuda.so.1";
/** The most that the image may add to its base. */
const MOST_MEGABYTES = 30;

/**
 * On a machine that has them, images and sources that replace the stand-ins: native/tensorrt_backend/README.md. Checks
 * that need the stand-ins are then left out.
 */
const GIVEN = {
  base: process.env.XSCHED_TRITON_TEST_BASE,
  builder: process.env.XSCHED_TRITON_TEST_BUILDER,
  gitServer: process.env.XSCHED_TRITON_TEST_GIT_SERVER,
};
const isGiven = Object.values(GIVEN).some((value) => value !== undefined);

function whatIsMissing(): string | undefined {
  if (!fs.existsSync(IMAGE_PROVIDER)) return "Docker's build provider is missing (`npm test` looks for it)";
  if (!hasProgram("git")) return "git is not installed (Debian: git)";
  return BuildKit.missing ?? DockerEngine.missing ?? Registry.missing ?? StandInImages.missing;
}

/** Small versions of Triton's repositories, behind git's own server. */
class Sources {
  private constructor(
    private readonly daemon: ChildProcess,
    private readonly port: number,
    private readonly commits: Readonly<Record<string, string>>,
  ) {}

  public static async serve(folder: string, repositories: string): Promise<Sources> {
    const commits: Record<string, string> = {};
    for (const name of REPOSITORIES) {
      const repository = path.join(folder, "triton-inference-server", `${name}.git`);
      fs.cpSync(path.join(repositories, name), repository, { recursive: true });
      const git = (...words: string[]): string =>
        execFileSync(
          "git",
          ["-C", repository, "-c", "user.name=test", "-c", "user.email=test@localhost", ...words],
          {
            encoding: "utf8",
          },
        );
      git("init", "--quiet");
      git("add", "--all");
      git("commit", "--quiet", "--message", name);
      commits[name] = git("rev-parse", "HEAD").trim();
    }
    const [port = 0] = await freePorts(1);
    const words = [
      "--reuseaddr",
      "--export-all",
      "--listen=127.0.0.1",
      `--port=${port}`,
      `--base-path=${folder}`,
      folder,
    ];
    return new Sources(startDaemon("git", ["daemon", ...words]), port, commits);
  }

  public get buildArguments(): Record<string, string> {
    const commits = Object.entries(this.commits).map(([name, commit]) => [
      `${name.toUpperCase()}_COMMIT`,
      commit,
    ]);
    return {
      GIT_SERVER: `git://127.0.0.1:${this.port}`,
      ...(Object.fromEntries(commits) as Record<string, string>),
    };
  }

  public async stop(): Promise<void> {
    await stopDaemon(this.daemon);
  }
}

describe("the image's variant patched, every stage, on stand-ins for NVIDIA's images and Triton's sources", function () {
  // Each test uses what the first one has built.
  this.bail(true);
  let engine: DockerEngine | undefined;
  let kit: BuildKit;
  let images: StandInImages;
  let registry: Registry;
  let sources: Sources;
  let workspace: Workspace;
  let image: string;

  const docker = (...words: string[]): Promise<string> => {
    assert.ok(engine);
    return engine.ask(...words);
  };

  const registryName = (name: string): string => `${registry.address}/${name}`;

  /** A resource in the program below that builds and pushes an image. */
  const built = (name: string, properties: object): object => ({
    type: "docker-build:Image",
    properties: {
      tags: [`${registryName(name)}:test`],
      platforms: ["linux/amd64"],
      push: false,
      // They go no further than to the registry of the test.
      exports: [{ raw: "type=registry,compression=uncompressed" }],
      buildOnPreview: false,
      ...properties,
    },
  });

  /** A Pulumi program that builds the image, and before it the images it is built from. */
  const writeProgram = async (): Promise<void> => {
    assert.ok(engine);
    const standIn = async (target: string): Promise<object> =>
      built(target, {
        context: { location: FIXTURE },
        dockerfile: { location: `${FIXTURE}/Dockerfile` },
        target,
        buildArgs: { PLAIN: images.image("1"), TOOLS: await images.tools(engine!) },
      });
    const { location, dockerfile } = stageBuildContext("patched", workspace.directory, workspace.directory);
    const resources = {
      ...(GIVEN.base === undefined && { base: await standIn("base") }),
      ...(GIVEN.builder === undefined && { builder: await standIn("builder") }),
      patched: built("patched", {
        context: { location },
        dockerfile: { location: dockerfile },
        target: "runtime",
        // As the component does it.
        exports: [{ raw: "type=registry,rewrite-timestamp=true" }],
        buildArgs: {
          VARIANT: "patched",
          BASE: GIVEN.base ?? "${base.ref}",
          BUILDER: GIVEN.builder ?? "${builder.ref}",
          SOURCE_DATE_EPOCH: "315532800",
          ...(GIVEN.gitServer === undefined ? sources.buildArguments : { GIT_SERVER: GIVEN.gitServer }),
        },
      }),
    };
    const program = { name: "patched", runtime: "yaml", resources, outputs: { image: "${patched.ref}" } };
    fs.writeFileSync(workspace.file("Pulumi.yaml"), stringify(program));
  };

  const pulumi = (...words: string[]): Promise<Finished> => workspace.run("pulumi", words);

  /** Builds the current state and returns the image by its digest. */
  const build = async (): Promise<string> => {
    await writeProgram();
    requireSuccess(
      await pulumi(
        "up",
        "--stack",
        "test",
        "--yes",
        "--skip-preview",
        "--non-interactive",
        "--suppress-outputs",
      ),
    );
    const { output } = await pulumi("stack", "output", "--stack", "test", "image");
    return output.trim();
  };

  /** Runs a shell command in an image, as root, without its entrypoint. */
  const inImage = (name: string, command: string): Promise<string> =>
    docker(
      "run",
      "--rm",
      "--network",
      "none",
      "--user",
      "root",
      "--entrypoint",
      "/bin/sh",
      name,
      "-c",
      command,
    );

  /** Owner, mode and path of each of Triton's files and folders. */
  const tritonFiles = async (name: string): Promise<string> =>
    inImage(name, "find /opt/tritonserver -printf '%U:%G %m %p\\n' | sort");

  /** What the toolkit adds to a container with a GPU. */
  const withGpu = (driver = true): string[] => {
    const simulated = workspace.file("test/fixtures/simulatedGpu");
    return [
      ...["--volume", `${simulated}/nvidia-smi:/usr/bin/nvidia-smi:ro`],
      ...(driver ? ["--volume", `${simulated}/driver.so:${DRIVER}:ro`] : []),
    ];
  };

  const start = async (...words: string[]): Promise<string> =>
    docker("run", "--detach", "--network", "none", "--env", "XSCHED_REQUIRED=ON", ...words);

  const inside = (container: string, ...words: string[]): Promise<Finished> => {
    assert.ok(engine);
    return engine.docker("exec", container, ...words);
  };

  const check = (container: string, ...words: string[]): Promise<Finished> =>
    inside(container, "/opt/xsched/bin/healthcheck.sh", ...words);

  const untilHealthy = async (container: string): Promise<void> => {
    let last = "";
    await until(
      () => last,
      async () => {
        const { code, output } = await check(container);
        if (code === 0) return true;
        last = `${output}\n${await docker("logs", container)}`;
        return false;
      },
    );
  };

  /** Runs a container that must end by itself and returns its output. */
  const refusal = async (...words: string[]): Promise<string> => {
    assert.ok(engine);
    const { code, output } = await engine.docker(
      ...["run", "--rm", "--network", "none", "--env", "XSCHED_REQUIRED=ON", ...words],
    );
    assert.equal(code, 1, output);
    return output;
  };

  before(async function () {
    // The stand-in images may have to be made, or another file be making them, on a busy machine.
    this.timeout(1_200_000);
    skipWithout(this, whatIsMissing());
    engine = await DockerEngine.start();
    kit = await BuildKit.start({ disk: "user" });
    images = await StandInImages.serve(engine);
    workspace = await Workspace.create({ ...engine.environment, ...kit.environment });
    fs.mkdirSync(workspace.file("registry"));
    registry = await Registry.open(workspace.file("registry"));
    const project = workspace.file(FIXTURE, "repositories");
    sources = await Sources.serve(workspace.file("sources"), project);
    const simulated = workspace.file("test/fixtures/simulatedGpu");
    const core = workspace.file("native/xsched");
    requireSuccess(
      await execute(
        "g++",
        [
          ...["-std=c++17", "-shared", "-fPIC", "-Wl,-Bsymbolic", "-Wl,-soname,libcuda.so.1"],
          ...[".", "src", "include", "tests"].map((folder) => `-I${path.join(core, folder)}`),
          ...["functions.cc", "machine.cc"].map((file) => path.join(core, "tests/simulated_driver", file)),
          ...["-o", path.join(simulated, "driver.so"), "-ldl", "-lpthread"],
        ],
        simulated,
      ),
    );
    for (const name of fs.readdirSync(simulated)) fs.chmodSync(path.join(simulated, name), 0o755);
    // Only we can read the workspace, and the image has another user.
    fs.chmodSync(workspace.directory, 0o755);
    const home = workspace.file("home");
    fs.mkdirSync(home);
    fs.symlinkSync(PLUGINS, path.join(home, "plugins"));
    withoutDebugLogs(home);
    Object.assign(workspace.environment, {
      PULUMI_BACKEND_URL: `file://${workspace.file("home")}`,
      PULUMI_CONFIG_PASSPHRASE: "of the test",
      PULUMI_HOME: home,
      PULUMI_SKIP_UPDATE_CHECK: "true",
      PULUMI_DISABLE_AUTOMATIC_PLUGIN_ACQUISITION: "true",
    });
    fs.writeFileSync(workspace.file("Pulumi.yaml"), stringify({ name: "patched", runtime: "yaml" }));
    requireSuccess(await pulumi("stack", "init", "test"));
  });

  after(async () => {
    if (engine === undefined) return;
    await sources.stop();
    await registry.stop();
    await images.stop();
    await kit.stop();
    await engine.stop();
    workspace.remove();
  });

  it("is built", async function () {
    // All may have to be compiled, on a machine that may be busy otherwise.
    this.timeout(1_200_000);
    image = await build();
    assert.match(image, /^127\.0\.0\.1:\d+\/patched(:test)?@sha256:[0-9a-f]{64}$/);
    await docker("pull", "--quiet", image);
  });

  it("leaves Triton's files to their owner, and replaces one", async () => {
    const base = GIVEN.base ?? `${registryName("base")}:test`;
    await docker("pull", "--quiet", base);
    assert.equal(await tritonFiles(image), await tritonFiles(base));
    const digest = (name: string): Promise<string> => inImage(name, `sha256sum ${BACKEND}`);
    assert.notEqual(await digest(image), await digest(base));
  });

  it("adds little to its base", async () => {
    const size = async (name: string): Promise<number> =>
      Number(await docker("image", "inspect", "--format", "{{.Size}}", name));
    const added = ((await size(image)) - (await size(GIVEN.base ?? `${registryName("base")}:test`))) / 1e6;
    console.log(`      ${added.toFixed(2)} MB`);
    assert.ok(added < MOST_MEGABYTES, `${added} MB`);
  });

  it("has all that its backend needs, without any setting", async () => {
    const needed = await inImage(
      image,
      `LD_LIBRARY_PATH=/opt/tritonserver/lib LD_TRACE_LOADED_OBJECTS=1 /lib64/ld-linux-x86-64.so.2 ${BACKEND}`,
    );
    assert.doesNotMatch(needed, /not found/);
    for (const library of ["libpreempt.so", "libhalcuda.so"]) {
      assert.match(needed, new RegExp(`^\\s*${library} => /opt/xsched/lib/${library} `, "m"));
    }
    assert.match(needed, /^\s*libnvinfer_plugin\.so\.8 => /m);
  });

  if (!isGiven) {
    it("schedules on the driver of the host, although the image has another one in compat/lib.real", async () => {
      const container = await start(...withGpu(), image, "tritonserver");
      await untilHealthy(container);
      assert.deepEqual(await check(container, "scheduler"), { code: 0, output: "" });
      const { output: status } = await inside(container, "/opt/xsched/bin/xsched-ctl", "status");
      assert.match(status, new RegExp(`^driver +(/usr)?${DRIVER.slice(4)}$`, "m"));
      assert.match(status, /^mode +explicit$/m);
      // The streams of the instance: for kernels, input, output and statistics.
      const { output: list } = await inside(container, "/opt/xsched/bin/xsched-ctl", "list");
      assert.equal([...list.matchAll(/^ *\d+ +bert\/bert_0 +\d+ +40 /gm)].length, 4, list);
      // NVIDIA's own entrypoint is a Bash script; nothing of ours makes Bash check the GPU again.
      const checks = async (): Promise<string> =>
        (await inside(container, "cat", "/tmp/bash-env.log")).output;
      const before = await checks();
      assert.match(before, /^\d+ \/opt\/nvidia\/nvidia_entrypoint\.sh\n$/);
      await check(container);
      assert.equal(await checks(), before);
      await docker("rm", "--force", container);
    });

    it("schedules on Vertex AI, too", async () => {
      const container = await start(
        ...withGpu(),
        "--env",
        "AIP_MODE=PREDICTION",
        image,
        "--model-repository=/models",
      );
      await untilHealthy(container);
      assert.match(await docker("logs", container), /^tritonserver --model-repository=\/models$/m);
      assert.equal((await check(container, "scheduler")).code, 0);
      await docker("rm", "--force", container);
    });

    it("refuses to start without a driver that fits", async () => {
      assert.match(
        await refusal(...withGpu(false), image, "tritonserver"),
        /^error: models cannot be scheduled: CUDA does not start under XSched: scheduled {2}no: no CUDA driver found;/m,
      );
      assert.match(
        await refusal(...withGpu(), "--env", `XSCHED_CUDA_LIB=${DECOY}`, image, "tritonserver"),
        /^error: models cannot be scheduled: CUDA does not start under XSched: scheduled {2}no: the CUDA driver does not start: cuInit returns 803$/m,
      );
    });

    it("is unhealthy once it serves on a driver that does not fit", async () => {
      const container = await start(
        ...[...withGpu(), "--env", "XSCHED_REQUIRED=OFF", "--env", `XSCHED_CUDA_LIB=${DECOY}`],
        ...[image, "tritonserver"],
      );
      await untilHealthy(container);
      const { code, output } = await check(container, "scheduler");
      assert.equal(code, 1);
      assert.match(output, /^unhealthy: Triton is not scheduled: .*cuInit returns 803$/m);
      assert.match(
        await docker("logs", container),
        /^warning: models run unscheduled: CUDA does not start under XSched/m,
      );
      await docker("rm", "--force", container);
    });
  }

  it("is the same image after a comment in the core: that is compiled anew, the backend is not", async function () {
    this.timeout(1_200_000);
    // Each build of a stand-in library differs from the previous one, so a rebuild would show.
    // A new comment in each run, or the core would be found compiled.
    fs.appendFileSync(workspace.file("native/xsched/src/preempt/clock.h"), `// ${randomUUID()}\n`);
    assert.equal(await build(), image);
  });
});
