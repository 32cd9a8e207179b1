import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { createHash } from "node:crypto";
import * as fs from "node:fs";
import * as os from "node:os";
import * as path from "node:path";

import { S3Server } from "../../aws/s3Server";

const SCRIPTS = ["host", "models"].map((concern) =>
  path.resolve(__dirname, "../../../components", concern, "scripts"),
);

const BUCKET = "models-of-the-test";
const SOURCE = `s3://${BUCKET}/team/scale`;

interface Result {
  readonly status: number | null;
  readonly stderr: string;
}

const md5 = (content: Buffer | string): string => createHash("md5").update(content).digest("hex");

describe("a model's files from S3, with the real AWS CLI", function () {
  this.timeout(120_000);
  let s3: S3Server;
  let folder: string;
  let directory: string;
  /** The bucket's content, by path. */
  let objects: Map<string, { content: Buffer; etag: string }>;

  before(async function () {
    this.timeout(600_000);
    s3 = await S3Server.start();
    await s3.createBucket(BUCKET);
  });

  after(async () => {
    await s3.stop();
  });

  beforeEach(async () => {
    folder = fs.mkdtempSync(path.join(os.tmpdir(), "xsched-fetch-"));
    directory = path.join(folder, "the host's directory");
    fs.mkdirSync(directory);
    for (const scripts of SCRIPTS) fs.cpSync(scripts, path.join(folder, "bin"), { recursive: true });
    objects = new Map();
    s3.mischief.clear();
    await put("1/model.py", "the code\n");
    await put("1/weights.bin", Buffer.alloc(300_000, 7));
    s3.fetched.length = 0;
  });

  afterEach(() => {
    fs.rmSync(folder, { recursive: true, force: true });
  });

  async function put(name: string, content: Buffer | string): Promise<void> {
    await s3.put(BUCKET, `team/scale/${name}`, content);
    objects.set(name, { content: Buffer.from(content), etag: md5(content) });
  }

  const list = (): string =>
    [...objects].map(([name, { content, etag }]) => `${etag} ${content.length} ${name}\n`).join("");

  function run(script: string, words: readonly string[], input = "", signal?: AbortSignal): Promise<Result> {
    return new Promise((resolve, reject) => {
      const child = spawn("bash", [path.join(folder, "bin", script), directory, ...words], {
        env: { ...process.env, ...s3.environment },
        ...(signal && { signal, killSignal: "SIGKILL" as const }),
      });
      let stderr = "";
      child.stderr.on("data", (chunk: Buffer) => (stderr += chunk.toString()));
      child.on("error", (error) => {
        if (error.name !== "AbortError") reject(error);
      });
      child.on("close", (status) => {
        resolve({ status, stderr });
      });
      child.stdin.on("error", () => undefined);
      child.stdin.end(input);
    });
  }

  const fetch = (digest: string, source = SOURCE): Promise<Result> =>
    run("fetch-model.sh", ["scale", digest, source], list());

  const fetches = async (digest: string): Promise<string[]> => {
    s3.fetched.length = 0;
    const { status, stderr } = await fetch(digest);
    assert.equal(status, 0, stderr);
    const files = path.join(directory, "models/store/scale", `files-${digest}`);
    for (const [name, { content }] of objects) {
      assert.ok(fs.readFileSync(path.join(files, name)).equals(content), name);
    }
    const found = fs
      .readdirSync(files, { recursive: true, withFileTypes: true })
      .filter((entry) => entry.isFile())
      .map((entry) => path.relative(files, path.join(entry.parentPath, entry.name)));
    assert.deepEqual(found.sort(), [...objects.keys()].sort());
    return s3.fetched.map((key) => key.replace("team/scale/", "")).sort();
  };

  const refused = async (digest: string, error: RegExp, fix: RegExp, source = SOURCE): Promise<void> => {
    const { status, stderr } = await fetch(digest, source);
    assert.notEqual(status, 0);
    assert.match(stderr, new RegExp(`^error: ${error.source}$`, "m"));
    assert.match(stderr, new RegExp(`^fix: ${fix.source}`, "m"));
    assert.equal(stderr.match(/^error:/gm)?.length, 1, stderr);
    assert.ok(!fs.existsSync(path.join(directory, "models/store/scale", `files-${digest}`)));
  };

  it("arrive complete, and are not fetched again if unchanged", async () => {
    assert.deepEqual(await fetches("v1"), ["1/model.py", "1/weights.bin"]);
    assert.deepEqual(await fetches("v1"), []);
    assert.deepEqual(await fetches("another-digest"), []);
  });

  it("are fetched only where they changed, also under a new name", async () => {
    await fetches("v1");
    await put("1/model.py", "other code\n");
    assert.deepEqual(await fetches("v2"), ["1/model.py"]);
    const { content, etag } = objects.get("1/weights.bin")!;
    objects.delete("1/weights.bin");
    objects.set("2/weights.bin", { content, etag });
    assert.deepEqual(await fetches("v3"), []);
  });

  it("are stored next to the model's configuration, and pruned with it", async () => {
    await fetches("v1");
    const stored = await run("store-model.sh", ["scale", "config1", "v1", SOURCE], "name: 'scale'\n");
    assert.equal(stored.status, 0, stored.stderr);
    const store = path.join(directory, "models/store/scale");
    assert.deepEqual(fs.readdirSync(store).sort(), ["config1", "files-v1", "files-v1.objects"]);
    await put("1/model.py", "other code\n");
    assert.deepEqual(await fetches("v2"), ["1/model.py"]);
    assert.equal((await run("store-model.sh", ["scale", "config2", "v2", SOURCE], "")).status, 0);
    assert.deepEqual(fs.readdirSync(store).sort(), ["config2", "files-v2", "files-v2.objects"]);
    assert.equal((await run("drop-files.sh", ["scale"])).status, 0);
    assert.ok(fs.existsSync(path.join(store, "config2/1/model.py")));
    const lost = await run("store-model.sh", ["scale", "config3", "v3", SOURCE], "");
    assert.match(lost.stderr, /no longer on this host\nfix: .*--replace '\*\*scale\/files'/);
  });

  it("leave nothing on the host when they were never stored", async () => {
    await fetches("v1");
    assert.equal((await run("drop-files.sh", ["scale"])).status, 0);
    assert.ok(!fs.existsSync(path.join(directory, "models/store/scale")));
  });

  it("are fetched again when they arrive corrupt, and refused when they always do", async () => {
    s3.mischief.set("team/scale/1/weights.bin", "corrupt once");
    assert.deepEqual(await fetches("v1"), ["1/model.py", "1/weights.bin", "1/weights.bin"]);
    await put("1/model.py", "other code\n");
    s3.mischief.set("team/scale/1/model.py", "corrupt");
    await refused("v2", /s3:.*model\.py arrived corrupt: .*/, /check the network/);
    s3.mischief.clear();
    assert.deepEqual(await fetches("v2"), ["1/model.py"]);
  });

  it("are fetched again where the host's copy is damaged", async () => {
    await fetches("v1");
    const copy = path.join(directory, "models/store/scale/files-v1/1/weights.bin");
    fs.writeFileSync(copy, Buffer.alloc(300_000, 8));
    await put("1/model.py", "other code\n");
    assert.deepEqual(await fetches("v2"), ["1/model.py", "1/weights.bin"]);
  });

  it("in parts are compared with the ETag of their parts", async () => {
    const parts = [Buffer.alloc(5 << 20, 1), Buffer.alloc(5 << 20, 2), Buffer.from("the end")];
    await s3.putInParts(BUCKET, "team/scale/1/large.bin", parts);
    const sums = Buffer.concat(parts.map((part) => createHash("md5").update(part).digest()));
    objects.set("1/large.bin", { content: Buffer.concat(parts), etag: `${md5(sums)}-3` });
    assert.ok((await fetches("v1")).includes("1/large.bin"));
    const record = fs.readFileSync(path.join(directory, "models/store/scale/files-v1.objects"), "utf8");
    assert.match(
      record,
      new RegExp(`^${md5(sums)}-3 ${(10 << 20) + 7} - parts:${5 << 20} 1/large\\.bin$`, "m"),
    );
    s3.mischief.set("team/scale/1/large.bin", "corrupt");
    fs.rmSync(path.join(directory, "models"), { recursive: true });
    await refused("v1", /s3:.*large\.bin arrived corrupt: .*/, /check the network/);
  });

  it("of 64 MiB and more go through `aws s3 cp`, and are checked as well", async () => {
    await put("1/huge.bin", Buffer.alloc(70 << 20, 3));
    assert.ok((await fetches("v1")).filter((name) => name === "1/huge.bin").length > 1, "in several parts");
  });

  it("are not fetched twice after an interruption", async () => {
    s3.mischief.set("team/scale/1/weights.bin", "hang");
    const stop = new AbortController();
    const running = run("fetch-model.sh", ["scale", "v1", SOURCE], list(), stop.signal);
    const record = path.join(directory, "models/store/scale/.fetching/objects");
    // An answer that has not started would be requested again.
    const half = path.join(path.dirname(record), "files/1/weights.bin.part");
    while (!(
      fs.existsSync(record) &&
      fs.readFileSync(record, "utf8").includes("model.py") &&
      fs.existsSync(half)
    )) {
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
    stop.abort();
    // What the killed script started still waits for its answer.
    s3.mischief.clear();
    s3.dropConnections();
    await running;
    assert.ok(!fs.existsSync(path.join(directory, "models/store/scale/files-v1")));
    assert.deepEqual(await fetches("v1"), ["1/weights.bin"]);
    assert.ok(!fs.existsSync(path.dirname(record)));
  });

  it("fail with the object and a fix if S3 refuses one", async () => {
    s3.mischief.set("team/scale/1/weights.bin", "deny");
    await refused(
      "v1",
      /S3 denies this host access to s3:.*weights\.bin/,
      /allow its role or user s3:GetObject/,
    );
    s3.mischief.clear();
    const absent = "s3://no-such-bucket-here/scale";
    await refused("v1", /there is no bucket no-such-bucket-here/, /correct the model's source/, absent);
    objects.set("1/absent", { content: Buffer.from("x"), etag: md5("x") });
    await refused("v1", /the object s3:.*absent has been deleted since the deployment began/, /put it back/);
    objects.delete("1/absent");
    await put("1/late", "as it was when the list was made");
    await s3.put(BUCKET, "team/scale/1/late", "as it is now");
    await refused("v1", /the object s3:.*late has changed since the deployment began/, /deploy again/);
  });

  it("are not started if they do not fit on the disk", async () => {
    objects.set("1/giant", { content: Buffer.alloc(0), etag: md5("") });
    const { status, stderr } = await run(
      "fetch-model.sh",
      ["scale", "v1", SOURCE],
      list().replace(/ 0 1\/giant/, " 900000000000000 1/giant"),
    );
    assert.notEqual(status, 0);
    assert.match(
      stderr,
      /^error: the model scale needs 90000000\d MB more, and \d+ MB are free in .*\nfix: free some/m,
    );
    assert.deepEqual(s3.fetched, []);
  });

  it("fail with a fix on a host without credentials or CLI", async () => {
    const environment = { ...s3.environment };
    Object.defineProperty(s3, "environment", {
      configurable: true,
      get: () => ({ ...environment, AWS_ACCESS_KEY_ID: "", AWS_SECRET_ACCESS_KEY: "", HOME: folder }),
    });
    await refused("v1", /this host has no AWS credentials/, /give the instance a role/);
    Object.defineProperty(s3, "environment", {
      configurable: true,
      get: () => ({ ...environment, PATH: path.join(folder, "programs") }),
    });
    const programs = path.join(folder, "programs");
    fs.mkdirSync(programs);
    for (const program of ["bash", "mkdir", "flock", "cat", "dirname"]) {
      fs.symlinkSync(
        ["/usr/bin", "/bin"].map((each) => `${each}/${program}`).find((file) => fs.existsSync(file))!,
        path.join(programs, program),
      );
    }
    await refused("v1", /the AWS CLI is not installed on this host/, /install it/);
    delete (s3 as { environment?: unknown }).environment;
  });

  it("cannot escape the model's folder", async () => {
    objects.set("../../up", { content: Buffer.from("x"), etag: md5("x") });
    await refused("v1", /'\.\.\/\.\.\/up' leads out of the model/, /rename/);
  });
});
