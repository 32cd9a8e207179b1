import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import * as fs from "node:fs";
import * as os from "node:os";
import * as path from "node:path";

import { textOf } from "../../../components/host/agentCommand";
import { judge, type SshRun } from "../../../components/host/hostCheck";
import { skipWithoutMounts, whereItMayMount } from "../../mounts";

const HOST = { address: "gpu.example.com", user: "me" };

describe("whether a machine can take a deployment", () => {
  let base: string;

  beforeEach(() => {
    base = fs.realpathSync(fs.mkdtempSync(path.join(os.tmpdir(), "xsched-check-")));
  });
  afterEach(() => {
    fs.rmSync(base, { recursive: true });
  });

  const words = (folder: string): string[] => {
    const programs = ["find-python.sh", "check-host.py"].map(textOf);
    return ["/bin/sh", "-c", programs[0]!, "find-python.sh", programs[1]!, folder];
  };
  /** Asks as a login does that begins in `cwd`. */
  function check(folder: string, cwd = os.userInfo().homedir, PATH = process.env.PATH): SshRun {
    const [program = "", ...rest] = words(folder);
    const { status, stdout, stderr } = spawnSync(program, rest, {
      cwd,
      env: { ...process.env, PATH },
      encoding: "utf8",
    });
    return { code: status, stdout, stderr };
  }
  /** Asks on a machine where a small file system is mounted at `base`. */
  function checkMounted(test: Mocha.Context, options: string, prepare = ":"): SshRun {
    skipWithoutMounts(test, base);
    const mount = `mount -t tmpfs -o mode=755 tmpfs "$0" && cd "$0"; ${prepare}; mount -o "remount,$1" "$0"; shift; "$@"`;
    const { status, stdout, stderr } = whereItMayMount(mount, [base, options, ...words(`${base}/a folder`)]);
    return { code: status, stdout, stderr };
  }
  async function verdict(run: SshRun, now = Date.now() / 1000): Promise<string | undefined> {
    const warn = (text: string): Promise<void> => assert.fail(text);
    return (await judge(HOST, run, now, warn))?.message;
  }
  const refused = async (run: SshRun, what: string, fix: RegExp): Promise<void> => {
    const message = (await verdict(run)) ?? "";
    const begin = "the host gpu.example.com cannot take the deployment, so nothing is changed on it: ";
    assert.equal(message.split("\n")[0], begin + what);
    assert.match(message.split("\n").slice(1).join("\n"), fix);
  };

  it("it can, and nothing is made there", async () => {
    assert.equal(await verdict(check(path.join(base, "a folder"))), undefined);
    assert.deepEqual(fs.readdirSync(base), []);
    assert.equal(await verdict(check("a relative folder")), undefined);
  });

  it("it cannot where a relative folder would not be at home", async () => {
    const home = os.userInfo().homedir;
    const user = os.userInfo().username;
    await refused(
      check(".triton", base),
      `the login shell of ${user} goes to ${base}, so the folder .triton would not be below ${home}`,
      new RegExp(`^fix: .*~/\\.bashrc, has a cd, .* absolute path: ${home}/\\.triton$`),
    );
    // There is one of an earlier deployment.
    fs.mkdirSync(path.join(base, ".triton"));
    fs.writeFileSync(path.join(base, ".triton/.xsched-triton.json"), "{}");
    assert.equal(await verdict(check(".triton", base)), undefined);
  });

  it("it cannot without Bash, where a file is in the way", async () => {
    fs.writeFileSync(path.join(base, "file"), "");
    await refused(
      check(`${base}/file/folder`),
      `${base}/file is not a folder`,
      /^fix: remove it, or choose another folder \(host\.directory\)$/,
    );
    await refused(check(`${base}/folder`, base, base), "it has no Bash", /^fix: install it: .*apk add bash$/);
  });

  it("it cannot on a file system that is read-only, or mounted with noexec", async function () {
    await refused(
      checkMounted(this, "ro"),
      `the file system ${base} is read-only, so ${base}/a folder cannot be made there`,
      new RegExp(`^fix: .*: sudo mount -o remount,rw ${base}; .*dmesg says why`),
    );
    await refused(
      checkMounted(this, "noexec"),
      `${base} is on a file system that is mounted with noexec, so nothing can run from it`,
      /^fix: choose a folder elsewhere \(host\.directory\), such as \/opt/,
    );
  });

  it("it cannot on a disk without space or inodes for the agent; says how much of what is missing", async function () {
    await refused(
      checkMounted(this, "size=9m", "head -c 4M /dev/zero >file"),
      `the disk ${base} has 5 MB free, too little for ${base}/a folder, which needs 8 MB and what the models and Triton take`,
      new RegExp(`^fix: free some space on ${base}, or choose`),
    );
    await refused(
      checkMounted(this, "nr_inodes=50"),
      `the disk ${base} has 49 inodes free, too few for ${base}/a folder, which needs 400 and those of the models and Triton`,
      new RegExp(`^fix: remove files on ${base} \\(df -i\\), or choose`),
    );
  });

  it("it is not asked how a folder is that a deployment has made, which the next may have to mend", async function () {
    const made = `mkdir "a folder"; echo "{}" >"a folder/.xsched-triton.json"`;
    assert.equal(await verdict(checkMounted(this, "ro", made)), undefined);
    assert.equal(
      await verdict(checkMounted(this, "size=9m", `${made}; head -c 8M /dev/zero >file`)),
      undefined,
    );
  });

  it("it cannot where the user may run no command, whatever is said instead", async () => {
    for (const [code, stdout, stderr] of [
      [0, "Backups only\n", ""],
      [1, "", "Backups only\n"],
    ] as const) {
      const [what, fix] = (await verdict({ code, stdout, stderr }))!.split("\n");
      assert.equal(
        what,
        "the host gpu.example.com runs no commands for me, so nothing is changed on it; it answers: Backups only",
      );
      assert.match(fix!, /^fix: .*ForceCommand.*command=.*sudo chsh -s \/bin\/bash me\);.*~\/\.bashrc/);
    }
    const silent = (await verdict({ code: 0, stdout: "", stderr: "" }))!;
    assert.match(silent, /runs no commands for me, so nothing is changed on it\nfix: /);
  });

  it("it is known whatever a login shell prints", async () => {
    const { stdout, stderr } = check(base);
    assert.equal(await verdict({ code: 0, stdout: `Welcome${stdout}`, stderr }), undefined);
    const { code, ...none } = check(`/dev/null/folder`);
    await refused(
      { code, ...none, stderr: `stdin: is not a tty\n${none.stderr}` },
      "/dev/null is not a folder",
      /./,
    );
  });

  it("nobody knows where ssh is missing or the connection fails, but a refusal is one", async () => {
    assert.equal(await verdict({ code: 127, stdout: "", stderr: "" }), undefined);
    assert.equal(await verdict({ code: 255, stdout: "", stderr: "Connection reset by peer\n" }), undefined);
    assert.match(
      (await verdict({ code: 255, stdout: "", stderr: "me@gpu: Permission denied (publickey).\n" }))!,
      /^the host cannot be logged in to, .*: me@gpu: Permission denied \(publickey\)\.\nfix: check host\.user/,
    );
  });

  it("a clock that is wrong is a warning, which says by how much", async () => {
    const warned = async (skew: number): Promise<string[]> => {
      const texts: string[] = [];
      const warn = (text: string): Promise<void> => Promise.resolve(void texts.push(text));
      const run = { code: 0, stdout: `xsched-triton-result {"time": ${1e9 + skew}}\n`, stderr: "" };
      assert.equal(await judge(HOST, run, 1e9, warn), undefined);
      return texts.map((text) => text.split(";")[0]!);
    };
    assert.deepEqual(await warned(299), []);
    assert.deepEqual(await warned(-299), []);
    const clock = "the clock of the host gpu.example.com is";
    assert.deepEqual(await warned(86_400), [`${clock} 24 h ahead of this machine's`]);
    assert.deepEqual(await warned(-600), [`${clock} 10 min behind this machine's`]);
    assert.deepEqual(await warned(-400 * 86_400), [`${clock} 400 days behind this machine's`]);
  });
});
