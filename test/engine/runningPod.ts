import { type ChildProcess, spawn } from "node:child_process";
import * as fs from "node:fs";
import * as http from "node:http";
import * as path from "node:path";

import type { PodImage } from "./podImage";
import { type ConfigMap, type GivenFiles, PodVolumes, type Volume } from "./podVolumes";
import { execute, type Finished } from "./processes";

interface Probe {
  /** How often it fails, one time after the other, until what was ready is not. */
  readonly failureThreshold?: number;
  readonly httpGet?: { readonly path: string; readonly port: string };
  readonly exec?: { readonly command: readonly string[] };
}

interface Container {
  readonly name: string;
  readonly image: string;
  /** In place of the image's entrypoint. */
  readonly command?: readonly string[];
  readonly args?: readonly string[];
  readonly env?: readonly { readonly name: string; readonly value: string }[];
  readonly ports?: readonly { readonly name: string; readonly containerPort: number }[];
  readonly startupProbe?: Probe;
  readonly readinessProbe?: Probe;
  readonly lifecycle?: { readonly preStop: { readonly sleep: { readonly seconds: number } } };
  readonly resources: { readonly limits: Readonly<Record<string, string>> };
  readonly terminationMessagePath?: string;
  readonly volumeMounts: readonly {
    readonly name: string;
    readonly mountPath: string;
    readonly subPath?: string;
  }[];
}

export interface PodSpec {
  readonly nodeName?: string;
  /** Otherwise containers are started again. */
  readonly restartPolicy?: "Never" | "Always";
  readonly serviceAccountName: string;
  readonly terminationGracePeriodSeconds: number;
  readonly containers: readonly Container[];
  readonly volumes: readonly Volume[];
}

/** Becomes a program whose processes end with it, and are of the test's session all the same. */
const IN_A_GROUP = "import os, sys; os.setpgid(0, 0); os.execvp(sys.argv[1], sys.argv[1:])";

/**
 * Milliseconds between two probes that are programs, and once their container is ready: to start one costs this process
 * more than to look at everything else. A cluster leaves ten seconds.
 */
const EXEC_PERIOD = 500;
const EXEC_PERIOD_ONCE_READY = 2500;

const pause = (milliseconds: number): Promise<void> =>
  new Promise((resolve) => setTimeout(resolve, milliseconds));

/** Addresses of pods may not be loopback ones, but nobody here leaves the loopback interface. */
export function loopbackOf(ip: string): string {
  return ip.replace(/^10\./, "127.");
}

/** How a container has ended that was not told to. */
interface Terminated {
  readonly exitCode: number;
  readonly reason: string;
  readonly message?: string;
  readonly finishedAt: string;
}

/** Milliseconds until a container that has ended is started again, the first time; then twice as long, up to the most. */
const BACK_OFF = 250;
const MOST_BACK_OFF = 2000;

/** What a pod has of its cluster. */
export interface Surroundings {
  readonly image: PodImage;
  /** Triton's gRPC keeps its port from pods at other addresses; nobody here asks over gRPC. */
  readonly grpcPort: number;
  /** Where the API server is. */
  readonly cluster: Readonly<Record<string, string>>;
}

/** A container that runs here, as processes without a root, a network and a user of their own. */
class RunningContainer {
  public ready = false;
  public restarts = 0;
  /** How it has ended last, if it has. */
  public terminated: Terminated | undefined;
  /** What it printed before that. */
  public formerLog: string | undefined;
  private child: ChildProcess;
  private readonly root: string;
  private readonly env: NodeJS.ProcessEnv;
  private readonly words: readonly string[];
  private readonly image: PodImage;
  private said = "";
  private probed = 0;
  private failures = 0;
  private stopping = false;
  private startAt: number | undefined;

