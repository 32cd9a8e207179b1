import { type ChildProcess, spawnSync } from "node:child_process";
import * as fs from "node:fs";
import * as os from "node:os";
import * as path from "node:path";

import { userCache } from "../userCache";
import { hasProgram, type OwnNames, startDaemon, stopDaemon } from "./dockerEngine";

const BUILDER = "xsched-triton-test";

/** How much of the user's cache layers may take; BuildKit then removes those unused for longest. */
const MOST_IN_CACHE = "8GB";

interface Options {
  /**
   * Where layers are kept. `user`: in the user's cache, so that a layer is built by the first test that needs it and by
   * no later one, of this run or the next. A BuildKit that finds them in use by another one has a disk of its own.
   * `own`, as if nothing had ever been built on this machine. A number: on a disk of its own of so many megabytes.
   */
  readonly disk: "user" | "own" | number;
  readonly names?: OwnNames;
}

/**
 * Our own BuildKit. Docker's build provider uses it instead of starting a container from an image on Docker Hub. It
 * leaves nothing behind but layers in the user's cache.
 */
export class BuildKit {
  private constructor(
    private readonly folder: string,
    private readonly daemon: ChildProcess,
    private readonly mounted: boolean,
  ) {}

  /** What is missing on this machine. */
  public static get missing(): string | undefined {
    if (!hasProgram("buildkitd")) return "buildkitd is not installed (`npm test` builds it with Go)";
    if (!hasProgram("runc")) return "runc is not installed (Debian: runc)";
    return process.getuid?.() === 0 ? undefined : "only root can start buildkitd";
  }

  public static async start({ disk, names }: Options): Promise<BuildKit> {
    const kit =
      (disk === "user" ? await BuildKit.startOn(disk, names) : undefined) ??
      (await BuildKit.startOn(disk === "user" ? "own" : disk, names));
    if (kit === undefined) throw new Error("buildkitd does not start; MOCHA_VERBOSE=1 shows why");
    return kit;
  }

  /** Undefined if it ends at once. It locks its folder of layers, and reads those that another version has written. */
  private static async startOn(disk: Options["disk"], names?: OwnNames): Promise<BuildKit | undefined> {
    const folder = fs.mkdtempSync(path.join(os.tmpdir(), "xsched-triton-buildkit-"));
    const root = disk === "user" ? userCache("buildkit") : path.join(folder, "root");
    fs.mkdirSync(root, { recursive: true });
    const isSmall = typeof disk === "number";
    if (isSmall) {
      const { status } = spawnSync("mount", ["-t", "tmpfs", "-o", `size=${disk}m`, "tmpfs", root]);
      if (status !== 0) throw new Error("cannot mount a small disk");
    }
    fs.writeFileSync(
      path.join(folder, "buildkitd.toml"),
      `[worker.oci]\nenabled = true\ngc = true\nmaxUsedSpace = "${MOST_IN_CACHE}"\n`,
    );
    const socket = path.join(folder, "buildkitd.sock");
    const words = [
      ...["--config", path.join(folder, "buildkitd.toml")],
      ...["--root", root],
      ...["--addr", `unix://${socket}`],
      ...["--otel-socket-path", path.join(folder, "otel.sock")],
      ...["--containerd-worker=false", "--oci-worker=true", "--oci-worker-net=host"],
    ];
    const daemon = startDaemon("buildkitd", words, names);
    const kit = new BuildKit(folder, daemon, isSmall);
    kit.describe(socket);
    for (let attempt = 0; attempt < 1200 && daemon.exitCode === null; attempt++) {
      if (fs.existsSync(socket)) return kit;
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
    await kit.stop();
    return undefined;
  }

  /** The environment of programs that build with it. */
  public get environment(): NodeJS.ProcessEnv {
    return { BUILDX_CONFIG: path.join(this.folder, "buildx") };
  }

  /** Writes what `docker buildx create --use` would. */
  private describe(socket: string): void {
    const write = (file: string, text: object): void => {
      const place = path.join(this.folder, "buildx", file);
      fs.mkdirSync(path.dirname(place), { recursive: true });
      fs.writeFileSync(place, JSON.stringify(text));
    };
    write(`instances/${BUILDER}`, {
      Name: BUILDER,
      Driver: "remote",
      Nodes: [{ Name: `${BUILDER}0`, Endpoint: `unix://${socket}` }],
      Dynamic: false,
    });
    write("current", { Key: "", Name: BUILDER, Global: true });
  }

  public async stop(): Promise<void> {
    await stopDaemon(this.daemon);
    if (this.mounted) spawnSync("umount", ["--lazy", path.join(this.folder, "root")]);
    fs.rmSync(this.folder, { recursive: true, force: true });
  }
}
