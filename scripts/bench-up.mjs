// Measures an `up` without changes against that of an empty TypeScript program with the same tools and kind of state
// backend: `pulumi up` against `pulumi up`, and `npm run up` (which also asks the server what it serves) against an npm
// script that only calls `pulumi up`. All without type checks, taking turns.
// Run it after `npm run up`: npm run bench:up [-- ROUNDS]
// With many models, see bench-models.mjs: npm run bench:up -- --models N [ROUNDS]
import { spawnSync } from "node:child_process";
import fs from "node:fs";
import os from "node:os";
import path from "node:path";

import { benchModels, median } from "./bench-models.mjs";
import { ensureTools } from "./toolchain.mjs";

const ROOT = path.resolve(import.meta.dirname, "..");
const words = process.argv.slice(2);
if (words[0] === "--models") {
  await benchModels(Number(words[1]), Number(words[2] ?? 3));
  process.exit();
}
const rounds = Number(words[0] ?? 7);

const UP = ["up", "--yes", "--skip-preview", "--stack"];

/** An empty program in its own folder, with the project's packages and a stack. */
function emptyProgram(environment) {
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), "empty-program-"));
  fs.writeFileSync(path.join(folder, "Pulumi.yaml"), "name: empty\nruntime: nodejs\n");
  const manifest = { name: "empty", main: "index.ts", scripts: { up: ["pulumi", ...UP, "empty"].join(" ") } };
  fs.writeFileSync(path.join(folder, "package.json"), JSON.stringify(manifest));
  fs.writeFileSync(path.join(folder, "index.ts"), 'import "@pulumi/pulumi";\n');
  const compilerOptions = { strict: true, target: "es2020", module: "commonjs", moduleResolution: "node" };
  fs.writeFileSync(path.join(folder, "tsconfig.json"), JSON.stringify({ compilerOptions }));
  fs.symlinkSync(path.join(ROOT, "node_modules"), path.join(folder, "node_modules"));
  seconds(["stack", "init", "empty"], folder, environment);
  return folder;
}

function seconds(words, folder, environment, program = "pulumi") {
  const started = process.hrtime.bigint();
  const { status, stdout, stderr, error } = spawnSync(program, words, {
    cwd: folder,
    env: environment,
    encoding: "utf8",
  });
  if (error) throw error;
  if (status !== 0) throw new Error(`${program} ${words.join(" ")} failed:\n${stdout}${stderr}`);
  return Number(process.hrtime.bigint() - started) / 1e9;
}

const tools = await ensureTools(undefined, { log: console.error });
const state = fs.mkdtempSync(path.join(os.tmpdir(), "empty-state-"));
const environment = {
  ...process.env,
  PATH: [tools.path, process.env.PATH].join(path.delimiter),
  PULUMI_BACKEND_URL: `file://${state}`,
  PULUMI_HOME: path.join(state, "home"),
  PULUMI_CONFIG_PASSPHRASE: "",
  PULUMI_SKIP_UPDATE_CHECK: "true",
  PULUMI_DISABLE_AUTOMATIC_PLUGIN_ACQUISITION: "true",
  PULUMI_NODEJS_TRANSPILE_ONLY: "true",
};
const local = {
  ...environment,
  PULUMI_BACKEND_URL: `file://${path.join(ROOT, ".local", "state")}`,
  PULUMI_HOME: tools.home,
};
const empty = emptyProgram(environment);
/** Loads modules of this project as a program does, in a separate process. */
const loads = (script) =>
  seconds(["-r", "ts-node/register/transpile-only", "-e", script], ROOT, process.env, "node");
const COMPONENTS = 'require("./components");';
/** The SDKs that only a host on AWS may load (test/unit/components/startup.test.ts). */
const SDKS =
  'const { sdk } = require("./components/aws"); [sdk.ec2.Instance, sdk.iam.Role, sdk.ssm.Parameter, sdk.ecr.Repository, sdk.tls.PrivateKey];';

const NPM = ["run", "--silent", "up"];
/** By command: the empty program's run and ours. */
const pairs = {
  "pulumi up": [
    () => seconds([...UP, "empty"], empty, environment),
    () => seconds([...UP, "local"], ROOT, local),
  ],
  "npm run up": [() => seconds(NPM, empty, environment, "npm"), () => seconds(NPM, ROOT, process.env, "npm")],
};
try {
  for (const pair of Object.values(pairs)) for (const up of pair) up();
  const times = Object.fromEntries(Object.keys(pairs).map((command) => [command, []]));
  for (let round = 1; round <= rounds; round++) {
    for (const [command, [theirs, ours]] of Object.entries(pairs)) {
      const row = [theirs(), ours()];
      times[command].push(row);
      console.log(`${command}: empty ${row[0].toFixed(2)} s, local stack ${row[1].toFixed(2)} s`);
    }
  }
  for (const [command, rows] of Object.entries(times)) {
    const [theirs, ours] = [0, 1].map((side) => median(rows.map((row) => row[side])).toFixed(2));
    const ratio = median(rows.map(([empty, local]) => local / empty)).toFixed(2);
    console.log(`median of ${rounds}, ${command}: empty ${theirs} s, local stack ${ours} s, ratio ${ratio}`);
  }
  const [components, more] = [COMPONENTS, COMPONENTS + SDKS].map((script) =>
    median(Array.from({ length: rounds }, () => loads(script))),
  );
  console.log(
    `median of ${rounds}, loading the components: ${components.toFixed(2)} s; with the SDKs that only a host on AWS loads: ${more.toFixed(2)} s`,
  );
} finally {
  fs.rmSync(empty, { recursive: true });
  fs.rmSync(state, { recursive: true });
}
