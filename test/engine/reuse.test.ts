import * as assert from "node:assert/strict";
import * as fs from "node:fs";
import * as path from "node:path";

import { TritonClient } from "./triton";
import { freePorts, untilFree } from "./ports";
import { TOOLS_HOME } from "./toolchain";
import { changesIn, execute, type Finished, requireSuccess, Workspace } from "./workspace";

/** What the examples deploy, and how Triton shows each model's priority. */
const MODELS = [
  { name: "realtime", triton: "PRIORITY_MAX", xsched: "200" },
  { name: "batch", triton: "PRIORITY_MIN", xsched: "-255" },
] as const;

interface Example {
  readonly folder: string;
  /** The file with the deployed config. */
  readonly program: string;
  /** Prepares the folder, as examples/README.md says. */
  readonly prepare: (workspace: Workspace) => Promise<void>;
}

const EXAMPLES: Readonly<Record<string, Example>> = {
  "a TypeScript program that depends on the folder": {
    folder: "reuse-typescript",
    program: "index.ts",
    prepare: (workspace) => npm(workspace.file("examples/reuse-typescript"), "install"),
  },
  "a TypeScript program that depends on the packed package": {
    folder: "reuse-package",
    program: "index.ts",
    async prepare(workspace) {
      const folder = workspace.file("examples/reuse-package");
      for (const file of ["index.ts", "package.json", "Pulumi.yaml"]) {
        fs.mkdirSync(folder, { recursive: true });
        fs.copyFileSync(workspace.file("examples/reuse-typescript", file), path.join(folder, file));
      }
      await npm(workspace.directory, "run", "package");
      const [tarball] = fs.readdirSync(workspace.file("dist")).filter((name) => name.endsWith(".tgz"));
      await npm(folder, "install", workspace.file("dist", tarball ?? ""));
      // The package includes the image's sources, and they give the same image.
      const revision = async (module: string): Promise<string> => {
        const script = `console.log(require(${JSON.stringify(module)}).stageBuildContext("patched", process.cwd()).revision)`;
        const words = ["-r", require.resolve("ts-node/register/transpile-only"), "-e", script];
        const { code, output } = await execute("node", words, folder);
        requireSuccess({ code, output });
        return output;
      };
      assert.equal(
        await revision(path.join(folder, "node_modules/xsched-triton/image/buildContext.js")),
        await revision(workspace.file("components/image/buildContext.ts")),
      );
    },
  },
  "a YAML program": {
    folder: "reuse-yaml",
    program: "Pulumi.yaml",
    prepare: () => Promise.resolve(),
  },
};

describe("the components in another program, on the real engine", () => {
  let workspace: Workspace;

  before(async () => {
    workspace = await Workspace.create();
  });

  after(() => {
    workspace.remove();
  });

  for (const [title, { folder: name, program, prepare }] of Object.entries(EXAMPLES)) {
    describe(title, () => {
      let ports: number[];
      let triton: TritonClient;
      let folder: string;

      // Pulumi would check the types of all sources at each start of the program. Once is enough.
      let checkTypes = false;
      const pulumi = (...words: string[]): Promise<Finished> =>
        execute("pulumi", [...words, "--non-interactive"], folder, {
          PULUMI_NODEJS_TRANSPILE_ONLY: String(!checkTypes),
          PULUMI_BACKEND_URL: `file://${path.join(folder, "state")}`,
          PULUMI_CONFIG_PASSPHRASE: "",
          PULUMI_HOME: TOOLS_HOME,
          PULUMI_SKIP_UPDATE_CHECK: "true",
          PULUMI_DISABLE_AUTOMATIC_PLUGIN_ACQUISITION: "true",
        });

      const up = (): Promise<Finished> => pulumi("up", "--yes", "--skip-preview");

      before(async () => {
        folder = workspace.file("examples", name);
        await prepare(workspace);
        await workspace.installTriton(path.join(folder, ".xsched-triton"));
        fs.mkdirSync(path.join(folder, "state"));
        ports = await freePorts(3);
        const [httpPort = 0] = ports;
        triton = new TritonClient(httpPort);
        const { code, output } = await pulumi("stack", "init", "dev");
        requireSuccess({ code, output });
        const values = ["httpPort", "grpcPort", "metricsPort"].flatMap((key, index) => [
          "--plaintext",
          `${key}=${ports[index] ?? 0}`,
        ]);
        await pulumi("config", "set-all", ...values);
      });

      after(async () => {
        triton.close();
        await pulumi("destroy", "--yes", "--skip-preview");
      });

      it("reports bad arguments in one clear error, and creates nothing", async () => {
        const file = path.join(folder, program);
        const good = fs.readFileSync(file, "utf8");
        fs.writeFileSync(
          file,
          good.replace("priority: 200", "priority: 2000").replace("models/batch", "models/bach"),
        );
        const { code, output } = await pulumi("preview");
        fs.writeFileSync(file, good);
        assert.notEqual(code, 0);
        const shown = output.slice(output.lastIndexOf("error:")).replaceAll(/^ {4}/gm, "");
        assert.ok(
          shown.includes(
            `2 faults in the arguments of TritonStack inference

  models[0].priority: 2000
    allowed: an integer from -255 to 255, or one of max (255), default (0), min (-255)
    fix: give 255 (max), the most urgent, or less

  models[1].source: "../models/bach"
    allowed: a folder that exists
    fix: create ${workspace.file("examples/models/bach")}, or correct the path (relative to ${folder})
`,
          ),
          output,
        );
        assert.doesNotMatch(output, /command:local:Command| at .*\.[jt]s:\d/);
      });

      it("has the right types, and serves its models at their priorities", async () => {
        checkTypes = true;
        const { code, output } = await up();
        checkTypes = false;
        requireSuccess({ code, output });
        for (const { name, ...priority } of MODELS) {
          assert.ok(await triton.isReady(name), `${name} is ready`);
          assert.deepEqual(await triton.priority(name), priority);
        }
      });

      it("changes nothing when nothing has changed", async () => {
        const { code, output } = await up();
        requireSuccess({ code, output });
        assert.deepEqual(changesIn(output), []);
        assert.match(output, /Resources:\s+\d+ unchanged/);
      });

      it("leaves no trace after `pulumi destroy`", async () => {
        triton.close();
        const { code, output } = await pulumi("destroy", "--yes", "--skip-preview");
        requireSuccess({ code, output });
        assert.ok(!fs.existsSync(path.join(folder, ".xsched-triton")));
        for (const port of ports) await untilFree(port);
      });
    });
  }
});

async function npm(folder: string, ...words: string[]): Promise<void> {
  const { code, output } = await execute(
    "npm",
    [...words, "--ignore-scripts", "--no-audit", "--no-fund"],
    folder,
  );
  requireSuccess({ code, output });
}
