// How long an `up` with nothing to change takes, plain and through npm, against `pulumi up` of an empty TypeScript program with the same
// tools and kind of state backend, all without type checks, in turn. Run it after `npm run up`: npm run bench:up [-- ROUNDS]
import { spawnSync } from "node:child_process";
import fs from "node:fs";
import os from "node:os";
import path from "node:path";

import { ensureTools } from "./toolchain.mjs";

const ROOT = path.resolve(import.meta.dirname, "..");
const rounds = Number(process.argv[2] ?? 7);

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
const local = {
  ...environment,
  PULUMI_BACKEND_URL: `file://${path.join(ROOT, ".local", "state")}`,
  PULUMI_HOME: tools.home,
};
const UP = ["up", "--yes", "--skip-preview", "--stack"];
const empty = emptyProgram(environment);
const candidates = {
  empty: () => seconds([...UP, "empty"], empty, environment),
  "pulumi up": () => seconds([...UP, "local"], ROOT, local),
  "npm run up": () => seconds(["run", "--silent", "up"], ROOT, process.env, "npm"),
};
try {
  for (const up of Object.values(candidates)) up();
  const rows = [];
  for (let round = 1; round <= rounds; round++) {
    const row = Object.fromEntries(Object.entries(candidates).map(([name, up]) => [name, up()]));
    rows.push(row);
    const times = Object.entries(row).map(([name, time]) => `${name} ${time.toFixed(2)} s`);
    console.log(`round ${round}: ${times.join(", ")}`);
  }
  for (const name of Object.keys(candidates)) {
    const time = median(rows.map((row) => row[name]));
    const ratio = median(rows.map((row) => row[name] / row.empty));
    console.log(
      `median: ${name.padEnd(10)} ${time.toFixed(2)} s, ${ratio.toFixed(2)} times the empty program of its round`,
    );
  }
} finally {
  fs.rmSync(empty, { recursive: true });
  fs.rmSync(state, { recursive: true });
}
