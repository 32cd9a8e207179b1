import * as assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import * as fs from "node:fs";
import * as os from "node:os";
import * as path from "node:path";

import { type Document, parseDocument } from "yaml";

import { execute, type Finished } from "./processes";
import { linkPackages, linkTriton } from "./ready";
import { withoutDebugLogs } from "./toolchain";

export { type Change, changesIn, execute, type Finished, requireSuccess } from "./processes";

const PROJECT = path.resolve(__dirname, "../..");

/** A clone of the project in its own folder, with nothing running in it. */
export class Workspace {
  public readonly directory = fs.mkdtempSync(path.join(os.tmpdir(), "xsched-triton-"));

  private constructor(public readonly environment: NodeJS.ProcessEnv) {}

  /** A clone with the project's npm packages. */
  public static async create(environment: NodeJS.ProcessEnv = {}): Promise<Workspace> {
    const workspace = await Workspace.fresh(environment);
    await linkPackages(workspace.directory);
    return workspace;
  }

  /** A fresh clone, with nothing set up. */
  public static async fresh(environment: NodeJS.ProcessEnv = {}): Promise<Workspace> {
    const workspace = new Workspace(environment);
    const { output } = await execute("git", ["ls-files", "-coz", "--exclude-standard"], PROJECT);
    for (const file of output.split("\0").filter((name) => name !== "")) {
      const source = path.join(PROJECT, file);
      if (!fs.existsSync(source)) continue;
      const target = path.join(workspace.directory, file);
      fs.mkdirSync(path.dirname(target), { recursive: true });
      fs.copyFileSync(source, target);
    }
    return workspace;
  }

  /** Has Triton installed for the stack `local`, or for a stack whose host has another directory here. */
  public async installTriton(hostDirectory = this.file(".local/hosts/local")): Promise<void> {
    await linkTriton(hostDirectory);
  }

  public file(...parts: string[]): string {
    return path.join(this.directory, ...parts);
  }

  /**
   * Runs one of the project's commands as `npm run <words>` would, without npm, which takes as much of a processor as a
   * tenth of an `up`. local.test.ts and interrupted.test.ts run npm itself.
   */
  public npm(...[command = "", ...words]: string[]): Promise<Finished> {
    const { scripts } = JSON.parse(fs.readFileSync(this.file("package.json"), "utf8")) as {
      readonly scripts: Readonly<Record<string, string | undefined>>;
    };
    const [program, ...own] = scripts[command]?.split(" ") ?? [];
    assert.ok(program === "node" && own.every((word) => /^[\w./-]+$/.test(word)), `npm run ${command}`);
    const given = words[0] === "--" ? words.slice(1) : words;
    const places = [this.file("node_modules/.bin"), this.environment.PATH ?? process.env.PATH];
    return this.run(program, [...own, ...given], { PATH: places.join(path.delimiter) });
  }

  /** Runs one of the project's commands as its users do: `npm run <words>`. */
  public npmItself(...words: string[]): Promise<Finished> {
    return this.run("npm", ["run", "--silent", ...words]);
  }

  /** Runs a program in the folder, with additional environment variables. */
  public run(
    program: string,
    words: readonly string[],
    environment: NodeJS.ProcessEnv = {},
  ): Promise<Finished> {
    return execute(program, words, this.directory, { ...this.environment, ...environment });
  }

  /**
   * Creates a stack next to `local`, with the config of its own file or else the same, in the workspace's own backend. It
   * can keep secrets.
   *
   * @param secrets values by their paths in the config
   */
  public async initStack(stack: string, secrets: Readonly<Record<string, string>>): Promise<void> {
    this.environment.PULUMI_CONFIG_PASSPHRASE = "of the test";
    this.environment.PULUMI_BACKEND_URL = `file://${this.directory}`;
    this.environment.PULUMI_HOME = this.file("home");
    fs.mkdirSync(this.file("home"), { recursive: true });
    withoutDebugLogs(this.file("home"));
    if (!fs.existsSync(this.file(`Pulumi.${stack}.yaml`))) {
      const local = fs.readFileSync(this.file("Pulumi.local.yaml"), "utf8");
      fs.writeFileSync(this.file(`Pulumi.${stack}.yaml`), local.replace(/^encryptionsalt:.*\n/m, ""));
    }
    await this.pulumi("stack", "init", stack);
    for (const [place, secret] of Object.entries(secrets)) {
      await this.setSecret(stack, place, secret);
    }
  }

  public setSecret(stack: string, place: string, secret: string): Promise<void> {
    return this.pulumi("config", "set", "--stack", stack, "--path", place, "--secret", "--", secret);
  }

  private async pulumi(...words: string[]): Promise<void> {
    const { code, output } = await this.run("pulumi", words);
    if (code !== 0) throw new Error(`pulumi ${words[0]}: ${output}`);
  }

  /** Edits a stack's config file and keeps its comments. */
  public edit(stack: string, change: (config: Document) => void): void {
    const file = this.file(`Pulumi.${stack}.yaml`);
    const config = parseDocument(fs.existsSync(file) ? fs.readFileSync(file, "utf8") : "config: {}\n");
    change(config);
    fs.writeFileSync(file, config.toString());
  }

  /**
   * Lets a program in here be compiled as the project's own is, without ts-node, which takes 3 s of a processor at each
   * start. reuse.test.ts shows that programs run as they are.
   */
  public compileQuickly(program: string): void {
    const file = this.file(program, "Pulumi.yaml");
    const project = parseDocument(fs.readFileSync(file, "utf8"));
    const options = { typescript: false, nodeargs: `--require ${this.file("components/compile.cjs")}` };
    project.set("runtime", project.createNode({ name: "nodejs", options }));
    fs.writeFileSync(file, project.toString());
  }

  public remove(): void {
    // For the packages' 44,000 files, rm takes half of the processor time of Node.
    spawnSync("rm", ["-rf", this.file("node_modules")]);
    fs.rmSync(this.directory, { recursive: true, force: true, maxRetries: 20 });
  }
}
