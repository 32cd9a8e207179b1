import { type ChildProcess, execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import * as fs from "node:fs";
import * as net from "node:net";
import * as os from "node:os";
import * as path from "node:path";

import { until } from "../until";
import { freePorts } from "./ports";

const SSHD = ["/usr/sbin/sshd", "/usr/local/sbin/sshd"].find((file) => fs.existsSync(file));

function spawnDaemon(folder: string): ChildProcess {
  if (SSHD === undefined) throw new Error("no sshd");
  return spawn(SSHD, ["-D", "-e", "-f", path.join(folder, "sshd_config")], {
    stdio: ["ignore", "ignore", process.env.MOCHA_VERBOSE ? "inherit" : "ignore"],
  });
}

/** A real sshd on the loopback interface, with keys generated for it. */
export class SshServer {
  /** Whether this machine has an sshd to start. */
  public static readonly available = SSHD !== undefined;

  private constructor(
    private readonly folder: string,
    private daemon: ChildProcess,
    public readonly port: number,
  ) {}

  public static async start(): Promise<SshServer> {
    if (SSHD === undefined) throw new Error("no sshd");
    const folder = fs.mkdtempSync(path.join(os.tmpdir(), "xsched-triton-sshd-"));
    for (const key of ["host", "other", "user"]) {
      execFileSync("ssh-keygen", ["-q", "-t", "ed25519", "-N", "", "-C", "", "-f", path.join(folder, key)]);
    }
    fs.copyFileSync(path.join(folder, "user.pub"), path.join(folder, "authorized_keys"));
    const [port = 0] = await freePorts(1);
    const configuration = [
      `Port ${port}`,
      "ListenAddress 127.0.0.1",
      `HostKey ${folder}/host`,
      `AuthorizedKeysFile ${folder}/authorized_keys`,
      `PidFile ${folder}/pid`,
      "StrictModes no",
      "UsePAM no",
      // With a level of shells, Bash does not read this machine's ~/.bashrc in each login, which may take longer than the
      // command and put other programs first on PATH.
      `SetEnv SHLVL=1 XSCHED_TRITON_SYSTEMD=${process.env.XSCHED_TRITON_SYSTEMD ?? ""}`,
      "PasswordAuthentication no",
      "PermitRootLogin prohibit-password",
      // On a busy machine, logins take long, and more of them at a time would be refused at random.
      "MaxStartups 100",
      "Subsystem sftp internal-sftp",
    ];
    fs.writeFileSync(path.join(folder, "sshd_config"), configuration.join("\n") + "\n");
    // Debian's sshd requires its privilege-separation folder, which its service would create.
    if (process.getuid?.() === 0) fs.mkdirSync("/run/sshd", { recursive: true });
    const server = new SshServer(folder, spawnDaemon(folder), port);
    await server.untilItListens();
    return server;
  }

  public get user(): string {
    return os.userInfo().username;
  }

  public get privateKey(): string {
    return fs.readFileSync(path.join(this.folder, "user"), "utf8");
  }

  public get hostKey(): string {
    return fs.readFileSync(path.join(this.folder, "host.pub"), "utf8").trim();
  }

  /** A well-formed key that is not this server's. */
  public get otherHostKey(): string {
    return fs.readFileSync(path.join(this.folder, "other.pub"), "utf8").trim();
  }

  /** Nothing answers on the port any more, as if the machine were off. */
  public async turnOff(): Promise<void> {
    if (this.daemon.exitCode !== null || this.daemon.signalCode !== null) return;
    const ended = once(this.daemon, "exit");
    this.daemon.kill();
    await ended;
  }

  public async turnOn(): Promise<void> {
    this.daemon = spawnDaemon(this.folder);
    await this.untilItListens();
  }

  /** The machine answers, and takes the user's key no more. */
  public lockOut(): void {
    fs.renameSync(path.join(this.folder, "authorized_keys"), path.join(this.folder, "taken_away"));
  }

  public letIn(): void {
    fs.renameSync(path.join(this.folder, "taken_away"), path.join(this.folder, "authorized_keys"));
  }

  /** The user's key may run one command alone; undefined lets it run any. */
  public force(command: string | undefined): void {
    const restriction = command === undefined ? "" : `command="${command}",restrict `;
    const key = fs.readFileSync(path.join(this.folder, "user.pub"), "utf8");
    fs.writeFileSync(path.join(this.folder, "authorized_keys"), restriction + key);
  }

  public stop(): void {
    this.daemon.kill();
    fs.rmSync(this.folder, { recursive: true });
  }

  private async untilItListens(): Promise<void> {
    const listens = (): Promise<boolean> =>
      new Promise((resolve) => {
        const socket = net.connect(this.port, "127.0.0.1", () => {
          socket.destroy();
          resolve(true);
        });
        socket.once("error", () => {
          resolve(false);
        });
      });
    await until("sshd listens", () => {
      if (this.daemon.exitCode !== null) throw new Error("sshd does not start; MOCHA_VERBOSE=1 shows why");
      return listens();
    });
  }
}
