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
load("../../components/compile.cjs");

const { dump } = load("../../test/aws/stacks/dump.ts");
const { userCache } = load("../../test/userCache.ts");
const { pythonTools } = load("../../test/aws/pythonTools.ts");

const SCHEMA = "usr/lib/python3/dist-packages/cloudinit/config/schemas/schema-cloud-config-v1.json";

/**
 * The schema of Debian's cloud-init, which is unpacked into the user's cache, and not installed: a machine with cloud-init would
 * be set up by it. apt checks the package against Debian's signature.
 *
 * @returns undefined where there is no apt, or it finds nothing
 */
function cloudInitSchema() {
  const kept = userCache("cloud-init");
  const schema = path.join(kept, SCHEMA);
  if (fs.existsSync(schema)) return schema;
  fs.mkdirSync(path.dirname(kept), { recursive: true });
  const staging = fs.mkdtempSync(`${kept}.`);
  const run = (program, ...words) => spawnSync(program, words, { cwd: staging, encoding: "utf8" });
  try {
    fs.mkdirSync(path.join(staging, "lists/partial"), { recursive: true });
    // Lists of our own: those of the machine may be missing, and belong to root.
    const own = ["-qq", "-o", `Dir::State::Lists=${staging}/lists`, "-o", `Dir::Cache=${staging}`];
    if (run("apt-get", "-qq", "download", "cloud-init").status !== 0) {
      run("apt-get", ...own, "update");
      const { status, stderr, error } = run("apt-get", ...own, "download", "cloud-init");
      if (status !== 0) {
        console.error(`cloud-init's package cannot be had: ${error?.message ?? stderr.trim()}`);
        return undefined;
      }
    }
    const [file] = fs.readdirSync(staging).filter((name) => name.endsWith(".deb"));
    const { status, stderr } = run("dpkg-deb", "-x", file, "unpacked");
    if (status !== 0) throw new Error(`${file} cannot be unpacked: ${stderr.trim()}`);
    try {
      fs.renameSync(path.join(staging, "unpacked"), kept);
    } catch {
      // Another run finished first.
    }
    return schema;
  } finally {
    fs.rmSync(staging, { recursive: true, force: true });
  }
}

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
  const schema = cloudInitSchema();
  if (schema === undefined) {
    console.error("user data is not checked by cloud-init's schema");
    if (process.env.CI === "true") process.exitCode = 1;
  }
  const known = schema === undefined ? [] : ["--cloud-init", schema];
  run("replay", ...process.argv.slice(2), ...known, file);
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
