import * as assert from "node:assert/strict";
import { spawn } from "node:child_process";
import * as fs from "node:fs";
import * as os from "node:os";
import * as path from "node:path";

import { type Document, parseDocument } from "yaml";

import "./toolchain";

const PROJECT = path.resolve(__dirname, "../..");

/** What a command has said and how it ended. */
export interface Finished {
  readonly code: number;
  /** Standard output and standard error in the order in which they came. */
  readonly output: string;
}

/** One line of Pulumi's own report: what was done to a resource. */
export interface Change {
  readonly type: string;
  readonly name: string;
  readonly done: string;
}

/** A clone of the project in a folder of its own, as a newcomer has it: nothing set up, nothing running. */
export class Workspace {
  public readonly directory = fs.mkdtempSync(path.join(os.tmpdir(), "xsched-triton-"));

  private constructor(public readonly environment: NodeJS.ProcessEnv) {}

  public static async create(environment: NodeJS.ProcessEnv = {}): Promise<Workspace> {
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

  public file(...parts: string[]): string {
    return path.join(this.directory, ...parts);
  }

  /** Runs one of the project's commands: `npm run <words>`. */
  public npm(...words: string[]): Promise<Finished> {
    return execute("npm", ["run", "--silent", ...words], this.directory, this.environment);
  }

  /** Runs a program in the folder, with what `environment` adds. */
  public run(
    program: string,
    words: readonly string[],
    environment: NodeJS.ProcessEnv = {},
  ): Promise<Finished> {
    return execute(program, words, this.directory, { ...this.environment, ...environment });
  }

  /**
   * Makes a stack beside `local`, with the config of its own file or else the same, in a backend of the workspace's
   * own. It can keep secrets.
   *
   * @param secrets values by their paths in the config
   */
  public async initStack(stack: string, secrets: Readonly<Record<string, string>>): Promise<void> {
    this.environment.PULUMI_CONFIG_PASSPHRASE = "of the test";
    this.environment.PULUMI_BACKEND_URL = `file://${this.directory}`;
    this.environment.PULUMI_HOME = this.file("home");
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

  public remove(): void {
    fs.rmSync(this.directory, { recursive: true, force: true });
  }
}

/** Runs a program to its end; what it prints is shown when MOCHA_VERBOSE is set. */
export async function execute(
  program: string,
  words: readonly string[],
  directory: string,
  environment: NodeJS.ProcessEnv = {},
): Promise<Finished> {
  const child = spawn(program, words, {
    cwd: directory,
    env: { ...process.env, ...environment },
    stdio: ["ignore", "pipe", "pipe"],
  });
  let output = "";
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding("utf8");
    stream.on("data", (text: string) => {
      output += text;
      if (process.env.MOCHA_VERBOSE) process.stderr.write(text);
    });
  }
  const code = await new Promise<number>((resolve, reject) => {
    child.on("error", reject);
    child.on("close", (status) => {
      resolve(status ?? 1);
    });
  });
  return { code, output };
}

/** Fails unless a command has ended well; says then what matters of its output: hundreds of lines hide the reason. */
export function requireSuccess({ code, output }: Finished): void {
  if (code === 0) return;
  const diagnostics = output.lastIndexOf("\nDiagnostics:");
  const shown = diagnostics >= 0 ? output.slice(diagnostics) : output.split("\n").slice(-40).join("\n");
  assert.fail(`the command ended with ${code}: ${shown.trim()}`);
}

/** The resources that an `up` or a `down` says it has touched. */
export function changesIn(output: string): Change[] {
  const line = /^\s*(?:[-+~]+|<=|>=)\s+(\S+:\S+:\S+)\s+(\S+)\s+(created|updated|deleted|replaced)\b/gm;
  return [...output.matchAll(line)].map(([, type = "", name = "", done = ""]) => ({ type, name, done }));
}
