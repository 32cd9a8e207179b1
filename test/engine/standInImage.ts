import { execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import * as fs from "node:fs";
import * as os from "node:os";
import * as path from "node:path";

import { userCache } from "../userCache";
import { type DockerEngine, hasProgram } from "./dockerEngine";
import { alone } from "./ready";
import { Registry } from "./registry";

const PROJECT = path.resolve(__dirname, "../..");
const MAKE_ROOT = "test/fixtures/standInImage/make-root.sh";
const SCANNER = "test/fixtures/standInImage/scan.sh";
const INGREDIENTS = [
  MAKE_ROOT,
  "components/host/agent/agent/server/install.py",
  "components/server/triton-requirements.txt",
];

const REPOSITORY = "xsched-triton/stand-in";
const SYSTEM_FOLDERS = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
/** As in NVIDIA's image, where tritonserver and its Python are found without a path. */
const CONFIGURATION = [
  `ENV PATH=/opt/triton/runtime/current/python/bin:/opt/tritonserver/bin:${SYSTEM_FOLDERS}`,
  "WORKDIR /opt/tritonserver",
];
/** Two images that differ only in a label. */
const VERSIONS = ["1", "2"] as const;

/** Also in an image for compiling, as in NVIDIA's `-min` images. */
const TOOLS = ["cmake", "g++", "git", "make"];

const INSTALL =
  'apt-get update -qq && apt-get install -y -qq --no-install-recommends "$@" && rm -rf /var/lib/apt/lists/* /var/cache/apt/*.bin';

type Version = (typeof VERSIONS)[number];

/**
 * A registry on the loopback interface with images that stand in for NVIDIA's. They are created once and kept in the
 * user's cache, in the registry's format; delete the folder to create them again.
 */
export class StandInImages {
  private constructor(
    private readonly registry: Registry,
    private readonly digests: Readonly<Record<Version, string>>,
  ) {}

  /** What is missing on this machine. */
  public static get missing(): string | undefined {
    if (Registry.missing !== undefined) return Registry.missing;
    if (fs.existsSync(path.join(cacheFolder(), "digests.json"))) return undefined;
    if (process.getuid?.() !== 0) return "only root can make the stand-in image for the first time";
    return hasProgram("debootstrap") ? undefined : "debootstrap is not installed (Debian: debootstrap)";
  }

  public static async serve(engine: DockerEngine): Promise<StandInImages> {
    const folder = cacheFolder();
    const lock = `${path.dirname(folder)}.lock`;
    fs.mkdirSync(path.dirname(lock), { recursive: true });
    // Tests that run side by side would each remove what the other has begun.
    return alone(lock, () => StandInImages.serveFrom(folder, engine));
  }

  private static async serveFrom(folder: string, engine: DockerEngine): Promise<StandInImages> {
    const record = path.join(folder, "digests.json");
    const made = fs.existsSync(record);
    if (!made) {
      fs.rmSync(path.dirname(folder), { recursive: true, force: true });
      fs.mkdirSync(folder, { recursive: true });
    }
    const registry = await Registry.open(folder);
    try {
      if (!made) {
        const digests = await makeImages(engine, `${registry.address}/${REPOSITORY}`);
        fs.writeFileSync(record, JSON.stringify(digests));
      }
      const digests = JSON.parse(fs.readFileSync(record, "utf8")) as Record<Version, string>;
      return new StandInImages(registry, digests);
    } catch (error) {
      await registry.stop();
      throw error;
    }
  }

  public get repository(): string {
    return `${this.registry.address}/${REPOSITORY}`;
  }

  /** The image as `repository@sha256:…`. */
  public image(version: Version): string {
    return `${this.repository}@${this.digests[version]}`;
  }

  /** The image with compilers, as `repository@sha256:…`. It is created on first use. */
  public async tools(engine: DockerEngine): Promise<string> {
    const record = path.join(
      cacheFolder(),
      `tools-${createHash("sha256").update(TOOLS.join()).digest("hex")}.json`,
    );
    if (!fs.existsSync(record)) {
      fs.writeFileSync(record, JSON.stringify(await makeTools(engine, this.image("1"), this.repository)));
    }
    return `${this.repository}@${JSON.parse(fs.readFileSync(record, "utf8")) as string}`;
  }

  /** An SBOM generator, as `repository@sha256:…`. It is created on first use. */
  public async scanner(engine: DockerEngine): Promise<string> {
    const script = fs.readFileSync(path.join(PROJECT, SCANNER), "utf8");
    const record = path.join(
      cacheFolder(),
      `scanner-${createHash("sha256").update(script).digest("hex")}.json`,
    );
    if (!fs.existsSync(record)) {
      const digest = await makeScanner(engine, script, this.image("1"), this.repository);
      fs.writeFileSync(record, JSON.stringify(digest));
    }
    return `${this.repository}@${JSON.parse(fs.readFileSync(record, "utf8")) as string}`;
  }

  /** Lets a tag stand for an image, whatever it stood for before. */
  public async tag(tag: string, version: Version): Promise<string> {
    const manifests = `http://${this.registry.address}/v2/${REPOSITORY}/manifests`;
    const type = "application/vnd.docker.distribution.manifest.v2+json";
    const found = await fetch(`${manifests}/${this.digests[version]}`, { headers: { accept: type } });
    const { status } = await fetch(`${manifests}/${tag}`, {
      method: "PUT",
      headers: { "content-type": type },
      body: await found.text(),
    });
    if (status !== 201) throw new Error(`the registry takes no tag: ${status}`);
    return `${this.repository}:${tag}`;
  }

  /** The digest of an image. */
  public digest(version: Version): string {
    return this.digests[version];
  }

  public async stop(): Promise<void> {
    await this.registry.stop();
  }
}

function cacheFolder(): string {
  const digest = createHash("sha256").update(JSON.stringify([CONFIGURATION, VERSIONS]));
  for (const file of INGREDIENTS) digest.update(fs.readFileSync(path.join(PROJECT, file)));
  return userCache("stand-in-image", digest.digest("hex").slice(0, 16));
}

/** Creates the images, pushes them and removes them locally; returns their digests in the registry. */
async function makeImages(engine: DockerEngine, repository: string): Promise<Record<Version, string>> {
  console.log("      making the stand-in image, once on this machine (about 1½ minutes)");
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), "xsched-triton-image-"));
  try {
    const root = path.join(folder, "root.tar");
    execFileSync(path.join(PROJECT, MAKE_ROOT), [root], {
      stdio: ["ignore", "inherit", process.env.MOCHA_VERBOSE ? "inherit" : "pipe"],
      env: { ...process.env, PATH: `${process.env.PATH ?? ""}:${SYSTEM_FOLDERS}` },
    });
    const digests: Partial<Record<Version, string>> = {};
    for (const version of VERSIONS) {
      const image = `${repository}:${version}`;
      const changes = [...CONFIGURATION, `LABEL version=${version}`].flatMap((change) => [
        "--change",
        change,
      ]);
      await engine.ask("import", ...changes, root, image);
      digests[version] = await moveToRegistry(engine, image);
    }
    return digests as Record<Version, string>;
  } finally {
    fs.rmSync(folder, { recursive: true });
  }
}