  public constructor(
    public readonly spec: Container,
    private readonly ip: string,
    folder: string,
    volumes: PodVolumes,
    private readonly surroundings: Surroundings,
    /** What the names of Triton's shared memory begin with. */
    private readonly sharedMemory: string,
    /** Whether it is started once. */
    private readonly once: boolean,
  ) {
    const { image, cluster } = surroundings;
    this.image = image;
    this.root = path.join(folder, spec.name);
    // What is mounted inside another mount comes after it.
    const mounts = [...spec.volumeMounts].sort((a, b) => a.mountPath.length - b.mountPath.length);
    for (const { name, mountPath, subPath = "" } of mounts) {
      const place = path.join(this.root, mountPath);
      fs.mkdirSync(path.dirname(place), { recursive: true });
      // Over what is there, as in a container.
      fs.rmSync(place, { force: true });
      fs.symlinkSync(path.join(volumes.place(name), subPath), place);
    }
    this.env = {
      PATH: `${image.tools}:${image.triton}/tritonserver/bin:${image.triton}/python/bin:/usr/bin:/bin`,
      HOME: folder,
      LANG: "C.UTF-8",
      PYTHONNOUSERSITE: "1",
      PYTHONDONTWRITEBYTECODE: "1",
      XSCHED_TRITON_VARIANT: "hooked",
      ...(spec.resources.limits["nvidia.com/gpu"] !== undefined && {
        XSCHED_CUDA_LIB: image.driver,
        // Triton itself leaves the driver alone.
        SIMULATED_VERSION: "10000",
      }),
      // The pods of a node have no /dev/shm and /tmp in common.
      XSCHED_DOMAIN_DIR: path.join(folder, "domain"),
      XSCHED_TRITON_STATE: path.join(folder, "state"),
      XSCHED_CONTROL_DIR: path.join(folder, "control"),
      ...cluster,
      ...Object.fromEntries((spec.env ?? []).map(({ name, value }) => [name, this.inside(value)])),
    };
    const entrypoint = ["/bin/bash", path.join(image.xsched, "bin/entrypoint.sh")];
    this.words = [...(spec.command ?? entrypoint), ...this.args()].map((word) => this.inside(word));
    this.child = this.start();
  }

  /** The end of what it has printed since it was started. */
  public get log(): string {
    return this.said;
  }

  public get ended(): boolean {
    return this.child.exitCode !== null || this.child.signalCode !== null;
  }

  /** As the status of a pod has it. */
  public get status(): object {
    const { name, image } = this.spec;
    const { terminated } = this;
    const waiting = { reason: "CrashLoopBackOff", message: "back-off restarting failed container" };
    const known = {
      ...{ name, image, imageID: image, ready: this.ready, started: this.ready, restartCount: this.restarts },
    };
    if (this.once && terminated !== undefined) return { ...known, state: { terminated } };
    return {
      ...known,
      state: this.ended ? { waiting } : { running: {} },
      ...(terminated !== undefined && { lastState: { terminated } }),
    };
  }

  /** Starts it again, if it has ended and has waited long enough. */
  public tend(): void {
    if (this.once || this.startAt === undefined || Date.now() < this.startAt || this.stopping) return;
    this.startAt = undefined;
    this.formerLog = this.said;
    this.said = "";
    this.restarts += 1;
    this.child = this.start();
  }

  /** Runs a program in the container, to its end. */
  public run(words: readonly string[]): Promise<Finished> {
    const [program = "", ...others] = words.map((word) => this.inside(word));
    return execute("env", ["-i", ...this.variables(), program, ...others], "/");
  }

  /** Asks what the pod says that a kubelet should ask. */
  public async probe(): Promise<boolean> {
    if (this.ended) return false;
    const { startupProbe, readinessProbe } = this.spec;
    const { httpGet, exec } = (this.ready ? readinessProbe : (startupProbe ?? readinessProbe)) ?? {};
    if (httpGet !== undefined) return this.answers(httpGet.path, httpGet.port);
    if (exec === undefined) return true;
    const period = this.ready ? EXEC_PERIOD_ONCE_READY : EXEC_PERIOD;
    if (Date.now() - this.probed < period) return this.ready;
    const { code } = await this.run(exec.command);
    this.probed = Date.now();
    return code === 0;
  }

  /** Takes what a probe has found. */
  public note(succeeded: boolean): void {
    this.failures = succeeded ? 0 : this.failures + 1;
    const most = this.spec.readinessProbe?.failureThreshold ?? 3;
    this.ready = !this.ended && (succeeded || (this.ready && this.failures < most));
  }

