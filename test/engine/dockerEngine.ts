import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { randomInt } from "node:crypto";
import * as fs from "node:fs";
import * as os from "node:os";
import * as path from "node:path";

import { execute, type Finished } from "./workspace";

const SYSTEM_PATH = `${process.env.PATH ?? ""}:/usr/local/sbin:/usr/sbin:/sbin`;

const ip = (...words: string[]): number | null =>
  spawnSync("ip", words, { env: { PATH: SYSTEM_PATH } }).status;

/** Creates a network bridge and returns its name. With `docker0`, the first daemon to end would remove it. */
function makeBridge(): string {
  for (let attempt = 0; attempt < 20; attempt++) {
    const name = `xsched${randomInt(0x1000000).toString(16)}`;
    // 198.18.0.0/15 is for tests within one network (RFC 2544).
    const address = `198.${18 + randomInt(2)}.${randomInt(256)}.1/24`;
    if (ip("link", "add", name, "type", "bridge") !== 0) continue;
    if (ip("address", "add", address, "dev", name) === 0 && ip("link", "set", name, "up") === 0) return name;
    ip("link", "delete", name);
  }
  throw new Error("no network bridge can be made for dockerd");
}

/** Whether this machine has a program, even if only root's PATH finds it. */
export function hasProgram(name: string): boolean {
  return SYSTEM_PATH.split(":").some((folder) => fs.existsSync(path.join(folder, name)));
}

/** Files that only a test's daemons see instead of this machine's. */
export interface OwnNames {
  /** Replaces /etc/hosts. */
  readonly hosts: string;
  /** Replaces the system's trusted certificates. */
  readonly certificates: string;
}

/** The same process becomes the program, in its own mount namespace. */
const WITH_HOSTS = 'mount --bind "$1" /etc/hosts && shift && exec "$@"';

/**
 * Starts a daemon that `stopDaemon` ends; MOCHA_VERBOSE shows its output.
 *
 * @param environment more of its environment
 */
export function startDaemon(
  program: string,
  words: readonly string[],
  names?: OwnNames,
  environment: NodeJS.ProcessEnv = {},
): ChildProcess {
  const output = process.env.MOCHA_VERBOSE ? "inherit" : "ignore";
  const [first = "", ...others] = [
    ...(names ? ["unshare", "--mount", "sh", "-c", WITH_HOSTS, "sh", names.hosts] : []),
    ...[program, ...words],
  ];
  return spawn(first, others, {
    stdio: ["ignore", output, output],
    env: {
      ...process.env,
      PATH: SYSTEM_PATH,
      ...(names && { SSL_CERT_FILE: names.certificates }),
      ...environment,
    },
  });
}

export async function stopDaemon(daemon: ChildProcess): Promise<void> {
  if (daemon.exitCode !== null || daemon.signalCode !== null) return;
  const ended = new Promise((resolve) => daemon.once("exit", resolve));
  daemon.kill();
  await ended;
}

/** The user's Docker if it runs, otherwise our own, which leaves nothing behind. */
export class DockerEngine {
  private constructor(
    /** The environment of programs that use it. */
    public readonly environment: NodeJS.ProcessEnv,
    private readonly own?: { folder: string; daemon: ChildProcess; bridge: string },
  ) {}

  /** Whether this machine has a running Docker, which no test may restart. */
  public static get runs(): boolean {
    return spawnSync("docker", ["info"], { stdio: "ignore" }).status === 0;
  }

  /** What is missing on this machine. */
  public static get missing(): string | undefined {
    if (!hasProgram("docker")) return "Docker is not installed (Debian: docker.io)";
    if (DockerEngine.runs) return undefined;
    if (process.getuid?.() !== 0) return "Docker does not run, and only root can start it";
    if (!hasProgram("ip")) return "ip is not installed (Debian: iproute2)";
    return hasProgram("dockerd") ? undefined : "dockerd is not installed (Debian: docker.io)";
  }

  /** @param names for an engine of our own */
  public static async start(names?: OwnNames): Promise<DockerEngine> {
    if (DockerEngine.runs) return new DockerEngine({});
    const folder = fs.mkdtempSync(path.join(os.tmpdir(), "xsched-triton-docker-"));
    const bridge = makeBridge();
    fs.writeFileSync(path.join(folder, "daemon.json"), "{}\n");
    const socket = `unix://${folder}/docker.sock`;
    const words = [
      ...["--config-file", `${folder}/daemon.json`],
      ...["--data-root", `${folder}/data`],
      ...["--exec-root", `${folder}/exec`],
      ...["--pidfile", `${folder}/pid`],
      ...["--host", socket],
      ...["--bridge", bridge],
      // The proxy serves the published ports on the loopback interface; firewall rules would stay behind.
      ...["--iptables=false", "--ip6tables=false", "--ip-masq=false", "--ip-forward=false"],
    ];
    const daemon = startDaemon("dockerd", words, names);
    const engine = new DockerEngine({ DOCKER_HOST: socket }, { folder, daemon, bridge });
    for (let attempt = 0; attempt < 1200 && daemon.exitCode === null; attempt++) {
      if ((await engine.docker("version")).code === 0) return engine;
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
    await engine.stop();
    throw new Error("dockerd does not start; MOCHA_VERBOSE=1 shows why");
  }

  public docker(...words: string[]): Promise<Finished> {
    return execute("docker", words, os.tmpdir(), this.environment);
  }

  /** Runs docker, which must succeed, and returns its output. */
  public async ask(...words: string[]): Promise<string> {
    const { code, output } = await this.docker(...words);
    if (code !== 0) throw new Error(`docker ${words[0]}: ${output}`);
    return output.trim();
  }

  /** Ids of the containers of a host directory, running or not. */
  public async containersOf(directory: string): Promise<string[]> {
    const ids = await this.ask(
      "ps",
      "--all",
      "--quiet",
      "--filter",
      `label=xsched-triton.directory=${directory}`,
    );
    return ids.split("\n").filter((id) => id !== "");
  }

  public async stop(): Promise<void> {
    if (this.own === undefined) return;
    const { folder, daemon, bridge } = this.own;
    await stopDaemon(daemon);
    const mounts = fs
      .readFileSync("/proc/self/mounts", "utf8")
      .split("\n")
      .map((line) => line.split(" ")[1] ?? "");
    for (const mount of mounts.filter((point) => point.startsWith(`${folder}/`)).reverse()) {
      spawnSync("umount", [mount]);
    }
    fs.rmSync(folder, { recursive: true, force: true });
    ip("link", "delete", bridge);
  }
}
