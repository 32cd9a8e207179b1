import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { createHash } from "node:crypto";
import * as fs from "node:fs";
import * as http from "node:http";
import type { AddressInfo } from "node:net";
import * as os from "node:os";
import * as path from "node:path";

const cliVersion = "3.259.0";
const repository = path.resolve(__dirname, "../..");

interface Found {
  path: string;
  home: string;
  tools: Record<string, { file: string; version: string; from: string }>;
}

interface Run {
  code: number | null;
  stderr: string;
  found: Found | undefined;
}

/** The script in its own project, on a machine that has only what a test puts there. */
class Machine {
  readonly folder = fs.mkdtempSync(path.join(os.tmpdir(), "toolchain-"));
  readonly project = path.join(this.folder, "project");
  readonly bin = path.join(this.folder, "bin");
  releases = "http://127.0.0.1:9"; // nothing listens on the discard port
  private server: http.Server | undefined;
  readonly requests: string[] = [];

  /** The tools' cache, by default. */
  get cache(): string {
    return path.join(this.folder, "home/.cache/xsched-triton/toolchain");
  }

  constructor() {
    this.clone("project");
    fs.mkdirSync(this.bin);
    for (const program of ["tar", "gzip", "sh", "cat", "sleep"]) {
      const place = ["/bin", "/usr/bin"].map((folder) => path.join(folder, program)).find(fs.existsSync);
      assert(place, program);
      fs.symlinkSync(place, path.join(this.bin, program));
    }
  }

  /** What the script needs of a clone of the project, in a folder of this name. */
  clone(name: string): string {
    const clone = path.join(this.folder, name);
    for (const part of [
      "package.json",
      "scripts/node-version.mjs",
      "scripts/toolchain.mjs",
      "scripts/toolchain",
      "offline/build.mjs",
    ]) {
      fs.cpSync(path.join(repository, part), path.join(clone, part), { recursive: true });
    }
    for (const tool of fs.readdirSync(path.join(repository, "offline"), { withFileTypes: true })) {
      if (tool.isDirectory()) this.write(`${name}/offline/${tool.name}/go.mod`, `module ${tool.name}\n`);
    }
    return clone;
  }

  write(name: string, content: string, mode = 0o644): string {
    const file = path.join(this.folder, name);
    fs.mkdirSync(path.dirname(file), { recursive: true });
    fs.writeFileSync(file, content, { mode });
    return file;
  }

  /** A CLI that prints a version, with the host next to it. */
  installCli(version: string): void {
    this.write("opt/pulumi", `#!/bin/sh\necho v${version}\n`, 0o755);
    this.write("opt/pulumi-language-nodejs", "#!/bin/sh\n", 0o755);
    fs.symlinkSync(path.join(this.folder, "opt/pulumi"), path.join(this.bin, "pulumi"));
  }

  /** A `go` that writes down where it ran and makes the output, or fails. */
  installGo(script = 'echo built-$(cat go.mod) > "$out"'): void {
    this.write(
      "bin/go",
      [
        "#!/bin/sh",
        `echo "$PWD $*" >> ${this.folder}/go.log`,
        'while [ "$1" != -o ]; do shift; done; out=$2',
        script,
      ].join("\n"),
      0o755,
    );
  }

  /** Makes the `go` that is installed one of this release. */
  releaseGo(version: string): void {
    const go = this.write("sdk/bin/go", fs.readFileSync(path.join(this.bin, "go"), "utf8"), 0o755);
    this.write("sdk/VERSION", `${version}\ntime 2026-01-01T00:00:00Z\n`);
    fs.rmSync(path.join(this.bin, "go"));
    fs.symlinkSync(go, path.join(this.bin, "go"));
  }

  builds(): string[] {
    const log = path.join(this.folder, "go.log");
    if (!fs.existsSync(log)) return [];
    return fs
      .readFileSync(log, "utf8")
      .trim()
      .split("\n")
      .map((line) => path.basename(line.split(" ")[0] ?? ""));
  }

