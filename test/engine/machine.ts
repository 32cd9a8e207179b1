import assert from "node:assert/strict";
import { type ChildProcess, spawn } from "node:child_process";
import * as fs from "node:fs";
import * as os from "node:os";
import * as path from "node:path";

import { ended, installAgent, startAgent } from "../agent";

/** A systemd that does nothing, and says so. */
const SYSTEMCTL = "#!/bin/sh\nexit 0\n";

/** A host directory with the agent, on a machine whose services and disks are stand-ins. */
export class Machine {
  public readonly folder = fs.realpathSync(fs.mkdtempSync(path.join(os.tmpdir(), "xsched-machine-")));
  /** Spaces, because users have them. */
  public readonly directory = path.join(this.folder, "the host");
  public readonly environment: NodeJS.ProcessEnv;

  public constructor(environment: NodeJS.ProcessEnv) {
    for (const name of ["programs", "units", "the host"]) fs.mkdirSync(path.join(this.folder, name));
    this.environment = {
      PATH: `${path.join(this.folder, "programs")}:${process.env.PATH ?? ""}`,
      XSCHED_TRITON_UNITS: path.join(this.folder, "units"),
      XSCHED_TRITON_DLAMI_NVME: path.join(this.folder, "dlami"),
      // The agent supervises the server itself.
      XSCHED_TRITON_SYSTEMD: path.join(this.folder, "no systemd"),
      ...environment,
    };
    fs.writeFileSync(path.join(this.folder, "programs/systemctl"), SYSTEMCTL, { mode: 0o755 });
    installAgent(this.directory, this.environment);
  }

  public file(...parts: string[]): string {
    return path.join(this.directory, ...parts);
  }

  public start(command: string): ChildProcess {
    return spawn(this.file("bin/agent"), [command], { env: this.environment });
  }

  public async run(command: string, input: unknown = ""): Promise<ReturnType<typeof ended>> {
    const text = typeof input === "string" ? input : JSON.stringify(input);
    return startAgent(this.directory, [command], { input: text, env: this.environment });
  }

  /** Runs a command that must succeed. */
  public async succeed(command: string, input: unknown = ""): Promise<void> {
    const { status, stderr } = await this.run(command, input);
    assert.equal(status, 0, `${command}: ${stderr}`);
  }

  public remove(): void {
    fs.rmSync(this.folder, { recursive: true, force: true, maxRetries: 20 });
  }
}
