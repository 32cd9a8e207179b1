import assert from "node:assert/strict";
import { spawn, spawnSync } from "node:child_process";
import * as fs from "node:fs";
import * as os from "node:os";
import * as path from "node:path";

import { S3Server } from "../../aws/s3Server";

const COMPONENTS = path.resolve(__dirname, "../../../components");

/** Stand-ins for Docker with a builder, and for nvidia-smi. */
const BUILDER = path.resolve(__dirname, "../../fixtures/engineBuilder");

const OPTIONS = "builder nvcr.io/nvidia/tensorrt:22.06-py3\nprecision fp16\nworkspaceMiB 1024\n";

describe("build-engines.sh", () => {
  let folder: string;
  let directory: string;
  let source: string;

  const state = (name: string, text: string): void => {
    fs.writeFileSync(path.join(folder, "state", name), text);
  };
  const environment = (): NodeJS.ProcessEnv => ({
    PATH: `${BUILDER}:${process.env.PATH ?? ""}`,
    STATE: path.join(folder, "state"),
    TMPDIR: folder,
  });
  const words = (model: string, digest: string): string[] => [
    path.join(folder, "bin/build-engines.sh"),
    directory,
    model,
    digest,
    source,
  ];

  beforeEach(() => {
    folder = fs.mkdtempSync(path.join(os.tmpdir(), 'xsched engines "'));
    directory = path.join(folder, "host");
    source = path.join(folder, "source");
    for (const part of ["bin", "state", "host", "source/1"]) {
      fs.mkdirSync(path.join(folder, part), { recursive: true });
    }
    for (const concern of ["host", "models"]) {
      fs.cpSync(path.join(COMPONENTS, concern, "scripts"), path.join(folder, "bin"), { recursive: true });
    }
    state("gpus", "Tesla T4, 7.5\n");
    state("environment", "PATH=/usr/bin\nTRT_VERSION=8.2.5.1\n");
    fs.writeFileSync(path.join(source, "1/model.onnx"), "onnx\n");
    fs.writeFileSync(path.join(source, "1/weights.data"), "weights\n");
    fs.writeFileSync(path.join(source, "config.pbtxt"), "");
    fs.writeFileSync(path.join(source, "labels.txt"), "cat\n");
  });

  afterEach(() => {
    fs.rmSync(folder, { recursive: true, force: true });
  });

  function build(options = OPTIONS, { model = "bert", digest = "0123456789abcdef" } = {}) {
    const { status, stdout, stderr } = spawnSync("bash", words(model, digest), {
      encoding: "utf8",
      input: options,
      env: environment(),
    });
    return { status, digest: stdout.trim(), stderr };
  }

  const builds = (): number =>
    fs
      .readFileSync(path.join(folder, "state/calls"), "utf8")
      .split("\n")
      .filter((call) => call.includes("--saveEngine")).length;

  const ready = (file: string): string =>
    fs.readFileSync(path.join(directory, "engines/ready/bert", file), "utf8");

  it("replaces the ONNX model and its weights by an engine, and keeps the rest", () => {
    const { status, digest, stderr } = build();
    assert.equal(status, 0, stderr);
    assert.match(digest, /^[0-9a-f]{16}$/);
    assert.deepEqual(fs.readdirSync(path.join(directory, "engines/ready/bert")).sort(), ["1", "labels.txt"]);
    assert.deepEqual(fs.readdirSync(path.join(directory, "engines/ready/bert/1")), ["model.plan"]);
    assert.equal(
      ready("1/model.plan"),
      "onnx\n--rm\n--name\n--gpus\n--cpu-shares\n--user\n--network\n--entrypoint\n--mount\n--mount\n" +
        "--onnx=/onnx/model.onnx\n--saveEngine=/engine/model.plan\n--workspace=1024\n--buildOnly\n--fp16\n",
    );
  });

  it("builds nothing twice, also for another model with the same files", () => {
    const first = build();
    assert.deepEqual(build(), { ...first, stderr: "the engine of bert, version 1, is there already\n" });
    assert.equal(build(OPTIONS, { model: "bert-low" }).status, 0);
    assert.equal(builds(), 1);
  });

  const changes: [string, () => string][] = [
    ["another precision", () => OPTIONS.replace("fp16", "fp32")],
    ["another workspace", () => OPTIONS.replace("1024", "2048")],
    ["other shapes", () => `${OPTIONS}shape ids 1x384 1x384 8x384\n`],
    ["another GPU", () => (state("gpus", "NVIDIA A10G, 8.6\n"), OPTIONS)],
    ["another TensorRT", () => (state("environment", "NV_TENSORRT_VERSION=8.4.1.5\n"), OPTIONS)],
    ["other weights", () => (fs.writeFileSync(path.join(source, "1/weights.data"), "new"), OPTIONS)],
  ];
  for (const [what, change] of changes) {
    it(`builds anew for ${what}`, () => {
      const { digest } = build();
      const changed = build(change());
      assert.equal(changed.status, 0, changed.stderr);
      assert.notEqual(changed.digest, digest);
      assert.equal(builds(), 2);
    });
  }

  it("passes the three shapes of every input, and the workspace under its newer name", () => {
    state("new", "");
    assert.equal(build(`${OPTIONS}shape ids 1x384 2x384 8x384\nshape mask 1 2 8\n`).status, 0);
    const plan = ready("1/model.plan");
    assert.match(plan, /^--memPoolSize=workspace:1024$/m);
    assert.match(plan, /^--minShapes='ids':1x384,'mask':1$/m);
    assert.match(plan, /^--optShapes='ids':2x384,'mask':2$/m);
    assert.match(plan, /^--maxShapes='ids':8x384,'mask':8$/m);
  });

  it("accepts several GPUs of one kind, and refuses several kinds", () => {
    state("gpus", "Tesla T4, 7.5\nTesla T4, 7.5\n");
    assert.equal(build().status, 0);
    state("gpus", "Tesla T4, 7.5\nNVIDIA A10G, 8.6\n");
    const { status, stderr } = build();
    assert.equal(status, 1);
    assert.match(
      stderr,
      /^error: this host has GPUs of several kinds: NVIDIA A10G, 8\.6; Tesla T4, 7\.5\nfix: /m,
    );
  });

  it("refuses a host without a GPU before it pulls anything", () => {
    state("gpus", "");
    const { status, stderr } = build();
    assert.equal(status, 1);
    assert.match(
      stderr,
      /^error: this host has no working GPU to build an engine on: NVIDIA-SMI has failed\nfix: /m,
    );
    assert.equal(fs.existsSync(path.join(folder, "state/calls")), false);
  });

  it("shows the builder's own error, and keeps the existing engine", () => {
    const { digest } = build();
    const good = ready("1/model.plan");
    fs.writeFileSync(path.join(source, "1/model.onnx"), "broken\n");
    const { status, stderr } = build();
    assert.equal(status, 1);
    assert.match(
      stderr,
      /cannot build the engine of bert, version 1: .*While parsing node number 4 \[Einsum\]\nfix: /,
    );
    assert.match(stderr, /What served before still serves/);
    fs.writeFileSync(path.join(source, "1/model.onnx"), "onnx\n");
    assert.equal(build().digest, digest);
    assert.equal(ready("1/model.plan"), good);
    assert.equal(builds(), 2);
  });

  it("stops its builder when interrupted, and builds the next time", async () => {
    state("slow", "");
    const child = spawn("bash", words("bert", "0123456789abcdef"), { env: environment() });
    child.stdin.end(OPTIONS);
    const pid = path.join(folder, "state/builder.pid");
    for (let tries = 0; !fs.existsSync(pid) || fs.readFileSync(pid, "utf8") === ""; tries += 1) {
      assert.ok(tries < 200, "the builder starts");
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
    const ended = new Promise((resolve) => child.once("exit", resolve));
    child.kill("SIGTERM");
    assert.notEqual(await ended, 0);
    assert.throws(() => process.kill(Number(fs.readFileSync(pid, "utf8")), 0), /ESRCH/);
    assert.deepEqual(fs.readdirSync(path.join(directory, "engines/cache")), []);
    fs.rmSync(path.join(folder, "state/slow"));
    assert.equal(build().status, 0);
  });

  const ways: [string, string, () => string][] = [
    [
      "was uploaded",
      "uploads/bert/0123456789abcdef",
      () => path.join(directory, "uploads/bert/0123456789abcdef"),
    ],
    ["was fetched from S3", "models/store/bert/files-0123456789abcdef", () => "s3://models/bert"],
  ];
  for (const [what, place, given] of ways) {
    it(`keeps what ${what}, since it goes when it is stored and only an option may change`, () => {
      const delivered = path.join(directory, place);
      fs.mkdirSync(path.dirname(delivered), { recursive: true });
      fs.renameSync(source, delivered);
      source = given();
      assert.equal(build().status, 0);
      fs.rmSync(delivered, { recursive: true });
      assert.equal(build(OPTIONS.replace("fp16", "fp32")).status, 0);
      assert.equal(builds(), 2);
    });
  }

  describe("shared through S3, with the real AWS CLI", function () {
    this.timeout(120_000);
    const SHARED = `${OPTIONS}shared s3://engines-of-the-test/team\n`;
    let s3: S3Server;

    before(async function () {
      this.timeout(600_000);
      s3 = await S3Server.start();
      await s3.createBucket("engines-of-the-test");
    });

    after(async () => {
      await s3.stop();
    });

    // moto runs in another process, so it can answer while we wait for a script; the proxy cannot.
    const deploy = (host: string, options = SHARED): Promise<{ status: number | null; stderr: string }> =>
      new Promise((resolve) => {
        directory = path.join(folder, host);
        fs.mkdirSync(directory, { recursive: true });
        const env = { ...environment(), ...s3.environment };
        const child = spawn("bash", words("bert", "0123456789abcdef"), {
          env: { ...env, PATH: `${BUILDER}:${s3.environment.PATH ?? ""}` },
        });
        let stderr = "";
        child.stderr.on("data", (chunk: Buffer) => (stderr += chunk.toString()));
        child.on("close", (status) => {
          resolve({ status, stderr });
        });
        child.stdin.end(options);
      });

    it("is built by the first host and fetched by the next one, unless it is damaged", async () => {
      const first = await deploy("first");
      assert.equal(first.status, 0, first.stderr);
      assert.match(
        first.stderr,
        /shared the engine of bert, version 1 as s3:\/\/engines-of-the-test\/team\/[0-9a-f]{32}$/m,
      );
      const second = await deploy("second");
      assert.equal(second.status, 0, second.stderr);
      assert.match(second.stderr, /took the engine of bert, version 1 from s3:/);
      assert.equal(builds(), 1);
      assert.match(ready("1/model.plan"), /^onnx$/m);

      const key = /team\/[0-9a-f]{32}/.exec(first.stderr)?.[0] ?? "";
      await s3.put("engines-of-the-test", `${key}/model.plan`, "half of");
      const third = await deploy("third");
      assert.equal(third.status, 0, third.stderr);
      assert.match(third.stderr, /the shared engine of bert, version 1 is damaged/);
      assert.equal(builds(), 2);
      assert.match(ready("1/model.plan"), /^onnx$/m);
      // It has uploaded a complete one again.
      assert.match((await deploy("fourth")).stderr, /took the engine/);
    });

    it("is built even if S3 fails, with a remark", async () => {
      const { status, stderr } = await deploy(
        "first",
        SHARED.replace("engines-of-the-test", "no-such-bucket"),
      );
      assert.equal(status, 0, stderr);
      assert.match(stderr, /cannot share the engine of bert, version 1: .*NoSuchBucket/);
      assert.equal(builds(), 1);
    });
  });

  it("removes engines that nobody has requested for thirty days", () => {
    build();
    const [key = ""] = fs.readdirSync(path.join(directory, "engines/cache"));
    const old = new Date(Date.now() - 32 * 86400_000);
    fs.utimesSync(path.join(directory, "engines/cache", key, "used"), old, old);
    build(OPTIONS.replace("fp16", "best"));
    assert.equal(fs.existsSync(path.join(directory, "engines/cache", key)), false);
    assert.equal(fs.readdirSync(path.join(directory, "engines/cache")).length, 1);
  });
});
