import { execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import * as fs from "node:fs";
import * as os from "node:os";
import * as path from "node:path";

import { type DockerEngine, hasProgram } from "./dockerEngine";
import { Registry } from "./registry";

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
    private readonly registry: Registry,
    private readonly digests: Readonly<Record<Version, string>>,
  ) {}

  /** What this machine lacks. */
  public static get missing(): string | undefined {
    if (Registry.missing !== undefined) return Registry.missing;
    if (fs.existsSync(path.join(cacheFolder(), "digests.json"))) return undefined;
    if (process.getuid?.() !== 0) return "only root can make the stand-in image for the first time";
    return hasProgram("debootstrap") ? undefined : "debootstrap is not installed (Debian: debootstrap)";
  }

  public static async serve(engine: DockerEngine): Promise<StandInImages> {
    const folder = cacheFolder();
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

  public async stop(): Promise<void> {
    await this.registry.stop();
  }
}

function cacheFolder(): string {
  const digest = createHash("sha256").update(JSON.stringify([CONFIGURATION, VERSIONS]));
  for (const file of INGREDIENTS) digest.update(fs.readFileSync(path.join(PROJECT, file)));
  const cache = process.env.XDG_CACHE_HOME ?? path.join(os.homedir(), ".cache");
  return path.join(cache, "xsched-triton", "stand-in-image", digest.digest("hex").slice(0, 16));
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
