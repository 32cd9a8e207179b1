// Processes and files, for the ways to get a tool.
import { spawn } from "node:child_process";
import * as fs from "node:fs";

/** Runs a program to its end; `output` is what it printed on either stream. */
export function run(command, args, options) {
  return new Promise((resolve) => {
    const child = spawn(command, args, { ...options, stdio: ["ignore", "pipe", "pipe"] });
    let output = "";
    const keep = (chunk) => {
      output += chunk;
    };
    child.stdout.on("data", keep);
    child.stderr.on("data", keep);
    child.on("error", (error) => {
      resolve({ code: -1, output: error.message });
    });
    child.on("close", (code) => {
      resolve({ code, output });
    });
  });
}

export function lastLines(output) {
  return output.trim().split("\n").slice(-12).join("\n");
}

export function isExecutable(file) {
  try {
    fs.accessSync(file, fs.constants.X_OK);
    return fs.statSync(file).isFile();
  } catch {
    return false;
  }
}

/** Whether a process of this machine is running. One that has ended may wait for its parent, which may never ask. */
export function isRunning(pid) {
  try {
    process.kill(pid, 0);
  } catch (error) {
    if (error.code !== "EPERM") return false;
  }
  const [state] = statusOf(pid) ?? [];
  return state !== "Z" && state !== "X";
}

/** The fields of /proc/PID/stat after the name, which may contain anything; undefined where there is no such file. */
function statusOf(pid) {
  try {
    return fs.readFileSync(`/proc/${pid}/stat`, "utf8").split(") ").at(-1).split(" ");
  } catch {
    return undefined;
  }
}

/** Kernel clock ticks in a second; the same on every architecture of Linux. */
const TICKS_PER_SECOND = 100;

/** When a process of this machine began, in milliseconds since 1970; undefined if that is not to be known. */
export function startOf(pid) {
  try {
    const fields = statusOf(pid);
    const booted = /^btime (\d+)$/m.exec(fs.readFileSync("/proc/stat", "utf8"))?.[1];
    return (Number(booted) + Number(fields[19]) / TICKS_PER_SECOND) * 1000;
  } catch {
    return undefined;
  }
}