  /**
   * Serves archives made of the given files, by the path of their URL, and their digests.
   *
   * @param digestOf what is published of an archive in place of its digest; undefined for nothing
   */
  async serve(
    archives: Record<string, Record<string, string>>,
    digestOf: (body: Buffer) => string | undefined = sha256,
  ): Promise<void> {
    const bodies = new Map<string, Buffer>();
    for (const [url, files] of Object.entries(archives)) {
      const folder = fs.mkdtempSync(path.join(this.folder, "archive-"));
      for (const [name, content] of Object.entries(files)) {
        this.write(path.join(path.basename(folder), name), content, 0o755);
      }
      const archive = `${folder}.tar.gz`;
      const { code } = await execute("tar", ["-czf", archive, "-C", folder, "."], process.env);
      assert.equal(code, 0);
      bodies.set(url, fs.readFileSync(archive));
    }
    const assets = [...bodies].map(([url, body]) => ({ name: path.basename(url), digest: digestOf(body) }));
    for (const release of Object.values(RELEASES)) {
      bodies.set(release, Buffer.from(JSON.stringify({ assets: [{ name: "SHA512SUMS" }, ...assets] })));
    }
    await this.listen((request, response) => {
      const body = bodies.get(request.url ?? "");
      response.writeHead(body ? 200 : 404).end(body);
    });
  }

  async listen(answer: http.RequestListener): Promise<void> {
    const server = http.createServer((request, response) => {
      this.requests.push(request.url ?? "");
      answer(request, response);
    });
    this.server = server;
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    this.releases = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  }

  run(...names: string[]): Promise<Run> {
    return this.runIn(this.project, names);
  }

  async runIn(
    clone: string,
    names: readonly string[] = [],
    environment: NodeJS.ProcessEnv = {},
  ): Promise<Run> {
    const { code, stdout, stderr } = await execute(
      process.execPath,
      [path.join(clone, "scripts/toolchain.mjs"), ...names],
      {
        PATH: this.bin,
        HOME: path.join(this.folder, "home"),
        XSCHED_TRITON_PULUMI_RELEASES: this.releases,
        XSCHED_TRITON_PULUMI_DIGESTS: this.releases,
        ...environment,
      },
    );
    return { code, stderr, found: code === 0 ? (JSON.parse(stdout) as Found) : undefined };
  }

  remove(): void {
    this.server?.closeAllConnections();
    this.server?.close();
    fs.rmSync(this.folder, { recursive: true });
  }
}

function execute(command: string, args: string[], env: NodeJS.ProcessEnv) {
  return new Promise<{ code: number | null; stdout: string; stderr: string }>((resolve, reject) => {
    const child = spawn(command, args, { env });
    let stdout = "";
    let stderr = "";
    child.stdout.on("data", (chunk: Buffer) => (stdout += chunk.toString()));
    child.stderr.on("data", (chunk: Buffer) => (stderr += chunk.toString()));
    child.on("error", reject);
    child.on("close", (code) => {
      resolve({ code, stdout, stderr });
    });
  });
}

const platform = { linux: "linux", darwin: "darwin" }[process.platform as "linux" | "darwin"];
const cliArchive = `/sdk/pulumi-v${cliVersion}-${platform}-${process.arch}.tar.gz`;
const commandArchive = `/plugins/pulumi-resource-command-v1.2.1-${platform}-${process.arch === "x64" ? "amd64" : "arm64"}.tar.gz`;

/** Where GitHub describes the vendor's releases. */
const RELEASES = {
  cli: `/pulumi/pulumi/releases/tags/v${cliVersion}`,
  command: "/pulumi/pulumi-command/releases/tags/v1.2.1",
};

function sha256(body: Buffer): string {
  return `sha256:${createHash("sha256").update(body).digest("hex")}`;
}

