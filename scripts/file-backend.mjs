// What updates that were killed leave in the folder of Pulumi's file backend: a lock each, and at times a file of attributes
// without its content.
import fs from "node:fs";
import os from "node:os";
import path from "node:path";

import { isRunning, startOf } from "./toolchain/processes.mjs";

/** Between the start of a process and its lock, and between two clocks, in milliseconds. */
const TOLERANCE_MS = 2000;

/**
 * Sorts the locks of a state by whether their update may still run.
 *
 * @param state folder of the file backend
 * @returns file, pid and host of each lock; of one that cannot be read, pid and host are undefined
 */
export function readLocks(state) {
  const folder = path.join(state, ".pulumi", "locks");
  const names = fs.existsSync(folder) ? fs.readdirSync(folder, { recursive: true }) : [];
  const locks = names
    .filter((name) => name.endsWith(".json"))
    .map((name) => path.join(folder, name))
    .flatMap((file) => readLock(file) ?? []);
  return { held: locks.filter(mayRun), left: locks.filter((lock) => !mayRun(lock)) };
}

function readLock(file) {
  try {
    const { pid, hostname, timestamp } = JSON.parse(fs.readFileSync(file, "utf8"));
    return { file, pid, hostname, time: Date.parse(timestamp) };
  } catch (error) {
    // Its update has just ended.
    if (error.code === "ENOENT") return undefined;
    // Its update was killed while it wrote.
    if (error instanceof SyntaxError) return { file };
    throw error;
  }
}

function mayRun({ pid, hostname, time }) {
  if (pid === undefined) return false;
  if (hostname !== os.hostname()) return true;
  if (!isRunning(pid)) return false;
  // A process that began after the lock was written has got the number of one that has ended.
  const start = startOf(pid);
  return start === undefined || Number.isNaN(time) || start <= time + TOLERANCE_MS;
}

/**
 * Removes attributes of files that a killed update had no time to write: Pulumi would read nothing that they belong to
 * ("failed to load checkpoint: EOF"), and does without them.
 *
 * @param state folder of the file backend, which no update uses
 */
export function removeTornAttributes(state) {
  const folder = path.join(state, ".pulumi");
  const names = fs.existsSync(folder) ? fs.readdirSync(folder, { recursive: true }) : [];
  for (const file of names.filter((name) => name.endsWith(".attrs")).map((name) => path.join(folder, name))) {
    if (!isJson(fs.readFileSync(file, "utf8"))) fs.rmSync(file);
  }
}

function isJson(text) {
  try {
    JSON.parse(text);
    return true;
  } catch {
    return false;
  }
}
