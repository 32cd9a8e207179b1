import { type ChildProcess, execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import * as fs from "node:fs";
import * as os from "node:os";
import * as path from "node:path";

import { type DockerEngine, hasProgram, startDaemon, stopDaemon } from "./dockerEngine";
import { freePorts } from "./ports";

const PROJECT = path.resolve(__dirname, "../..");
const MAKE_ROOT = "test/fixtures/standInImage/make-root.sh";
const INGREDIENTS = [
  MAKE_ROOT,
  "components/host/scripts/host-directory.sh",
  "components/server/scripts/host-python.sh",
  "components/server/scripts/install-triton.sh",
  "components/server/triton-requirements.txt",
];

const REPOSITORY = "xsched-triton/stand-in";
const SYSTEM_FOLDERS = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
/** As in NVIDIA's image, where tritonserver and its Python are found without a path. */
const CONFIGURATION = [
  `ENV PATH=/opt/triton/runtime/current/python/bin:/opt/tritonserver/bin:${SYSTEM_FOLDERS}`,
  "WORKDIR /opt/tritonserver",
];
/** Two images that differ in a label only. */
const VERSIONS = ["1", "2"] as const;

type Version = (typeof VERSIONS)[number];

/**
 * A registry on the loopback interface with images that stand in for NVIDIA's. They are made once and kept in the
 * user's cache, as the registry stores them; delete the folder to have them made again.
 */
export class StandInImages {
  private constructor(
    private readonly port: number,
    private readonly daemon: ChildProcess,
    private readonly digests: Readonly<Record<Version, string>>,
  ) {}

  /** What this machine lacks. */
  public static get missing(): string | undefined {
    if (!hasProgram("docker-registry")) return "docker-registry is not installed (Debian: docker-registry)";
    if (fs.existsSync(path.join(cacheFolder(), "digests.json"))) return undefined;
    if (process.getuid?.() !== 0) return "only root can make the stand-in image for the first time";
    return hasProgram("debootstrap") ? undefined : "debootstrap is not installed (Debian: debootstrap)";
  }

  public static async serve(engine: DockerEngine): Promise<StandInImages> {
    const folder = cacheFolder();
    const record = path.join(folder, "digests.json");
    const [port = 0] = await freePorts(1);
    const made = fs.existsSync(record);
    if (!made) {
      fs.rmSync(path.dirname(folder), { recursive: true, force: true });
      fs.mkdirSync(folder, { recursive: true });
    }
    const daemon = await startRegistry(folder, port);
    try {
      if (!made) {
        const digests = await makeImages(engine, `127.0.0.1:${port}/${REPOSITORY}`);
        fs.writeFileSync(record, JSON.stringify(digests));
      }
      const digests = JSON.parse(fs.readFileSync(record, "utf8")) as Record<Version, string>;
      return new StandInImages(port, daemon, digests);
    } catch (error) {
      await stopDaemon(daemon);
      throw error;
    }
  }

  public get repository(): string {
    return `127.0.0.1:${this.port}/${REPOSITORY}`;
  }

  /** The image as `repository@sha256:…`. */
  public image(version: Version): string {
    return `${this.repository}@${this.digests[version]}`;
  }

  public async stop(): Promise<void> {
    await stopDaemon(this.daemon);
  }
}

function cacheFolder(): string {
  const digest = createHash("sha256").update(JSON.stringify([CONFIGURATION, VERSIONS]));
  for (const file of INGREDIENTS) digest.update(fs.readFileSync(path.join(PROJECT, file)));
  const cache = process.env.XDG_CACHE_HOME ?? path.join(os.homedir(), ".cache");
  return path.join(cache, "xsched-triton", "stand-in-image", digest.digest("hex").slice(0, 16));
}

async function startRegistry(folder: string, port: number): Promise<ChildProcess> {
  const configuration = path.join(folder, "registry.yml");
  const settings = {
    version: 0.1,
    log: { level: "warn" },
    storage: { filesystem: { rootdirectory: path.join(folder, "registry") } },
    http: { addr: `127.0.0.1:${port}` },
  };
  fs.writeFileSync(configuration, JSON.stringify(settings));
  const daemon = startDaemon("docker-registry", ["serve", configuration]);
  for (let attempt = 0; attempt < 100 && daemon.exitCode === null; attempt++) {
    const answer = await fetch(`http://127.0.0.1:${port}/v2/`).catch(() => undefined);
    if (answer?.ok) return daemon;
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
  await stopDaemon(daemon);
  throw new Error("docker-registry does not start; MOCHA_VERBOSE=1 shows why");
}

/** Makes the images, pushes them and forgets them; gives their digests in the registry. */
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
      await engine.ask("push", image);
      const pushed = await engine.ask("inspect", "--format", "{{index .RepoDigests 0}}", image);
      digests[version] = pushed.split("@")[1] ?? "";
      // Whoever deploys it is to pull it.
      await engine.ask("image", "rm", image);
    }
    return digests as Record<Version, string>;
  } finally {
    fs.rmSync(folder, { recursive: true });
  }
}