  public async end(drainLimit: number): Promise<void> {
    this.stopping = true;
    const drain = this.spec.lifecycle?.preStop.sleep.seconds ?? 0;
    const killed = setTimeout(() => void this.kill("SIGKILL"), drainLimit * 1000);
    await pause(drain * 1000);
    await this.kill("SIGTERM");
    clearTimeout(killed);
  }

  /** @param again whether it is started again, as one that has ended by itself */
  public async kill(signal: NodeJS.Signals, again = false): Promise<void> {
    const { pid } = this.child;
    this.stopping ||= !again;
    if (pid === undefined) return;
    if (!this.ended) {
      const ended = new Promise((resolve) => this.child.once("exit", resolve));
      if (signal === "SIGKILL") process.kill(-pid, signal);
      else this.child.kill(signal);
      await ended;
    }
    try {
      // What the first process of a container leaves ends with it.
      process.kill(-pid, "SIGKILL");
    } catch {
      // It left nothing.
    }
  }

  private start(): ChildProcess {
    const child = spawn("python3", ["-ISc", IN_A_GROUP, ...this.words], {
      stdio: ["ignore", "pipe", "pipe"],
      env: this.env,
    });
    for (const stream of [child.stdout, child.stderr]) {
      stream.setEncoding("utf8").on("data", (text: string) => {
        this.said = (this.said + text).slice(-20_000);
        if (process.env.MOCHA_VERBOSE) process.stderr.write(text);
      });
    }
    child.once("exit", (code) => {
      this.ready = false;
      this.startAt = Date.now() + Math.min(MOST_BACK_OFF, BACK_OFF * 2 ** this.restarts);
      const finishedAt = new Date().toISOString().replace(/\.\d+Z$/, "Z");
      const message = code === 0 ? undefined : this.lastWords();
      const reason = code === 0 ? "Completed" : "Error";
      this.terminated = {
        exitCode: code ?? 137,
        reason,
        finishedAt,
        ...(message !== undefined && { message }),
      };
    });
    return child;
  }

  /** What it has written where its spec says that it would. */
  private lastWords(): string | undefined {
    const { terminationMessagePath } = this.spec;
    if (terminationMessagePath === undefined) return undefined;
    const file = this.inside(terminationMessagePath);
    return fs.existsSync(file) ? fs.readFileSync(file, "utf8").slice(0, 4096) : undefined;
  }

  /** Leaves its processes silent: nothing of them answers or ends any more. */
  public freeze(): void {
    const { pid } = this.child;
    this.stopping = true;
    if (pid !== undefined && !this.ended) process.kill(-pid, "SIGSTOP");
  }

  private variables(): string[] {
    return Object.entries(this.env).map(([name, value]) => `${name}=${value ?? ""}`);
  }

  /** What a network of its own and the image would do. */
  private args(): readonly string[] {
    const { args = [] } = this.spec;
    if (args[0] !== "tritonserver") return args;
    const triton = path.join(this.image.triton, "tritonserver");
    return [
      ...args.map((word) =>
        word
          .replace(/^--(http|grpc)-address=0\.0\.0\.0$/, `--$1-address=${loopbackOf(this.ip)}`)
          .replace(/^--grpc-port=\d+$/, `--grpc-port=${this.surroundings.grpcPort}`),
      ),
      `--metrics-address=${loopbackOf(this.ip)}`,
      `--backend-directory=${triton}/backends`,
      `--backend-config=python,shm-region-prefix-name=${this.sharedMemory}`,
    ];
  }

  /** What a network and a root of its own would do: addresses, paths of volumes and of the image are others. */
  private inside(word: string): string {
    return word
      .replace(/^0\.0\.0\.0:/, `${loopbackOf(this.ip)}:`)
      .replace(/(^|=)\/opt\/xsched\//, `$1${this.image.xsched}/`)
      .replace(/(^|=)(?=\/(models|xsched-triton|var\/run\/secrets)(\/|$))/, `$1${this.root}`);
  }

  private answers(place: string, portName: string): Promise<boolean> {
    const port = this.spec.ports?.find(({ name }) => name === portName)?.containerPort;
    return new Promise((resolve) => {
      // As a kubelet, on a connection of its own: a kept one may be closed by the server as the request is sent.
      const to = { host: loopbackOf(this.ip), port, path: place, agent: false, timeout: 60_000 };
      const request = http.get(to);
      request.on("response", (response) => {
        response.resume();
        resolve(response.statusCode === 200);
      });
      request.on("timeout", () => request.destroy());
      request.on("error", () => {
        resolve(false);
      });
    });
  }
}

/** A pod that runs here. */
export class RunningPod {
  public readonly containers: readonly RunningContainer[];
  private readonly volumes: PodVolumes;

