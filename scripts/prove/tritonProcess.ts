import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import * as fs from "node:fs";
import * as path from "node:path";

import { UserError } from "../triton/userError";

/** How a server is started, and how its results are called. */
export const SERVERS = {
  stock: "stock Triton",
  hooked: "the core and the hooks",
  patched: "the core and the patched TensorRT backend",
} as const;
export type ServerKind = keyof typeof SERVERS;

export interface Installation {
  /** The program tritonserver. */
  readonly program: string;
  /** Folder of its backends. */
  readonly backends: string;
  /** The TensorRT backend's library with our patch. */
  readonly patched?: string;
  /** Where the core and the hooks are installed. */
  readonly package: string;
  /** Finds ports of the loopback interface that nobody uses. */
  readonly freePorts: (count: number) => Promise<readonly number[]>;
}

/** What a process holds. What grows with each reload is a leak. */
export interface Holdings {
  readonly threads: number;
  readonly files: number;
  readonly memoryMb: number;
  /** Memory of the GPU that the process holds; NaN where nvidia-smi doesn't tell. */
  readonly gpuMemoryMb: number;
  /** Queues of the core; 0 in a stock server. */
  readonly queues: number;
}

const START_MS = 600_000;
const STOP_MS = 60_000;
const POLL_MS = 100;

/** A tritonserver that only this run uses. */
export class TritonProcess {
  private readonly ended: Promise<void>;

  private constructor(
    public readonly url: string,
    private readonly child: ChildProcess,
    private readonly log: string,
    /** Runs xsched-ctl; its output. Throws if it refuses. */
    public readonly control: (words: readonly string[]) => string,
  ) {
    this.ended = new Promise((resolve) => {
      child.once("close", () => {
        resolve();
      });
    });
  }

  /**
   * @param repository all of its models are loaded
   * @param folder of this server's log and sockets
   * @param interrupted ends the wait for it
   * @throws UserError with the end of the log, if the server doesn't serve
   */
  public static async start(
    kind: ServerKind,
    installed: Installation,
    repository: string,
    folder: string,
    interrupted: AbortSignal,
  ): Promise<TritonProcess> {
    interrupted.throwIfAborted();
    fs.mkdirSync(folder, { recursive: true });
    const log = path.join(folder, "triton.log");
    const [http, grpc, metrics] = await installed.freePorts(3);
    const output = fs.openSync(log, "a");
    const environment = environmentOf(kind, installed, folder);
    const child = spawn(
      installed.program,
      [
        `--model-repository=${repository}`,
        `--backend-directory=${backendsOf(kind, installed, folder)}`,
        "--model-control-mode=explicit",
        "--load-model=*",
        "--exit-timeout-secs=10",
        ...["--http-address=127.0.0.1", "--grpc-address=127.0.0.1", "--metrics-address=127.0.0.1"],
        ...[`--http-port=${http}`, `--grpc-port=${grpc}`, `--metrics-port=${metrics}`],
      ],
      { env: environment, stdio: ["ignore", output, output] },
    );
    fs.closeSync(output);
    const control = (words: readonly string[]): string => {
      const program = path.join(installed.package, "bin/xsched-ctl");
      const { status, stdout, stderr } = spawnSync(program, words, { env: environment, encoding: "utf8" });
      if (status !== 0) throw new Error(`xsched-ctl ${words.join(" ")}: ${stderr || stdout}`);
      return stdout;
    };
    const server = new TritonProcess(
      `http://127.0.0.1:${http}`,
      child,
      log,
      kind === "stock" ? () => '{"queues":[]}' : control,
    );
    try {
      await server.untilReady(interrupted);
    } catch (error) {
      await server.stop();
      throw error;
    }
    return server;
  }

  /**
   * The queues of the core as `name priority`, each as often as it exists. Those of the processes in which the Python
   * backend runs its models are among them.
   */
  public queues(): string[] {
    const { queues } = JSON.parse(this.control(["stats", "--json", "--all"])) as {
      queues: readonly { name: string; priority: number }[];
    };
    return queues.map(({ name, priority }) => `${name} ${priority}`).sort();
  }

