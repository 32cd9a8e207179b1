import assert from "node:assert/strict";
import { type ChildProcess, spawn } from "node:child_process";
import * as fs from "node:fs";
import * as os from "node:os";
import * as path from "node:path";

const CONCERNS = ["host", "models", "server"];

export interface Result {
  readonly status: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** A systemd that records its calls, and believes that everything it started runs. */
const SYSTEMCTL = `#!/bin/bash
echo "$*" >>"$MACHINE/systemctl"
unit=\${@: -1}
case $1 in
  is-active) [ -e "$MACHINE/active-$unit" ] ;;
  restart) touch "$MACHINE/active-$unit" ;;
  disable) rm -f "$MACHINE/active-$unit" ;;
esac
`;

/** A host directory with the scripts, and stand-ins for programs that change the machine. */
export class Machine {
  public readonly folder = fs.realpathSync(fs.mkdtempSync(path.join(os.tmpdir(), "xsched-machine-")));
  /** Spaces, because users have them. */
  public readonly directory = path.join(this.folder, "the host");
  public environment: NodeJS.ProcessEnv;

  public constructor() {
    for (const name of ["programs", "units"]) fs.mkdirSync(path.join(this.folder, name));
    fs.mkdirSync(path.join(this.directory, "bin"), { recursive: true });
    for (const concern of CONCERNS) {
      const scripts = path.resolve(__dirname, "../../../components", concern, "scripts");
      fs.cpSync(scripts, path.join(this.directory, "bin"), { recursive: true });
    }
    this.environment = {
      PATH: `${path.join(this.folder, "programs")}:${process.env.PATH ?? ""}`,
      MACHINE: this.folder,
      XSCHED_TRITON_UNITS: path.join(this.folder, "units"),
      XSCHED_TRITON_DLAMI_NVME: path.join(this.folder, "dlami"),
    };
    this.program("systemctl", SYSTEMCTL);
  }

  public program(name: string, text: string): void {
    fs.writeFileSync(path.join(this.folder, "programs", name), text, { mode: 0o755 });
  }

  public file(...parts: string[]): string {
    return path.join(this.directory, ...parts);
  }

  public start(script: string, words: readonly string[] = []): ChildProcess {
    return spawn("bash", [this.file("bin", script), this.directory, ...words], { env: this.environment });
  }

  public run(script: string, words: readonly string[] = [], input = ""): Promise<Result> {
    return new Promise((resolve, reject) => {
      const child = this.start(script, words);
      let stdout = "";
      let stderr = "";
      child.stdout?.on("data", (chunk: Buffer) => (stdout += chunk.toString()));
      child.stderr?.on("data", (chunk: Buffer) => (stderr += chunk.toString()));
      child.on("error", reject);
      child.on("close", (status) => {
        resolve({ status, stdout, stderr });
      });
      child.stdin?.on("error", () => undefined);
      child.stdin?.end(input);
    });
  }

  /** Runs a script that must succeed and returns its output. */
  public async succeed(script: string, words: readonly string[] = [], input = ""): Promise<string> {
    const { status, stdout, stderr } = await this.run(script, words, input);
    assert.equal(status, 0, `${script}: ${stderr}`);
    return stdout + stderr;
  }

  /** The calls of systemd since the last time, without queries. */
  public orders(): string[] {
    const file = path.join(this.folder, "systemctl");
    const lines = fs.existsSync(file) ? fs.readFileSync(file, "utf8").split("\n") : [];
    fs.rmSync(file, { force: true });
    return lines.filter((line) => line !== "" && !line.startsWith("is-active"));
  }

  public units(): string[] {
    return fs.readdirSync(path.join(this.folder, "units")).sort();
  }

  public unit(name: string): string {
    return fs.readFileSync(path.join(this.folder, "units", name), "utf8");
  }

  public remove(): void {
    fs.rmSync(this.folder, { recursive: true, force: true });
  }
}

export async function until(seconds: number, condition: () => boolean | Promise<boolean>): Promise<void> {
  for (const end = Date.now() + seconds * 1000; !(await condition());) {
    assert.ok(Date.now() < end, `not within ${seconds} s`);
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}
