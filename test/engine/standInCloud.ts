import * as fs from "node:fs";
import * as os from "node:os";
import * as path from "node:path";

import { setInstanceState, StandInApi } from "../fixtures/standInCloud/api";
import { shutDown } from "../fixtures/standInCloud/machine";
import { everything, type Remembered } from "../fixtures/standInCloud/world";
import { SshServer } from "./sshServer";
import type { Workspace } from "./workspace";

const PROVIDERS = "test/fixtures/standInCloud";

/** A stand-in for AWS, whose instances are SSH servers on the loopback interface. */
export class StandInCloud {
  /** Why this machine cannot run it. */
  public static readonly missing = !SshServer.available
    ? "sshd is not installed (Debian: openssh-server)"
    : process.getuid?.() !== 0
      ? "only root may open port 22, which instances have"
      : undefined;

  /** What the preflight asks. */
  public readonly api = new StandInApi();
  private readonly folder = fs.mkdtempSync(path.join(os.tmpdir(), "xsched-triton-cloud-"));

  public constructor() {
    process.env.STAND_IN_CLOUD = this.folder;
  }

  /** Lets a workspace's stacks find it. */
  public async serve(workspace: Workspace): Promise<void> {
    await this.api.start();
    for (const [name, value] of Object.entries(this.api.environment)) {
      // A test may have a real S3 server.
      const s3 = name.endsWith("_S3") && workspace.environment.AWS_ENDPOINT_URL !== undefined;
      if (!s3) workspace.environment[name] ??= value;
    }
    workspace.environment.STAND_IN_CLOUD = this.folder;
    workspace.environment.PATH = `${workspace.file(PROVIDERS, "cli")}:${process.env.PATH}`;
    workspace.environment.PULUMI_DISABLE_AUTOMATIC_PLUGIN_ACQUISITION = "true";
    const project = workspace.file("Pulumi.yaml");
    const plugins = ["aws", "tls"].map((name) => `    - name: ${name}\n      path: ${PROVIDERS}\n`);
    fs.appendFileSync(project, `plugins:\n  providers:\n${plugins.join("")}`);
  }

  /** The resources of a type, such as `aws:ec2/instance:Instance`, or all. */
  public everything(type?: string): Remembered[] {
    return everything(type);
  }

  public file(...parts: string[]): string {
    return path.join(this.folder, ...parts);
  }

  /** Lets an operation fail with AWS's message, until `recover`. */
  public fail(type: string, operation: string, message: string): void {
    fs.mkdirSync(this.file("fail"), { recursive: true });
    fs.writeFileSync(this.file("fail", `${type.replaceAll(/[:/]/g, "-")} ${operation}`), message);
  }

  /**
   * Stops an instance, as EC2 does when it was asked to, or when the instance has shut itself down.
   *
   * @param reason of EC2, such as `Client.InstanceInitiatedShutdown`
   */
  public async stopInstance(id: string, stateReason: string, stateTransitionReason = ""): Promise<void> {
    await shutDown(id);
    fs.rmSync(this.file("machines", id, "poweroff"), { force: true });
    setInstanceState(id, { instanceState: "stopped", stateReason, stateTransitionReason });
  }

  public recover(): void {
    fs.rmSync(this.file("fail"), { recursive: true, force: true });
  }

  public async stop(): Promise<void> {
    this.api.stop();
    const machines = this.file("machines");
    for (const id of fs.existsSync(machines) ? fs.readdirSync(machines) : []) await shutDown(id);
    fs.rmSync(this.folder, { recursive: true });
    delete process.env.STAND_IN_CLOUD;
  }
}