  public holdings(): Holdings {
    const status = fs.readFileSync(`/proc/${this.child.pid}/status`, "utf8");
    const figure = (name: string): number =>
      Number(new RegExp(`^${name}:\\s*(\\d+)`, "m").exec(status)?.[1] ?? NaN);
    return {
      threads: figure("Threads"),
      files: fs.readdirSync(`/proc/${this.child.pid}/fd`).length,
      memoryMb: Math.round(figure("VmRSS") / 1024),
      gpuMemoryMb: gpuMemoryMb(),
      queues: this.queues().length,
    };
  }

  public get running(): boolean {
    return this.child.exitCode === null && this.child.signalCode === null;
  }

  /** Resolves when the process has ended. */
  public async stop(): Promise<void> {
    if (!this.running) return;
    this.child.kill("SIGTERM");
    const late = setTimeout(() => this.child.kill("SIGKILL"), STOP_MS);
    await this.ended;
    clearTimeout(late);
  }

  private async untilReady(interrupted: AbortSignal): Promise<void> {
    let failed: Error | undefined;
    this.child.once("error", (error) => {
      failed = error;
    });
    const until = Date.now() + START_MS;
    while (Date.now() < until) {
      interrupted.throwIfAborted();
      if (failed !== undefined || !this.running) break;
      const ready = await fetch(`${this.url}/v2/health/ready`).then(
        ({ status }) => status === 200,
        () => false,
      );
      if (ready) return;
      await pause(POLL_MS);
    }
    throw new UserError(
      `tritonserver does not serve: ${failed?.message ?? `its log ends with\n${end(this.log)}`}`,
      "the log says what it lacks; a library that is not found goes into LD_LIBRARY_PATH",
    );
  }
}

function environmentOf(kind: ServerKind, installed: Installation, folder: string): NodeJS.ProcessEnv {
  if (kind === "stock") return process.env;
  const path_ = process.env.LD_LIBRARY_PATH;
  const preload = process.env.LD_PRELOAD;
  const library = path.join(installed.package, "lib");
  const hooks = path.join(library, "libxsched_triton_hooks.so");
  return {
    ...process.env,
    LD_LIBRARY_PATH: path_ ? `${library}:${path_}` : library,
    XSCHED_POLICY: "HPF",
    XSCHED_REQUIRED: "ON",
    // As in the image: models of the Python backend work in processes of their own.
    XSCHED_SCHEDULER: process.env.XSCHED_SCHEDULER ?? "GLB",
    XSCHED_CONTROL_DIR: path.join(folder, "control"),
    ...(kind === "hooked" && {
      LD_PRELOAD: preload ? `${hooks}:${preload}` : hooks,
      XSCHED_AUTO_XQUEUE: "ON",
    }),
  };
}

/** The backends' folder; for the patched server, one of links in which only the TensorRT backend differs. */
function backendsOf(kind: ServerKind, { backends, patched }: Installation, folder: string): string {
  if (kind !== "patched" || patched === undefined) return backends;
  const links = path.join(folder, "backends");
  fs.rmSync(links, { recursive: true, force: true });
  fs.mkdirSync(path.join(links, "tensorrt"), { recursive: true });
  for (const name of fs.readdirSync(backends)) {
    if (name !== "tensorrt") fs.symlinkSync(path.join(backends, name), path.join(links, name));
  }
  fs.symlinkSync(patched, path.join(links, "tensorrt/libtriton_tensorrt.so"));
  return links;
}

/** Of all processes: the only one of which we know that it changes is ours. Only of the GPUs that it may use. */
function gpuMemoryMb(): number {
  const visible = process.env.CUDA_VISIBLE_DEVICES;
  const { status, stdout } = spawnSync(
    "nvidia-smi",
    ["--query-gpu=memory.used", "--format=csv,noheader,nounits", ...(visible ? [`--id=${visible}`] : [])],
    { encoding: "utf8" },
  );
  return status === 0 ? stdout.split("\n").reduce((sum, line) => sum + (Number(line) || 0), 0) : NaN;
}

function end(log: string): string {
  return fs.readFileSync(log, "utf8").trimEnd().split("\n").slice(-20).join("\n");
}

async function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
