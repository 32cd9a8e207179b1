import { spawn } from "node:child_process";
import { once } from "node:events";
import * as fs from "node:fs";
import * as path from "node:path";

import { callAgent, installAgent } from "../agent";
import { userCache } from "../userCache";
import { execute, requireSuccess } from "./processes";

/*
 * Installs npm packages and the process runtime's Triton without downloading them again. local.test.ts shows that a
 * fresh clone installs both.
 */

const PROJECT = path.resolve(__dirname, "../..");

/** Links a folder's files into another folder, or copies them to another file system. */
async function linkFolder(folder: string, target: string): Promise<void> {
  fs.mkdirSync(path.dirname(target), { recursive: true });
  const linked = await execute("cp", ["-al", folder, target], PROJECT);
  if (linked.code === 0) return;
  fs.rmSync(target, { recursive: true, force: true });
  requireSuccess(await execute("cp", ["-a", folder, target], PROJECT));
}

/** What components/compile.cjs keeps, by its content. */
const COMPILED = "node_modules/.cache/compiled";

/** Gives a clone this project's packages, and lets it compile each source once for all clones. */
export async function linkPackages(clone: string): Promise<void> {
  await linkFolder(path.join(PROJECT, "node_modules"), path.join(clone, "node_modules"));
  const shared = path.join(PROJECT, COMPILED);
  fs.mkdirSync(shared, { recursive: true });
  fs.rmSync(path.join(clone, COMPILED), { recursive: true, force: true });
  fs.mkdirSync(path.dirname(path.join(clone, COMPILED)), { recursive: true });
  fs.symlinkSync(shared, path.join(clone, COMPILED));
}

let installed: Promise<string> | undefined;

/** Does something that no other process does at the same time which asks for the same file. */
export async function alone<T>(file: string, action: () => T | Promise<T>): Promise<T> {
  const holder = spawn("flock", [file, "sh", "-c", "echo; cat"], { stdio: ["pipe", "pipe", "inherit"] });
  try {
    await once(holder.stdout, "data");
    return await action();
  } finally {
    holder.stdin.end();
  }
}

/** A host directory with nothing but an installed Triton, which is kept in the user's cache. */
async function installTriton(): Promise<string> {
  const file = path.join(PROJECT, "components/server/triton-requirements.txt");
  const requirements = fs.readFileSync(file, "utf8");
  const host = userCache("test-host");
  fs.mkdirSync(host, { recursive: true });
  // Another clone's tests may have another agent.
  return alone(path.join(host, ".tests.lock"), () => {
    markAsFormer(host);
    installAgent(host);
    const { status, stderr } = callAgent(host, ["install-runtime"], {
      input: JSON.stringify({ requirements }),
    });
    if (status !== 0) throw new Error(stderr);
    return host;
  });
}

/** Gives a host directory, which need not exist yet, a Triton as if an earlier release had installed it. */
export async function linkTriton(hostDirectory: string): Promise<void> {
  const runtime = path.join(await (installed ??= installTriton()), "runtime");
  const current = fs.readlinkSync(path.join(runtime, "current"));
  await linkFolder(path.join(runtime, current), path.join(hostDirectory, "runtime", current));
  markAsFormer(hostDirectory);
}

/** A deployment takes a folder that has files already only from an earlier release, which had this one. */
function markAsFormer(hostDirectory: string): void {
  fs.mkdirSync(path.join(hostDirectory, "bin"), { recursive: true });
  if (fs.existsSync(path.join(hostDirectory, ".xsched-triton.json"))) return;
  fs.writeFileSync(path.join(hostDirectory, "bin/host-directory.sh"), "");
}
