import { spawnSync } from "node:child_process";
import * as fs from "node:fs";
import * as os from "node:os";
import * as path from "node:path";

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

/** Gives a clone this project's packages. */
export async function linkPackages(clone: string): Promise<void> {
  await linkFolder(path.join(PROJECT, "node_modules"), path.join(clone, "node_modules"));
}

let installed: string | undefined;

/** A host directory with nothing but an installed Triton, which is kept in the user's cache. */
function installTriton(): string {
  const requirements = fs.readFileSync(path.join(PROJECT, "components/server/triton-requirements.txt"));
  const host = userCache("test-host");
  const scripts = fs.mkdtempSync(path.join(os.tmpdir(), "xsched-install-"));
  for (const concern of ["host", "server"])
    fs.cpSync(path.join(PROJECT, "components", concern, "scripts"), scripts, { recursive: true });
  // It waits for another run that installs, and does nothing if everything is installed.
  const words = [path.join(scripts, "install-triton.sh"), host];
  const { status, stderr } = spawnSync("bash", words, { input: requirements, encoding: "utf8" });
  fs.rmSync(scripts, { recursive: true });
  if (status !== 0) throw new Error(stderr);
  return host;
}

/** Gives a host directory, which need not exist yet, a Triton as if its first deployment had installed it. */
export async function linkTriton(hostDirectory: string): Promise<void> {
  const runtime = path.join((installed ??= installTriton()), "runtime");
  const current = fs.readlinkSync(path.join(runtime, "current"));
  await linkFolder(path.join(runtime, current), path.join(hostDirectory, "runtime", current));
}
