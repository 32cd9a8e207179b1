import * as assert from "node:assert/strict";
import * as fs from "node:fs";
import * as path from "node:path";

import { type Value } from "../fixtures/standInCloud/values";
import { type Remembered } from "../fixtures/standInCloud/world";
import { freePorts } from "./ports";
import { StandInCloud } from "./standInCloud";
import { PLUGINS } from "./toolchain";
import { TritonClient } from "./triton";
import { changesIn, type Finished, Workspace } from "./workspace";

const INSTANCE = "aws:ec2/instance:Instance";

/** The first line of a private key. The agent's sources, which are in the state, have parts of it. */
const KEY_BEGINS = /-----BEGIN (?:[A-Z0-9]+ )*PRIVATE KEY-----/;

/** A stack whose machine is on a stand-in for AWS, in a clone of the project. */
export class AwsStack {
  /** Why this machine cannot run it. */
  public static readonly missing = StandInCloud.missing;

  private constructor(
    public readonly name: string,
    public readonly cloud: StandInCloud,
    public readonly workspace: Workspace,
    public readonly triton: TritonClient,
  ) {}

  /**
   * A stack with the config of its own file, free ports, and the user of the stand-in's machines. Nobody may log in yet.
   *
   * @param environment of the deploying machine
   */
  public static async create(name: string, environment: NodeJS.ProcessEnv = {}): Promise<AwsStack> {
    const workspace = await Workspace.create(environment);
    const cloud = new StandInCloud();
    try {
      return await AwsStack.deployable(name, cloud, workspace);
    } catch (error) {
      await cloud.stop();
      workspace.remove();
      throw error;
    }
  }

  private static async deployable(
    name: string,
    cloud: StandInCloud,
    workspace: Workspace,
  ): Promise<AwsStack> {
    await workspace.initStack(name, {});
    await cloud.serve(workspace);
    // As if the machine image included it; ssh.test.ts installs it on a bare machine.
    await workspace.installTriton(cloud.file("image", `.xsched-triton-${name}`));
    const [httpPort = 0, grpcPort, metricsPort] = await freePorts(3);
    const stack = new AwsStack(name, cloud, workspace, new TritonClient(httpPort));
    stack.set(["xsched-triton:server"], { httpPort, grpcPort, metricsPort });
    stack.set(["xsched-triton:host", "user"], "root");
    return stack;
  }

  public npm(command: string, ...words: string[]): Promise<Finished> {
    return this.workspace.npm(command, "--", this.name, "--non-interactive", ...words);
  }

  public up(): Promise<Finished> {
    return this.npm("up", "--yes", "--skip-preview");
  }

  public down(): Promise<Finished> {
    return this.npm("down", "--yes", "--skip-preview");
  }

  /** Sets a value of the stack's config; undefined removes it. */
  public set(place: readonly string[], value: unknown): void {
    this.workspace.edit(this.name, (config) => {
      if (value === undefined) config.deleteIn(["config", ...place]);
      else config.setIn(["config", ...place], config.createNode(value));
    });
  }

  public everything(type?: string): Remembered[] {
    return this.cloud.everything(type);
  }

  public get instances(): string[] {
    return this.everything(INSTANCE).map(({ id }) => id);
  }

  /** The only resource of a type. */
  public properties(type: string): Record<string, Value> {
    const [only, ...others] = this.everything(type);
    assert.ok(only && others.length === 0, type);
    return only.properties;
  }

  /** A file of an instance. */
  public machine(id: string, file: string): string {
    return this.cloud.file("machines", id, file);
  }

  /** Plain Pulumi, with the providers that `npm test` found. */
  public pulumi(command: string, ...words: string[]): Promise<Finished> {
    const places = [
      this.workspace.environment.PATH ?? "",
      ...fs.readdirSync(PLUGINS).map((provider) => path.join(PLUGINS, provider)),
    ];
    return this.workspace.run("pulumi", [command, "--stack", this.name, ...words], {
      PATH: places.join(path.delimiter),
    });
  }

  /** The output of `pulumi stack export` or `output`. */
  public show(what: "export" | "output", ...words: string[]): Promise<Finished> {
    return this.workspace.run("pulumi", ["stack", what, "--stack", this.name, ...words]);
  }

  /** The text must not contain any of the stack's keys, nor a line of one. */
  public async refuseSecrets(text: string): Promise<void> {
    const shown = await this.show("export", "--show-secrets");
    const keys = new Set(
      // Also escaped once or twice for JSON.
      (shown.output.match(/-----BEGIN OPENSSH PRIVATE KEY-----[^"]*/g) ?? []).map((key) =>
        key
          .split(/\\+n/)
          .filter((line) => /^[A-Za-z0-9+/=]{20,}$/.test(line))
          .join("\n"),
      ),
    );
    assert.equal(keys.size, 2, "the host's and the user's");
    assert.doesNotMatch(text, KEY_BEGINS);
    for (const line of [...keys].flatMap((key) => key.split("\n"))) {
      assert.ok(!text.includes(line), "a line of a key");
    }
  }

  /** Removes the stack, everything it left behind, and its folder. */
  public async stop(): Promise<void> {
    this.triton.close();
    await this.down();
    await this.cloud.stop();
    this.workspace.remove();
  }
}

/** What Pulumi reports for each resource. It repeats a line when more of the provider's messages arrive. */
export function changed(output: string): string[] {
  return [...new Set(changesIn(output).map(({ name, done }) => `${name} ${done}`))].sort();
}
