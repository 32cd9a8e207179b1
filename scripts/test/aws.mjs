// Checks what the stacks ask of AWS, with others' knowledge of it: their resources are replayed against moto, by the models
// of botocore, and their policies are looked up in AWS's reference of actions. With --write, the documents of permissions in
// docs/reference/permissions are written instead of compared.
//   usage: aws.mjs [--write]
import { spawnSync } from "node:child_process";
import fs from "node:fs";
import { createRequire } from "node:module";
import os from "node:os";
import path from "node:path";

const ROOT = path.resolve(import.meta.dirname, "../..");
process.chdir(ROOT);
const load = createRequire(import.meta.url);
load("ts-node/register/transpile-only");

const { dump } = load("../../test/aws/stacks/dump.ts");
const { pythonTools } = load("../../test/aws/pythonTools.ts");

const folder = fs.mkdtempSync(path.join(os.tmpdir(), "aws-"));
try {
  const file = path.join(folder, "dump.json");
  const dumped = await dump(folder);
  fs.writeFileSync(file, JSON.stringify(dumped));
  const packages = path.dirname(pythonTools());
  const env = { ...process.env, PYTHONPATH: `${packages}:test/aws` };
  const run = (...words) => {
    const { status } = spawnSync("python3", ["-m", ...words], { env, stdio: "inherit" });
    if (status !== 0) process.exitCode = 1;
  };
  run("replay", ...process.argv.slice(2), file);
  // What the checks find in what is wrong.
  run(
    "unittest",
    "discover",
    "--start-directory",
    "test/aws/replay/tests",
    "--top-level-directory",
    "test/aws",
  );
} finally {
  fs.rmSync(folder, { recursive: true, force: true });
}