describe("toolchain", () => {
  let machine: Machine;
  beforeEach(() => {
    machine = new Machine();
  });
  afterEach(() => {
    machine.remove();
  });

  function content(run: Run, name: string): string {
    const tool = run.found?.tools[name];
    assert(tool, run.stderr);
    return fs.readFileSync(tool.file, "utf8").trim();
  }

  /** The folder of the tools of one state of the project. */
  function setOf(run: Run): string {
    assert(run.found, run.stderr);
    return path.dirname(run.found.path);
  }

  it("takes what is installed, and the host that belongs to the CLI", async () => {
    machine.installCli("3.300.1");
    machine.write("home/.pulumi/plugins/resource-command-v1.2.1/pulumi-resource-command", "plugin", 0o755);
    const run = await machine.run();
    assert.equal(run.code, 0, run.stderr);
    assert.match(content(run, "pulumi"), /3\.300\.1/);
    assert.equal(
      fs.realpathSync(run.found?.tools["pulumi-language-nodejs"]?.file ?? ""),
      path.join(fs.realpathSync(machine.folder), "opt/pulumi-language-nodejs"),
    );
    assert.equal(content(run, "pulumi-resource-command"), "plugin");
    assert.equal(
      run.found?.tools["pulumi-resource-command"]?.file,
      path.join(run.found?.home ?? "", "plugins/resource-command-v1.2.1/pulumi-resource-command"),
    );
    assert.deepEqual(machine.builds(), []);
  });

  it("downloads the vendor's, the CLI and its hosts at once, when what is installed is too old", async () => {
    machine.installCli("3.200.0");
    machine.installGo();
    await machine.serve({
      [cliArchive]: { "pulumi/pulumi": "cli", "pulumi/pulumi-language-nodejs": "host" },
      [commandArchive]: { "pulumi-resource-command": "provider" },
    });
    const run = await machine.run();
    assert.equal(run.code, 0, run.stderr);
    assert.equal(content(run, "pulumi"), "cli");
    assert.equal(content(run, "pulumi-language-nodejs"), "host");
    assert.equal(content(run, "pulumi-resource-command"), "provider");
    assert.equal(run.found?.tools.pulumi?.from, machine.releases + cliArchive);
    assert.deepEqual(machine.requests, [RELEASES.cli, cliArchive, RELEASES.command, commandArchive]);
    assert.deepEqual(machine.builds(), []);
  });

  it("builds what cannot be downloaded, and says that it does", async () => {
    machine.installGo();
    await machine.serve({
      [cliArchive]: { "pulumi/pulumi": "cli", "pulumi/pulumi-language-nodejs": "host" },
    });
    const run = await machine.run();
    assert.equal(content(run, "pulumi-resource-command"), "built-module pulumi-resource-command");
    assert.deepEqual(machine.builds(), ["pulumi-resource-command"]);
    assert.match(run.stderr, /building pulumi-resource-command with go/);
  });

  it("takes data for tests from a Go module", async () => {
    const module = path.join(machine.folder, "module");
    for (const name of ["httproutes", "grpcroutes"]) {
      const file = `module/config/crd/standard/gateway.networking.k8s.io_${name}.yaml`;
      machine.write(file, `# ${name}\n`);
    }
    machine.write(
      "bin/go",
      `#!/bin/sh\necho "$PWD" >> ${machine.folder}/go.log\n[ "$1" != list ] || echo ${module}\n`,
      0o755,
    );
    const { found, stderr } = await machine.run("gateway-api-crds");
    const file = found?.tools["gateway-api-crds"]?.file ?? assert.fail(stderr);
    assert.equal(fs.readFileSync(file, "utf8"), "---\n# httproutes\n---\n# grpcroutes\n");
    assert.deepEqual(new Set(machine.builds()), new Set(["gateway-api-crds"]));
    await machine.run("gateway-api-crds");
    assert.equal(machine.builds().length, 2, "once to download, once to look");
  });

  it("does not unpack what is not as the vendor has published it, and says so", async () => {
    machine.installGo();
    await machine.serve({ [commandArchive]: { "pulumi-resource-command": "swapped" } }, () =>
      sha256(Buffer.from("the vendor's")),
    );
    const run = await machine.run("pulumi-resource-command");
    assert.equal(content(run, "pulumi-resource-command"), "built-module pulumi-resource-command");
    assert.match(
      run.stderr,
      /^warning: .*command-v1\.2\.1-.*\.tar\.gz is not what pulumi\/pulumi-command has published \(sha256 [0-9a-f]{64}, not [0-9a-f]{64}\); it is not unpacked$/m,
    );
    const kept = fs.readdirSync(path.join(machine.cache, "store"));
    assert.deepEqual(
      kept.filter((entry) => entry.endsWith(`${process.platform}-${process.arch}`)),
      [],
    );
  });

  for (const [what, digest] of [
    ["without a digest", undefined],
    ["with a digest of another kind", "sha1:0"],
  ] as const) {
    it(`does not download what is published ${what}`, async () => {
      await machine.serve({ [commandArchive]: { "pulumi-resource-command": "provider" } }, () => digest);
      const run = await machine.run("pulumi-resource-command");
      assert.equal(run.code, 1);
      assert.match(
        run.stderr,
        /download: .*\/tags\/v1\.2\.1 has no sha256 digest of pulumi-resource-command-v1/,
      );
      assert.deepEqual(machine.requests, [RELEASES.command]);
    });
  }

  it("downloads nothing while its digest cannot be had", async () => {
    await machine.serve({ [commandArchive]: { "pulumi-resource-command": "provider" } });
    const digests = { XSCHED_TRITON_PULUMI_DIGESTS: "http://127.0.0.1:9" };
    const run = await machine.runIn(machine.project, ["pulumi-resource-command"], digests);
    assert.equal(run.code, 1);
    assert.match(run.stderr, /download: http:\/\/127\.0\.0\.1:9 is out of reach/);
    assert.deepEqual(machine.requests, []);
  });

  it("asks a server that is out of reach once, not for every tool", async () => {
    machine.installGo();
    await machine.listen(() => undefined); // never answers
    const run = await machine.run();
    assert.equal(run.code, 0, run.stderr);
    assert.equal(machine.requests.length, 1);
    assert.deepEqual(machine.builds().sort(), [
      "pulumi",
      "pulumi-language-nodejs",
      "pulumi-resource-command",
    ]);
  });

  it("starts nothing when all is there, and works again on the one whose source has changed", async () => {
    machine.installGo();
    await machine.run();
    const first = machine.builds().length;
    fs.rmSync(path.join(machine.bin, "go"));
    // Where nothing can be started.
    const again = await machine.runIn(machine.project, [], { PATH: path.join(machine.folder, "empty") });
    assert.equal(again.code, 0, again.stderr);
    assert.equal(again.stderr, "");

    machine.installGo();
    machine.write("project/offline/pulumi-resource-command/go.mod", "changed\n");
    const changed = await machine.run();
    assert.equal(content(changed, "pulumi-resource-command"), "built-changed");
    assert.deepEqual(machine.builds().slice(first), ["pulumi-resource-command"]);
  });

  it("looks again when an installed tool has gone or a stamp is damaged", async () => {
    machine.installCli("3.259.0");
    machine.installGo();
    const first = await machine.run();
    fs.rmSync(path.join(machine.folder, "opt"), { recursive: true });
    fs.writeFileSync(path.join(setOf(first), "stamps/pulumi-resource-command.json"), "{");
    const run = await machine.run();
    assert.equal(content(run, "pulumi"), "built-module pulumi");
    assert.equal(content(run, "pulumi-resource-command"), "built-module pulumi-resource-command");
    const stamp = fs.readFileSync(path.join(setOf(run), "stamps/pulumi-resource-command.json"), "utf8");
    assert.equal((JSON.parse(stamp) as { from: string }).from, "built from offline/pulumi-resource-command");
  });

  it("builds once for clones of the same sources, and again for one that has others", async () => {
    machine.installGo();
    const first = await machine.run("pulumi-resource-command");
    const same = await machine.runIn(machine.clone("same"), ["pulumi-resource-command"]);
    assert.equal(setOf(same), setOf(first));
    assert.equal(same.stderr, "");
    const other = machine.clone("other");
    machine.write("other/offline/pulumi-resource-command/go.mod", "others\n");
    const different = await machine.runIn(other, ["pulumi", "pulumi-resource-command"]);
    assert.equal(content(different, "pulumi-resource-command"), "built-others");
    // What is the same in both is not built again, and neither clone has taken the other's away.
    const back = await machine.run("pulumi", "pulumi-resource-command");
    assert.equal(content(back, "pulumi-resource-command"), "built-module pulumi-resource-command");
    assert.deepEqual(machine.builds(), ["pulumi-resource-command", "pulumi", "pulumi-resource-command"]);
  });

  it("builds again with another release of Go, and takes any build where Go is missing", async () => {
    machine.installGo();
    machine.releaseGo("go1.25.1");
    await machine.run("pulumi-resource-command");
    machine.releaseGo("go1.25.2");
    const newer = await machine.run("pulumi-resource-command");
    assert.equal(newer.code, 0, newer.stderr);
    assert.equal(machine.builds().length, 2);
    fs.rmSync(path.join(machine.bin, "go"));
    fs.rmSync(setOf(newer), { recursive: true });
    const without = await machine.run("pulumi-resource-command");
    assert.equal(content(without, "pulumi-resource-command"), "built-module pulumi-resource-command");
  });

  it("keeps nothing of sources that change while it builds", async () => {
    machine.installGo('echo built-$(cat go.mod) > "$out"; echo changed > go.mod');
    const run = await machine.run("pulumi-resource-command");
    assert.equal(run.code, 1);
    assert.match(
      run.stderr,
      /^offline\/pulumi-resource-command changed while it was built; fix: run this again$/m,
    );
    assert(!fs.existsSync(path.join(machine.cache, "store")));
  });

  it("keeps the tools where the environment says", async () => {
    machine.installGo();
    const [xdg, own] = [path.join(machine.folder, "xdg"), path.join(machine.folder, "own")];
    const run = (environment: NodeJS.ProcessEnv) =>
      machine.runIn(machine.project, ["pulumi-resource-command"], environment);
    assert(
      setOf(await run({ XDG_CACHE_HOME: xdg })).startsWith(path.join(xdg, "xsched-triton/toolchain/sets/")),
    );
    assert(setOf(await run({ XDG_CACHE_HOME: "relative" })).startsWith(path.join(machine.cache, "sets/")));
    assert(
      setOf(await run({ XDG_CACHE_HOME: xdg, XSCHED_TRITON_TOOLCHAIN: own })).startsWith(
        path.join(own, "sets/"),
      ),
    );
  });

  it("prints only the folder for PATH when asked to", async () => {
    machine.installGo();
    const found = await machine.run();
    const { stdout } = await execute(
      process.execPath,
      [path.join(machine.project, "scripts/toolchain.mjs"), "--path"],
      { PATH: machine.bin, HOME: path.join(machine.folder, "home") },
    );
    assert.equal(stdout, `${found.found?.path}\n`);
  });

  it("builds once for runs at the same time", async () => {
    machine.installGo('sleep 1; echo built-$(cat go.mod) > "$out"');
    const runs = await Promise.all([1, 2, 3].map(() => machine.run("pulumi-resource-command")));
    for (const run of runs)
      assert.equal(content(run, "pulumi-resource-command"), "built-module pulumi-resource-command");
    assert.equal(machine.builds().length, 1);
    assert.deepEqual(fs.readdirSync(machine.cache).sort(), ["sets", "store"]);
  });

  it("takes over the lock of a run that was killed", async () => {
    machine.installGo();
    const dead = await new Promise<number>((resolve) => {
      const child = spawn("true");
      child.on("close", () => {
        resolve(child.pid ?? 0);
      });
    });
    fs.mkdirSync(machine.cache, { recursive: true });
    fs.writeFileSync(path.join(machine.cache, "lock"), String(dead));
    const run = await machine.run("pulumi-resource-command");
    assert.equal(run.code, 0, run.stderr);
  });

  it("says what is missing, what was tried and how to install it", async () => {
    machine.installGo("echo 'module lookup: 403 Forbidden' >&2; exit 1");
    const run = await machine.run("pulumi-resource-command");
    assert.equal(run.code, 1);
    const message = run.stderr.split("\n").slice(-8).join("\n");
    assert.match(message, /^pulumi-resource-command 1\.2\.1 is missing\. Tried:$/m);
    assert.match(message, /^ {2}installed: not on PATH, and no plugin command 1\.2\.1 in .*plugins$/m);
    assert.match(message, /^ {2}download: http:\/\/127\.0\.0\.1:9 is out of reach: /m);
    assert.match(
      message,
      /^ {2}build: go build in offline\/pulumi-resource-command fails:\n.*403 Forbidden$/m,
    );
    assert.match(message, /^fix: pulumi plugin install resource command 1\.2\.1, or install Go/m);
  });

  it("refuses a name that it does not know", async () => {
    const run = await machine.run("pulmi");
    assert.equal(run.code, 1);
    assert.match(run.stderr, /^no such tool: pulmi; known: pulumi, /);
  });
});
