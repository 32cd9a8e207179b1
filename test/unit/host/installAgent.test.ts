import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import * as fs from "node:fs";
import * as os from "node:os";
import * as path from "node:path";

import { agentBundle } from "../../../components/host/agentCommand";
import { type AgentRun, callAgent, ended, installation } from "../../agent";
import { skipWithoutMounts, whereItMayMount } from "../../mounts";

const OWNER = { project: "vision", stack: "prod", id: "id-1" };

describe("the agent's installation", () => {
  let base: string;
  let folder: string;

  beforeEach(() => {
    base = fs.realpathSync(fs.mkdtempSync(path.join(os.tmpdir(), "xsched-install-")));
    // Spaces and quotes, because users have them.
    folder = path.join(base, "the host's folder");
  });
  afterEach(() => {
    fs.chmodSync(base, 0o755);
    fs.rmSync(base, { recursive: true });
  });

  /** @param programs the only folder with programs, if given */
  function install(owner = OWNER, programs?: string): AgentRun {
    const words = installation(folder, owner).map((word) =>
      programs === undefined ? word : word.replace("/usr/bin/python3 ", ""),
    );
    const { status, stdout, stderr } = spawnSync("/bin/sh", words, {
      input: agentBundle(),
      encoding: "utf8",
      env: { ...process.env, ...(programs !== undefined && { PATH: programs }) },
    });
    return ended(status, stdout, stderr);
  }
  const write = (name: string, text = ""): void => {
    fs.mkdirSync(path.dirname(path.join(folder, name)), { recursive: true });
    fs.writeFileSync(path.join(folder, name), text);
  };
  const content = (): string[] => fs.readdirSync(folder, { recursive: true, encoding: "utf8" }).sort();
  const refused = ({ status, stderr }: AgentRun, what: RegExp): void => {
    assert.equal(status, 1);
    assert.match(stderr, what);
    assert.match(stderr, /\nfix: \S.*\n$/);
  };

  it("makes the folder and one program in it, which says what the host has", () => {
    const { status, result, stderr } = install();
    assert.equal(status, 0, stderr);
    const facts = result as { directory: string; gpus: unknown; docker: unknown };
    assert.equal(facts.directory, folder);
    assert.ok(Array.isArray(facts.gpus));
    assert.equal(typeof facts.docker, "boolean");
    assert.deepEqual(content(), [
      ".xsched-triton.json",
      "bin",
      "bin/agent",
      "bin/agent.sha256",
      "bin/remove-host.sh",
    ]);
    assert.deepEqual(JSON.parse(fs.readFileSync(path.join(folder, ".xsched-triton.json"), "utf8")), OWNER);
    const sums = spawnSync("sha256sum", ["-c", "--quiet", "agent.sha256"], { cwd: path.join(folder, "bin") });
    assert.equal(sums.status, 0);
  });

  it("can be repeated, and takes the folder of an earlier release over", () => {
    write("bin/host-directory.sh");
    write("bin/start-server.sh");
    write("models/store/m/d/1/model.py", "pass");
    assert.equal(install().status, 0);
    assert.equal(install().status, 0);
    assert.deepEqual(
      content().filter((file) => file.startsWith("bin/") || file.endsWith(".py")),
      ["bin/agent", "bin/agent.sha256", "bin/remove-host.sh", "models/store/m/d/1/model.py"],
    );
  });

  for (const [what, prepare] of [
    ["by what an earlier release has noted for that", (): void => void install()],
    [
      "where it was killed before the folder had its marker",
      (): void => {
        write("..xsched-triton.json.x1_y2z3w", "{");
      },
    ],
  ] as const) {
    it(`is removed ${what}`, () => {
      prepare();
      const script = fs.readFileSync(
        path.resolve(__dirname, "../../../components/host/remove-directory.sh"),
        "utf8",
      );
      const { status, stderr } = spawnSync("bash", ["-c", script, "remove-directory.sh", folder], {
        encoding: "utf8",
      });
      assert.equal(status, 0, stderr);
      assert.ok(!fs.existsSync(folder));
    });
  }

  it("gives a program that Python compiles once", () => {
    install();
    const program = path.join(folder, "bin/agent");
    const python = /^#!(\S+) -I\n/.exec(fs.readFileSync(program, "latin1"))?.[1] ?? "";
    const { status, stderr } = spawnSync(python, ["-I", "-v", program, "nothing"], { encoding: "utf8" });
    assert.equal(status, 1);
    assert.match(stderr, /import 'agent\.commands'/);
    assert.doesNotMatch(stderr, /# code object from .*\/agent\/commands\.py\b(?!c)/);
    assert.match(callAgent(folder, ["nothing"]).stderr, /^error: there is no command 'nothing'\nfix: /);
  });

  it("goes on where it was killed before the folder had its marker", () => {
    write("..xsched-triton.json.x1_y2z3w", "{");
    assert.equal(install().status, 0);
    assert.deepEqual(
      content().filter((file) => file.startsWith(".")),
      [".xsched-triton.json"],
    );
  });

  it("refuses a folder from which nothing can run, and leaves it alone", function () {
    fs.mkdirSync(folder);
    skipWithoutMounts(this, folder);
    const mounted =
      'mount -t tmpfs -o noexec,mode=755 tmpfs "$0" && /bin/sh "$@" && exit; code=$?; ls -A "$0"; exit $code';
    const words = [folder, ...installation(folder, OWNER)];
    const { status, stdout, stderr } = whereItMayMount(mounted, words, agentBundle());
    refused(ended(status, stdout, stderr), /^error: .* is mounted with noexec, so nothing can run from it$/m);
    assert.equal(stdout, "");
  });

  it("names a disk that is full, or a file system that has become read-only, and keeps the former agent", function () {
    fs.mkdirSync(folder);
    skipWithoutMounts(this, folder);
    for (const [options, what, fix] of [
      [
        "size=2500k",
        /^error: there is no space left on the disk .*'s folder for the agent in .* \(\d MB and \d+ inodes are free\)$/m,
        /^fix: free some on .*df -i/m,
      ],
      [
        "ro",
        /^error: the file system .*'s folder is read-only, so the agent cannot be installed in /m,
        /^fix: mount it for writing \(sudo mount -o remount,rw /m,
      ],
    ] as const) {
      const twice =
        'mount -t tmpfs -o mode=755 tmpfs "$0" && options=$1 && shift && cat >/dev/shm/$$ && ' +
        '/bin/sh "$@" </dev/shm/$$ >/dev/null && mount -o "remount,$options" "$0" && sum=$(md5sum "$0"/bin/*) && ' +
        '{ ! /bin/sh "$@" </dev/shm/$$; } && [ "$sum" = "$(md5sum "$0"/bin/*)" ]; code=$?; rm /dev/shm/$$; exit $code';
      const words = [folder, options, ...installation(folder, OWNER)];
      const { status, stdout, stderr } = whereItMayMount(twice, words, agentBundle());
      assert.equal(status, 0, stderr);
      assert.match(stderr, what);
      assert.match(stderr, fix);
      assert.equal(stdout, "");
    }
  });

  it("refuses a folder with files of somebody else, and leaves it alone", () => {
    write("thesis.txt", "mine");
    refused(install(), /^error: .* holds files that no deployment has put there$/m);
    assert.deepEqual(content(), ["thesis.txt"]);
  });

  it("refuses the folder of another stack, or of another deployment of that name", () => {
    install();
    const before = content();
    fs.rmSync(path.join(folder, "bin/agent"));
    refused(
      install({ ...OWNER, stack: "dev" }),
      /^error: .* belongs to the stack prod of the project vision$/m,
    );
    refused(
      install({ ...OWNER, id: "id-2" }),
      /^error: .* another deployment of a stack that is called prod, too\nfix: .*\.xsched-triton\.json'.*$/m,
    );
    assert.ok(!fs.existsSync(path.join(folder, "bin/agent")));
    assert.equal(install().status, 0);
    assert.deepEqual(content(), before);
  });

  it("names a command that takes over the folder of a stack that was renamed or has lost its state", () => {
    install();
    for (const owner of [
      { ...OWNER, id: "id-2" },
      { ...OWNER, id: "id-2", project: "sight" },
    ]) {
      const { status, stderr } = install(owner);
      assert.equal(status, 1);
      const command = /^fix: .*: (echo .*)$/m.exec(stderr)?.[1] ?? "";
      assert.equal(spawnSync("sh", ["-c", command]).status, 0, command);
      assert.equal(install(owner).status, 0);
    }
    assert.doesNotMatch(install({ ...OWNER, id: "id-3", stack: "dev" }).stderr, /echo/);
    fs.rmSync(path.join(folder, ".xsched-triton.json"));
    refused(
      install(),
      /^error: .* was made by a deployment, but \.xsched-triton\.json, .* is gone\nfix: .* echo /m,
    );
  });

  it("refuses a marker that says nothing", () => {
    write(".xsched-triton.json", "{");
    refused(install(), /belongs to the stack None/);
  });

  it("refuses a folder that others may write into, or into which they could put another", () => {
    fs.mkdirSync(folder, { mode: 0o755 });
    fs.chmodSync(folder, 0o757);
    refused(install(), /^error: others than \S+ may write into .*the host's folder\nfix: chmod o-w '/m);
    fs.chmodSync(folder, 0o755);
    fs.chmodSync(base, 0o777);
    refused(install(), /^error: others than \S+ may write into /m);
    fs.chmodSync(base, 0o1777);
    assert.equal(install().status, 0);
  });

  if (process.getuid?.() === 0) {
    it("refuses a folder that another user has prepared", () => {
      fs.mkdirSync(folder);
      fs.chownSync(folder, 65534, 65534);
      refused(install(), /^error: .* belongs to nobody, not to root, who deploys$/m);
      fs.chownSync(folder, 0, 0);
      fs.chownSync(base, 65534, 65534);
      refused(install(), /^error: nobody owns .*, and so can replace /m);
      fs.chownSync(base, 0, 0);
    });
  }

  it("says what to install where there is no Python, or an old one", () => {
    const programs = path.join(base, "programs");
    fs.mkdirSync(programs);
    refused(install(OWNER, programs), /^error: this host has no Python 3\.8 or newer$/m);
    const words = ["-c", "import os, sys; print(os.path.realpath(sys.executable))"];
    const python = spawnSync("python3", words, { encoding: "utf8" }).stdout.trim();
    fs.writeFileSync(path.join(programs, "python3"), "#!/bin/sh\nexit 1\n", { mode: 0o755 });
    fs.symlinkSync(python, path.join(programs, "python3.11"));
    assert.equal(install(OWNER, programs).status, 0);
  });

  it("is told apart from what a login shell prints", () => {
    const { stdout } = install();
    assert.ok(ended(0, `Welcome!\n{"gpus": 1}\n${stdout}`, "").result);
  });
});
