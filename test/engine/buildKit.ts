import { type ChildProcess, spawnSync } from "node:child_process";
import * as fs from "node:fs";
import * as os from "node:os";
import * as path from "node:path";

import { hasProgram, type OwnNames, startDaemon, stopDaemon } from "./dockerEngine";

const BUILDER = "xsched-triton-test";

/**
 * Our own BuildKit. Docker's build provider uses it instead of starting a container from an image on Docker Hub. It
 * leaves nothing behind.
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

  /** @param megabytes how much it may store; if undefined, as much as there is */
  public static async start(megabytes?: number, names?: OwnNames): Promise<BuildKit> {
    const folder = fs.mkdtempSync(path.join(os.tmpdir(), "xsched-triton-buildkit-"));
    const root = path.join(folder, "root");
    fs.mkdirSync(root);
    if (megabytes !== undefined) {
      const { status } = spawnSync("mount", ["-t", "tmpfs", "-o", `size=${megabytes}m`, "tmpfs", root]);
      if (status !== 0) throw new Error("cannot mount a small disk");
    }
    fs.writeFileSync(path.join(folder, "buildkitd.toml"), "");
    const socket = path.join(folder, "buildkitd.sock");
    const words = [
      ...["--config", path.join(folder, "buildkitd.toml")],
      ...["--root", root],
      ...["--addr", `unix://${socket}`],
      ...["--otel-socket-path", path.join(folder, "otel.sock")],
      ...["--containerd-worker=false", "--oci-worker=true", "--oci-worker-net=host"],
    ];
    const daemon = startDaemon("buildkitd", words, names);
    const kit = new BuildKit(folder, daemon, megabytes !== undefined);
    kit.describe(socket);
    for (let attempt = 0; attempt < 300 && daemon.exitCode === null; attempt++) {
      if (fs.existsSync(socket)) return kit;
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
    await kit.stop();
    throw new Error("buildkitd does not start; MOCHA_VERBOSE=1 shows why");
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
