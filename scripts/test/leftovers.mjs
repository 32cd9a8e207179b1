// A check's own temporary folder. It also marks the check's processes: whatever the check starts inherits TMPDIR, and
// what is started with a clean environment has a path in the folder.
import { spawnSync } from "node:child_process";
import fs from "node:fs";
import os from "node:os";
import path from "node:path";

/** How long processes may take to end after SIGTERM, and then after SIGKILL, in milliseconds. */
const GRACE = 5_000;

/** How often to look whether they have ended, in milliseconds. */
const INTERVAL = 50;

const sleep = (milliseconds) => new Promise((resolve) => setTimeout(resolve, milliseconds));

/** What `read` returns, or nothing of what is gone or another user's. */
function ifThere(read) {
  try {
    return read();
  } catch {
    return "";
  }
}

/** Every process of the machine but zombies and this one, with its parent and its session. */
function processes() {
  return fs
    .readdirSync("/proc")
    .filter((name) => /^\d+$/.test(name) && Number(name) !== process.pid)
    .map((pid) => {
      // The program's name comes before the last parenthesis, and may have any characters.
      const stat = ifThere(() => fs.readFileSync(`/proc/${pid}/stat`, "latin1"));
      const [state = "Z", parent, , session] = stat.slice(stat.lastIndexOf(") ") + 2).split(" ");
      return { pid: Number(pid), state: state || "Z", parent: Number(parent), session: Number(session) };
    })
    .filter(({ state }) => state !== "Z" && state !== "X");
}

/** The temporary folder of one check. */
export class CheckFolder {
  // Short: the path of a Unix socket has at most 107 bytes. Other users may enter it, as they may enter /tmp.
  path = fs.realpathSync(fs.mkdtempSync(path.join(os.tmpdir(), "xt-")));

  constructor() {
    fs.chmodSync(this.path, 0o1777);
  }

  /** Ends every process of the check. `session` is that of its program, which leads one of its own. */
  async endProcesses(session) {
    for (const signal of ["SIGTERM", "SIGKILL"]) {
      const signalled = new Set();
      for (const end = Date.now() + GRACE; Date.now() < end; await sleep(INTERVAL)) {
        const found = this.#processes(session);
        if (found.length === 0) return;
        // One look can miss a process that starts just then.
        for (const pid of found.filter((pid) => !signalled.has(pid))) {
          signalled.add(pid);
          ifThere(() => process.kill(pid, signal));
        }
      }
    }
  }

  /** Removes the folder, and what is mounted or a disk in it. Call it when no process of the check is left. */
  remove() {
    const mounted = () => {
      const lines = fs.readFileSync("/proc/self/mounts", "utf8").split("\n");
      const unescaped = (text) =>
        text.replace(/\\(\d{3})/g, (_, octal) => String.fromCharCode(parseInt(octal, 8)));
      return lines.map((line) => unescaped(line.split(" ")[1] ?? "")).filter((point) => this.#holds(point));
    };
    for (const point of mounted().reverse()) spawnSync("umount", ["--lazy", point]);
    for (const device of fs.readdirSync("/sys/block").filter((name) => /^loop\d+$/.test(name))) {
      const file = ifThere(() => fs.readFileSync(`/sys/block/${device}/loop/backing_file`, "utf8"));
      if (this.#holds(file.trimEnd())) spawnSync("losetup", ["--detach", `/dev/${device}`]);
    }
    // Never delete the files of another file system.
    if (mounted().length > 0) return;
    try {
      fs.rmSync(this.path, { recursive: true, force: true });
    } catch {
      // Another user's files stay where this one may not delete them.
    }
  }

  #holds(place) {
    return place === this.path || place.startsWith(`${this.path}/`);
  }

  #processes(session) {
    const all = processes();
    const marked = (pid) => {
      const variables = ifThere(() => fs.readFileSync(`/proc/${pid}/environ`, "latin1")).split("\0");
      if (variables.some((entry) => entry.startsWith("TMPDIR=") && this.#holds(entry.slice(7)))) return true;
      const words = ifThere(() => fs.readFileSync(`/proc/${pid}/cmdline`, "latin1"));
      return (
        words.includes(`${this.path}/`) ||
        ["cwd", "exe"].some((link) => this.#holds(ifThere(() => fs.readlinkSync(`/proc/${pid}/${link}`))))
      );
    };
    const found = new Set(
      all.filter((one) => one.session === session || marked(one.pid)).map(({ pid }) => pid),
    );
    // The processes of a container have neither mark, but a parent that has one.
    for (let before = -1; before < found.size;) {
      before = found.size;
      for (const { pid, parent } of all) if (found.has(parent)) found.add(pid);
    }
    return [...found];
  }
}
