import { type ChildProcess } from "node:child_process";
import * as fs from "node:fs";
import * as os from "node:os";
import * as path from "node:path";

import { hasProgram, startDaemon, stopDaemon } from "./dockerEngine";
import { freePorts } from "./ports";

/** bcrypt of PASSWORD. */
const HASH = "$2b$04$la/0H6vFsxoGlmU3Va8Wce7YDvnypo50CAr1W1myVy6/sN10GubHW";

/** Debian's `docker-registry` on the loopback interface. */
export class Registry {
  private constructor(
    public readonly port: number,
    private readonly daemon: ChildProcess,
    private readonly temporary: string | undefined,
  ) {}

  /** The credentials of a registry that requires a login. */
  public static readonly login = { username: "deployer", password: "of the test" };

  public static get missing(): string | undefined {
    return hasProgram("docker-registry")
      ? undefined
      : "docker-registry is not installed (Debian: docker-registry)";
  }

  /** A registry without a login that keeps its images in a folder. */
  public static open(folder: string): Promise<Registry> {
    return Registry.start(folder);
  }

  /** An empty registry that requires a login. */
  public static withLogin(): Promise<Registry> {
    const folder = fs.mkdtempSync(path.join(os.tmpdir(), "xsched-triton-registry-"));
    const passwords = path.join(folder, "htpasswd");
    fs.writeFileSync(passwords, `${Registry.login.username}:${HASH}\n`);
    return Registry.start(folder, passwords);
  }

  private static async start(folder: string, passwords?: string): Promise<Registry> {
    const [port = 0] = await freePorts(1);
    const configuration = path.join(folder, "registry.yml");
    const settings = {
      version: 0.1,
      log: { level: "warn" },
      storage: { filesystem: { rootdirectory: path.join(folder, "registry") } },
      http: { addr: `127.0.0.1:${port}` },
      ...(passwords && { auth: { htpasswd: { realm: "test", path: passwords } } }),
    };
    fs.writeFileSync(configuration, JSON.stringify(settings));
    const daemon = startDaemon("docker-registry", ["serve", configuration]);
    for (let attempt = 0; attempt < 1200 && daemon.exitCode === null; attempt++) {
      const answer = await fetch(`http://127.0.0.1:${port}/v2/`).catch(() => undefined);
      if (answer) return new Registry(port, daemon, passwords && folder);
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
    await stopDaemon(daemon);
    throw new Error("docker-registry does not start; MOCHA_VERBOSE=1 shows why");
  }

  public get address(): string {
    return `127.0.0.1:${this.port}`;
  }

  /** Its answer to a client that is logged in. */
  public async ask(place: string): Promise<unknown> {
    const { username, password } = Registry.login;
    const authorization = `Basic ${Buffer.from(`${username}:${password}`).toString("base64")}`;
    const accept = "application/vnd.oci.image.index.v1+json, application/vnd.oci.image.manifest.v1+json, */*";
    const answer = await fetch(`http://${this.address}/v2/${place}`, { headers: { accept, authorization } });
    return answer.json();
  }

  public async stop(): Promise<void> {
    await stopDaemon(this.daemon);
    if (this.temporary !== undefined) fs.rmSync(this.temporary, { recursive: true, force: true });
  }
}