/** Adds the tools to an image; returns the result's digest in the registry. */
async function makeTools(engine: DockerEngine, plain: string, repository: string): Promise<string> {
  console.log("      making the image to compile in, once on this machine (about ½ minute)");
  const container = `xsched-triton-tools-${process.pid}`;
  const image = `${repository}:tools`;
  const words = [
    "run",
    "--name",
    container,
    "--network",
    "host",
    plain,
    "sh",
    "-ec",
    INSTALL,
    "sh",
    ...TOOLS,
  ];
  try {
    await engine.ask(...words);
    await engine.ask("commit", container, image);
  } finally {
    await engine.docker("rm", "--force", container);
  }
  const digest = await moveToRegistry(engine, image);
  await engine.ask("image", "rm", plain);
  return digest;
}

/** Adds the script of an SBOM generator to an image; returns the result's digest in the registry. */
async function makeScanner(
  engine: DockerEngine,
  script: string,
  plain: string,
  repository: string,
): Promise<string> {
  const image = `${repository}:scanner`;
  const container = `xsched-triton-scanner-${process.pid}`;
  // The image has no command, and a container needs one.
  await engine.ask("create", "--name", container, "--network", "host", plain, "true");
  try {
    const entrypoint = `ENTRYPOINT ${JSON.stringify(["/bin/sh", "-euc", script])}`;
    await engine.ask("commit", "--change", entrypoint, container, image);
  } finally {
    await engine.docker("rm", "--force", container);
  }
  const digest = await moveToRegistry(engine, image);
  await engine.ask("image", "rm", plain);
  return digest;
}

/** Pushes an image and removes it locally, so that a deployment has to pull it; returns its digest in the registry. */
async function moveToRegistry(engine: DockerEngine, image: string): Promise<string> {
  await engine.ask("push", image);
  const pushed = await engine.ask("inspect", "--format", "{{index .RepoDigests 0}}", image);
  await engine.ask("image", "rm", image);
  return pushed.split("@")[1] ?? "";
}
