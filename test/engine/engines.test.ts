import assert from "node:assert/strict";
import * as fs from "node:fs";
import * as path from "node:path";

import { TOOLS_HOME } from "./toolchain";
import { changesIn, execute, type Finished, requireSuccess, Workspace } from "./workspace";

const ROOT = path.resolve(__dirname, "../..");

/** A host and a model with an engine, whose options come from the stack config. */
const PROGRAM = `import * as pulumi from "@pulumi/pulumi";
import { EnginePrecision, ModelRepository, TritonHost } from "../components";

const config = new pulumi.Config();
const host = new TritonHost("host", { directory: config.require("directory") });
const repository = new ModelRepository("models", {
  directory: host.directory,
  models: [
    {
      name: "bert",
      source: "bert",
      priority: config.getNumber("priority"),
      engine: { precision: config.get("precision") as EnginePrecision },
    },
  ],
});
export const digest = repository.models[0]?.digest;
`;

describe("engines from ONNX models, on the real engine with a stand-in builder", () => {
  let workspace: Workspace;
  let folder: string;

  const state = (name: string, text: string): void => {
    fs.writeFileSync(path.join(folder, "builder", name), text);
  };

  const pulumi = (...words: string[]): Promise<Finished> =>
    execute("pulumi", [...words, "--non-interactive"], folder, {
      PATH: `${path.join(ROOT, "test/fixtures/engineBuilder")}:${process.env.PATH ?? ""}`,
      STATE: path.join(folder, "builder"),
      PULUMI_BACKEND_URL: `file://${folder}`,
      PULUMI_CONFIG_PASSPHRASE: "",
      PULUMI_HOME: TOOLS_HOME,
      PULUMI_SKIP_UPDATE_CHECK: "true",
      PULUMI_DISABLE_AUTOMATIC_PLUGIN_ACQUISITION: "true",
    });

  const up = async (): Promise<string> => {
    const { code, output } = await pulumi("up", "--yes", "--skip-preview");
    requireSuccess({ code, output });
    return output;
  };
  const touched = async (): Promise<string[]> => changesIn(await up()).map(({ name }) => name);

  const builds = (): number =>
    fs.readFileSync(path.join(folder, "builder/calls"), "utf8").split("--saveEngine").length - 1;

  /** The stored files that are served. */
  const plan = async (): Promise<string> => {
    const { output } = await pulumi("stack", "output", "digest");
    const stored = path.join(folder, "host/models/store/bert", output.trim());
    assert.deepEqual(fs.readdirSync(stored).sort(), ["1", "config.pbtxt"]);
    assert.match(fs.readFileSync(path.join(stored, "config.pbtxt"), "utf8"), /platform: "tensorrt_plan"/);
    return fs.readFileSync(path.join(stored, "1/model.plan"), "utf8");
  };

  before(async () => {
    workspace = await Workspace.create();
    folder = workspace.file("engines");
    for (const part of ["bert/1", "builder"]) fs.mkdirSync(path.join(folder, part), { recursive: true });
    fs.writeFileSync(path.join(folder, "index.ts"), PROGRAM);
    fs.writeFileSync(path.join(folder, "Pulumi.yaml"), "name: engines\nruntime: nodejs\n");
    // Otherwise the project's own main program would run.
    fs.writeFileSync(path.join(folder, "package.json"), '{ "name": "engines", "main": "index.ts" }\n');
    fs.writeFileSync(path.join(folder, "tsconfig.json"), '{ "extends": "../tsconfig.json" }\n');
    fs.writeFileSync(path.join(folder, "bert/1/model.onnx"), "first\n");
    state("gpus", "Tesla T4, 7.5\n");
    state("environment", "TRT_VERSION=8.2.5.1\n");
    const { code, output } = await pulumi("stack", "init", "dev");
    requireSuccess({ code, output });
    await pulumi("config", "set", "directory", path.join(folder, "host"));
  });

  after(async () => {
    await pulumi("destroy", "--yes", "--skip-preview");
    workspace.remove();
  });

  it("builds the engine once", async () => {
    const output = await up();
    assert.match(output, /building the engine of bert, version 1 on Tesla T4, 7\.5 with TensorRT 8\.2\.5\.1/);
    assert.match(await plan(), /^first$/m);
    assert.deepEqual(await touched(), []);
    assert.equal(builds(), 1);
  });

  it("builds nothing for a priority", async () => {
    await pulumi("config", "set", "priority", "90");
    assert.deepEqual(await touched(), ["models-bert"]);
    assert.equal(builds(), 1);
  });

  it("builds anew for another option, and reuses the old engine without building", async () => {
    await pulumi("config", "set", "precision", "fp16");
    assert.deepEqual(await touched(), ["models-bert/engine", "models-bert"]);
    assert.match(await plan(), /^--fp16$/m);
    await pulumi("config", "rm", "precision");
    assert.match(await up(), /the engine of bert, version 1, is there already/);
    assert.doesNotMatch(await plan(), /^--fp16$/m);
    assert.equal(builds(), 2);
  });

  it("ends with the builder's message and keeps what is stored; the next up succeeds", async () => {
    const before = await plan();
    fs.writeFileSync(path.join(folder, "bert/1/model.onnx"), "broken\n");
    const { code, output } = await pulumi("up", "--yes", "--skip-preview");
    assert.notEqual(code, 0);
    assert.match(
      output,
      /cannot build the engine of bert, version 1: .*While parsing node number 4 \[Einsum\]/,
    );
    assert.equal(await plan(), before);
    fs.writeFileSync(path.join(folder, "bert/1/model.onnx"), "second\n");
    await up();
    assert.match(await plan(), /^second$/m);
  });

  it("leaves nothing on the host", async () => {
    const { code, output } = await pulumi("destroy", "--yes", "--skip-preview");
    requireSuccess({ code, output });
    assert.equal(fs.existsSync(path.join(folder, "host")), false);
  });
});
