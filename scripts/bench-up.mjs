// How long `npm run up` takes with nothing to change, against `pulumi up` of an empty TypeScript program with the same
// tools and kind of state backend, both without type checks, the two in turn. Run it after `npm run up`: npm run bench:up [-- PAIRS]
import { spawnSync } from "node:child_process";
import fs from "node:fs";
import os from "node:os";
import path from "node:path";

import { ensureTools } from "./toolchain.mjs";

const ROOT = path.resolve(import.meta.dirname, "..");
const pairs = Number(process.argv[2] ?? 7);

/** An empty program in a folder of its own, with the project's packages and a stack that has been brought up. */
function emptyProgram(environment) {
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), "empty-program-"));
  fs.writeFileSync(path.join(folder, "Pulumi.yaml"), "name: empty\nruntime: nodejs\n");
  fs.writeFileSync(path.join(folder, "package.json"), '{"name":"empty","main":"index.ts"}\n');
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

function median(values) {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
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
const empty = emptyProgram(environment);
const upEmpty = () => seconds(["up", "--yes", "--skip-preview", "--stack", "empty"], empty, environment);
const upOurs = () => seconds(["run", "--silent", "up"], ROOT, process.env, "npm");
try {
  upEmpty();
  upOurs();
  const rows = [];
  for (let pair = 1; pair <= pairs; pair++) {
    const row = { empty: upEmpty(), ours: upOurs() };
    rows.push(row);
    console.log(
      `pair ${pair}: empty ${row.empty.toFixed(2)} s, npm run up ${row.ours.toFixed(2)} s, ratio ${(row.ours / row.empty).toFixed(2)}`,
    );
  }
  const [mine, theirs] = [median(rows.map(({ ours }) => ours)), median(rows.map((row) => row.empty))];
  const ratio = median(rows.map((row) => row.ours / row.empty));
  console.log(
    `median: empty ${theirs.toFixed(2)} s, npm run up ${mine.toFixed(2)} s, ratio of pairs ${ratio.toFixed(2)}`,
  );
} finally {
  fs.rmSync(empty, { recursive: true });
  fs.rmSync(state, { recursive: true });
}
