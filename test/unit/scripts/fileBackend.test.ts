import assert from "node:assert/strict";
import { spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import * as fs from "node:fs";
import * as os from "node:os";
import * as path from "node:path";
import { type Writable } from "node:stream";
import { setTimeout } from "node:timers/promises";

import { loadScript } from "../../scripts";

interface Lock {
  readonly file: string;
  readonly pid?: number;
}
const { readLocks, removeTornAttributes } = loadScript("file-backend.mjs") as {
  readLocks: (state: string) => { held: readonly Lock[]; left: readonly Lock[] };
  removeTornAttributes: (state: string) => void;
};

describe("locks of a state", () => {
  let state: string;

  beforeEach(() => {
    state = fs.mkdtempSync(path.join(os.tmpdir(), "xsched-triton-locks-"));
  });
  afterEach(() => {
    fs.rmSync(state, { recursive: true });
  });

  function write(text: string): string {
    const folder = path.join(state, ".pulumi/locks/organization/project/local");
    fs.mkdirSync(folder, { recursive: true });
    const file = path.join(folder, `${fs.readdirSync(folder).length}.json`);
    fs.writeFileSync(file, text);
    return file;
  }
  const lock = (pid: number | undefined, timestamp: string, hostname = os.hostname()): string =>
    write(JSON.stringify({ pid, username: "me", hostname, timestamp }));
  const now = (): string => new Date().toISOString();
  const files = (locks: readonly Lock[]): string[] => locks.map(({ file }) => file);

  it("are none without a folder", () => {
    assert.deepEqual(readLocks(state), { held: [], left: [] });
  });

  it("are held by a process that runs, or on another machine", () => {
    const own = lock(process.pid, now());
    const other = lock(1, "2020-01-01T00:00:00Z", "elsewhere");
    const { held, left } = readLocks(state);
    assert.deepEqual([files(held).sort(), left], [[own, other].sort(), []]);
  });

  it("are left of a process that has ended, and of one that was killed while it wrote", () => {
    const ended = lock(spawnSync("true").pid, now());
    const torn = write('{"pid":1');
    const { held, left } = readLocks(state);
    assert.deepEqual([held, files(left).sort()], [[], [ended, torn].sort()]);
  });

  it("are left of a process that has ended, but whose parent does not ask for its end", async () => {
    // The child ends once the shell has become `sleep`: the shell itself would ask for its end.
    const parent = spawn("sh", ["-c", "cat <&3 >&2 & echo $!; exec sleep 60"], {
      stdio: ["ignore", "pipe", "ignore", "pipe"],
    });
    try {
      const [text] = (await once(parent.stdout!, "data")) as [Buffer];
      const zombie = Number(text);
      while (fs.readFileSync(`/proc/${parent.pid}/comm`, "utf8") !== "sleep\n") await setTimeout(10);
      (parent.stdio[3] as Writable).end();
      while (!fs.readFileSync(`/proc/${zombie}/stat`, "utf8").includes(") Z ")) await setTimeout(10);
      const left = lock(zombie, now());
      assert.deepEqual(files(readLocks(state).left), [left]);
    } finally {
      parent.kill();
    }
  });

  it("are left if the number of the process now belongs to a later one", () => {
    const later = spawn("sleep", ["60"]);
    try {
      const reused = lock(later.pid, new Date(Date.now() - 60_000).toISOString());
      assert.deepEqual(files(readLocks(state).left), [reused]);
      fs.rmSync(reused);
      const own = lock(later.pid, now());
      assert.deepEqual(files(readLocks(state).held), [own]);
    } finally {
      later.kill();
    }
  });
});

describe("torn attributes of a state", () => {
  it("are removed, and whole ones stay", () => {
    const state = fs.mkdtempSync(path.join(os.tmpdir(), "xsched-triton-attributes-"));
    try {
      removeTornAttributes(state);
      const folder = path.join(state, ".pulumi/stacks/project");
      fs.mkdirSync(folder, { recursive: true });
      const contents = {
        "local.json": "{}",
        "local.json.attrs": "",
        "local.json.bak": "{}",
        "local.json.bak.attrs": '{"user.cache_control":""}',
        "../meta.yaml.attrs": '{"user.cache',
      };
      for (const [name, text] of Object.entries(contents)) fs.writeFileSync(path.join(folder, name), text);
      removeTornAttributes(state);
      assert.deepEqual(fs.readdirSync(folder), ["local.json", "local.json.bak", "local.json.bak.attrs"]);
      assert.deepEqual(fs.readdirSync(path.dirname(folder)), ["project"]);
    } finally {
      fs.rmSync(state, { recursive: true });
    }
  });
});
