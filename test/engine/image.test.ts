import * as assert from "node:assert/strict";
import { generateKeyPairSync } from "node:crypto";
import * as fs from "node:fs";
import * as path from "node:path";

import { isMap, isSeq } from "yaml";

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
    const missing = whatIsMissing();
    if (missing !== undefined) {
      console.log(`      ${missing}`);
      this.skip();
    }
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
      variant: "transparent",
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

  it("is built, pushed, pulled by digest, and serves every example model", async () => {
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
    const end = Date.now() + 60_000;
    while (Date.now() < end && (await inspect("{{.State.Health.Status}}")) !== "healthy") {
      await new Promise((resolve) => setTimeout(resolve, 500));
    }
    assert.equal(await inspect("{{.State.Health.Status}}"), "healthy");
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
    assert.equal(await label("xsched-triton.variant"), "transparent");
    assert.equal(await label("org.opencontainers.image.base.name"), `${images.repository}:${TAG}`);
    assert.equal(await label("org.opencontainers.image.base.digest"), images.digest("1"));
    assert.match(await label("org.opencontainers.image.revision"), /^[0-9a-f]{64}$/);
    // Not tritonserver, so that it runs as in the base.
    const found = await docker(
      ...["run", "--rm", "--network", "none", built],
      ...["sh", "-c", "command -v g++ cmake make; ls -d /source /build; env"],
    ).catch(String);
    assert.doesNotMatch(found, /^\/(usr|opt|source|build)/m);
    assert.doesNotMatch(found, /^(LD_LIBRARY_PATH|XSCHED_POLICY|XSCHED_AUTO_XQUEUE)=/m);
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

  it("is healthy when it is scheduled, with the core's simulated driver for a GPU", async () => {
    const simulated = workspace.file("test/fixtures/simulatedGpu");
    const core = workspace.file("native/xsched");
    const { code, output } = await execute(
      "g++",
      [
        ...["-std=c++17", "-shared", "-fPIC", "-Wl,-Bsymbolic"],
        ...[".", "src", "include", "tests"].map((folder) => `-I${path.join(core, folder)}`),
        ...["functions.cc", "machine.cc"].map((file) => path.join(core, "tests/simulated_driver", file)),
        ...["-o", path.join(simulated, "driver.so"), "-ldl", "-lpthread"],
      ],
      simulated,
    );
    requireSuccess({ code, output });
    for (const name of fs.readdirSync(simulated)) fs.chmodSync(path.join(simulated, name), 0o755);
    // Only we can read the workspace, and the image has another user.
    fs.chmodSync(workspace.directory, 0o755);
    const container = await docker(
      ...["run", "--detach", "--rm", "--network", "none", "--volume", `${simulated}:/simulated:ro`],
      ...["--env", "PATH=/simulated:/usr/bin:/bin", "--env", "XSCHED_CUDA_LIB=/simulated/driver.so"],
      ...["--env", "XSCHED_REQUIRED=ON", await inspect("{{.Image}}"), "tritonserver"],
    );
    try {
      const check = (...words: string[]): Promise<Finished> => {
        assert.ok(engine);
        return engine.docker("exec", container, "/opt/xsched/bin/healthcheck.sh", ...words);
      };
      const end = Date.now() + 30_000;
      while (Date.now() < end && (await check()).code !== 0) {
        await new Promise((resolve) => setTimeout(resolve, 200));
      }
      assert.deepEqual(await check(), { code: 0, output: "" });
      assert.deepEqual(await check("scheduler"), { code: 0, output: "" });
      const said = await docker("exec", container, "/opt/xsched/bin/xsched-ctl", "status");
      assert.match(said, /^driver +\/simulated\/driver\.so$/m);
      assert.match(said, /^mode +transparent$/m);
    } finally {
      await docker("stop", "-t", "5", container);
    }
  });

  it("is not built again when none of its sources has changed, even if the tag of its base has", async () => {
    const before = await running();
    await images.tag(TAG, "2");
    append("native/xsched/README.md", "\n");
    append("native/xsched/tests/main.cc", "// changed\n");
    append("native/tensorrt_backend/src/stream_xqueue.h", "// not of this variant\n");
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
      const error = await failure();
      assert.ok(error.includes(`failed to push ${registry.address}/${REPOSITORY}`), error);
      assert.match(error, /401 Unauthorized/);
      assert.doesNotMatch(error, /another one/);
      await workspace.setSecret(STACK, PASSWORD, Registry.login.password);
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
      const error = await failure();
      assert.ok(error.includes(`failed to connect to the docker API at unix://${nowhere}`), error);
      workspace.environment.BUILDX_CONFIG = BUILDX_CONFIG;
      if (DOCKER_HOST === undefined) delete workspace.environment.DOCKER_HOST;
      else workspace.environment.DOCKER_HOST = DOCKER_HOST;
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