  /**
   * @param given files of volumes that are no ConfigMaps', by the volumes' names
   * @throws Error if a ConfigMap of a volume is not there
   */
  public constructor(
    public readonly name: string,
    public readonly namespace: string,
    public readonly ip: string,
    public readonly node: string,
    private readonly spec: PodSpec,
    private readonly folder: string,
    surroundings: Surroundings,
    configMaps: ReadonlyMap<string, ConfigMap>,
    given: GivenFiles,
  ) {
    this.volumes = new PodVolumes(path.join(folder, "volumes"), spec.volumes, given);
    this.volumes.lay(configMaps);
    this.containers = spec.containers.map(
      (container) =>
        new RunningContainer(
          ...([container, ip, folder, this.volumes, surroundings, this.sharedMemory] as const),
          spec.restartPolicy === "Never",
        ),
    );
  }

  public get ready(): boolean {
    return this.containers.every(({ ready }) => ready);
  }

  /** How it has ended, if its containers are not started again: Kubernetes' name of the phase. */
  public get ended(): "Succeeded" | "Failed" | undefined {
    if (this.spec.restartPolicy !== "Never" || !this.containers.every(({ ended }) => ended)) return undefined;
    return this.containers.every(({ terminated }) => terminated?.exitCode === 0) ? "Succeeded" : "Failed";
  }

  /** The end of what a container printed that has ended, and must not. */
  public get failure(): string | undefined {
    if (this.spec.restartPolicy === "Never") return undefined;
    const ended = this.containers.find((container) => container.ended);
    return ended && `${ended.spec.name}: ${ended.log.slice(-2000)}`;
  }

  public container(name: string): RunningContainer {
    const found = this.containers.find(({ spec }) => spec.name === name);
    if (found === undefined) throw new Error(`the pod has no container ${name}`);
    return found;
  }

  /** Brings a change of ConfigMaps into the volumes. */
  public refresh(configMaps: ReadonlyMap<string, ConfigMap>): void {
    try {
      this.volumes.lay(configMaps);
    } catch {
      // As a kubelet does: what is there stays.
    }
  }

  /** Starts containers again that have ended, and asks all whether they are ready. */
  public async look(): Promise<void> {
    for (const container of this.containers) {
      container.tend();
      container.note(await container.probe());
    }
  }

  /** Ends the pod as it says that it is to be ended. */
  public async end(): Promise<void> {
    await Promise.all(
      this.containers.map((container) => container.end(this.spec.terminationGracePeriodSeconds)),
    );
    this.clean();
  }

  /** As seen by others, what happens to a pod whose node loses its power. */
  public freeze(): void {
    for (const container of this.containers) container.freeze();
  }

  /** Puts something else in the place of a model's file, in this pod alone. */
  public spoil(model: string, file: string, text: string): void {
    const place = path.join(this.folder, "triton/models", model, file);
    const target = fs.realpathSync(place);
    fs.chmodSync(target, 0o644);
    fs.writeFileSync(target, text);
  }

  public async kill(): Promise<void> {
    await Promise.all(this.containers.map((container) => container.kill("SIGKILL")));
    this.clean();
  }

  /** What the names of its shared memory begin with. */
  private get sharedMemory(): string {
    return `${path.basename(path.dirname(this.folder))}-${path.basename(this.folder)}-`;
  }

  private clean(): void {
    for (const name of fs.readdirSync("/dev/shm")) {
      if (name.startsWith(this.sharedMemory)) fs.rmSync(path.join("/dev/shm", name), { force: true });
    }
    fs.rmSync(this.folder, { recursive: true, force: true });
  }
}
