import assert from "node:assert/strict";
import { execFileSync, spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import * as fs from "node:fs";
import * as path from "node:path";

import { S3Server } from "../../aws/s3Server";
import { Machine } from "./machine";

const INSTANCE_STORE = "Amazon EC2 NVMe Instance Storage";
const BUCKET = "instance-store-models";

const md5 = (content: string): string => createHash("md5").update(content).digest("hex");

/** Where the kernel has no device mapper, LVM keeps its real metadata, and the volume is a file. */
const LVM = `#!/bin/bash
name=\${0##*/} group=\${@: -1} file=$MACHINE/volume
real() {
  { LVM_SUPPRESS_FD_WARNINGS=1 "/sbin/$name" --config 'global{activation=0}' "$@" 2>&1 >&3 |
    grep -v 'Activation disabled' >&2; } 3>&1
  return "\${PIPESTATUS[0]}"
}
detach() {
  [ ! -L "/dev/$group/models" ] || losetup --detach "$(readlink "/dev/$group/models")"
  rm -rf "/dev/$group"
}
case "$name $*" in
  lvcreate*)
    real --activate n --zero n --wipesignatures n "$@" 2>/dev/null || exit
    rm -f "$file"
    truncate --size 64M "$file"
    ;;
  vgchange*'--activate y'*)
    ! /sbin/vgs --config 'global{activation=0}' --noheadings -o vg_attr "$group" 2>/dev/null | grep -q '^ *...p' || exit 5
    mkdir -p "/dev/$group"
    [ -L "/dev/$group/models" ] || ln -s "$(losetup --find --show "$file")" "/dev/$group/models"
    ;;
  vgchange*'--activate n'*) detach ;;
  vgremove*) detach && real "$@" ;;
  *) real "$@" ;;
esac
`;
const HAS_DEVICE_MAPPER = fs.readFileSync("/proc/misc", "utf8").includes(" device-mapper");

/** Real block devices, which lsblk reports as an instance's disks. */
class Disks {
  private readonly devices: { device: string; model: string }[] = [];

  public constructor(private readonly machine: Machine) {
    if (HAS_DEVICE_MAPPER) return;
    for (const name of ["vgs", "lvs", "vgcreate", "vgremove", "pvremove", "lvcreate", "vgchange"]) {
      machine.program(name, LVM);
    }
  }

  /** The volume group of the machine's host directory. */
  public get group(): string {
    const digest = createHash("sha256").update(this.machine.directory).digest("hex");
    return `xsched-triton-${digest.slice(0, 12)}`;
  }

  /** Runs a program on the machine and returns its output. */
  public ask(program: string, ...words: string[]): string {
    const { status, stdout, stderr } = spawnSync(program, words, {
      encoding: "utf8",
      env: this.machine.environment,
    });
    assert.equal(status, 0, `${program}: ${stderr}`);
    return stdout.trim();
  }

  /** Whether a disk is blank. */
  public isBlank(device: string): boolean {
    return spawnSync("blkid", ["-p", device]).status === 2;
  }

  public add(model: string): string {
    const file = path.join(this.machine.folder, `disk${this.devices.length}`);
    fs.writeFileSync(file, "");
    fs.truncateSync(file, 64 << 20);
    const device = execFileSync("losetup", ["--find", "--show", file], { encoding: "utf8" }).trim();
    this.devices.push({ device, model });
    const lines = this.devices.map((each) => `${each.device} ${each.model.replaceAll(" ", "\\x20")}`);
    this.machine.program(
      "lsblk",
      `#!/bin/bash\n[ "$1" = -dnro ] || exec ${realLsblk} "$@"\ncat <<'EOT'\n${lines.join("\n")}\nEOT\n`,
    );
    return device;
  }

  /** Simulates a reboot of the instance. */
  public reboot(): void {
    for (const place of [this.machine.file("models/store"), path.join(this.machine.folder, "dlami")]) {
      const mounted = spawnSync("mountpoint", ["-q", place]).status === 0;
      // A script's child may still be ending.
      if (mounted)
        execFileSync("bash", ["-c", 'until umount "$0" || ((++tries > 50)); do sleep 0.1; done', place]);
    }
    if (spawnSync("vgs", [this.group], { env: this.machine.environment }).status === 0) {
      this.ask("vgchange", "--activate", "n", this.group);
    }
  }

  /** Simulates a stop of the instance. */
  public stopInstance(): void {
    this.reboot();
    for (const { device, model } of this.devices) {
      if (model === INSTANCE_STORE) execFileSync("wipefs", ["--all", "--quiet", device]);
    }
  }

  public remove(): void {
    this.stopInstance();
    for (const { device } of this.devices) execFileSync("losetup", ["--detach", device]);
  }
}

const realLsblk = spawnSync("bash", ["-c", "command -v lsblk"], { encoding: "utf8" }).stdout.trim();

describe("the instance store of a host", function () {
  this.timeout(120_000);
  let machine: Machine;
  let disks: Disks;

  before(function () {
    if (process.getuid?.() !== 0) {
      console.log("      only root may mount");
      this.skip();
    }
  });

  beforeEach(() => {
    machine = new Machine();
    disks = new Disks(machine);
  });

  afterEach(() => {
    disks.remove();
    machine.remove();
  });

  const deviceOf = (folder: string): string =>
    execFileSync("findmnt", ["-no", "SOURCE", "-T", folder], { encoding: "utf8" }).trim();

  const store = (): string => machine.file("models/store");

  it("is formatted and mounted at the models' folder, and found again after a reboot", async () => {
    disks.add("Amazon Elastic Block Store");
    const device = disks.add(INSTANCE_STORE);
    assert.match(
      await machine.succeed("mount-instance-store.sh"),
      new RegExp(`formatting the .* ${device}\n`),
    );
    assert.equal(deviceOf(store()), device);
    assert.deepEqual(fs.readdirSync(store()), []);
    fs.writeFileSync(path.join(store(), "model"), "weights");
    assert.equal(await machine.succeed("mount-instance-store.sh"), "");
    execFileSync("umount", [store()]);
    assert.doesNotMatch(await machine.succeed("mount-instance-store.sh"), /formatting/);
    assert.equal(fs.readFileSync(path.join(store(), "model"), "utf8"), "weights");
    await machine.succeed("unmount-instance-store.sh");
    assert.notEqual(deviceOf(machine.directory), device);
    assert.deepEqual(fs.readdirSync(store()), []);
    assert.ok(disks.isBlank(device));
  });

  describe("with several disks", () => {
    let free: string[];
    let theirs: string;

    beforeEach(function () {
      if (!fs.existsSync("/sbin/lvm")) {
        console.log("      LVM is not installed (Debian: lvm2)");
        this.skip();
      }
      disks.add("Amazon Elastic Block Store");
      const [first, second] = [disks.add(INSTANCE_STORE), disks.add(INSTANCE_STORE)];
      theirs = disks.add(INSTANCE_STORE);
      execFileSync("mkfs.ext4", ["-q", "-L", "theirs", theirs]);
      free = [first, second, disks.add(INSTANCE_STORE)];
    });

    const volume = (): string => `/dev/${disks.group}/models`;

    const isStriped = (): void => {
      assert.equal(fs.realpathSync(deviceOf(store())), fs.realpathSync(volume()));
      const report = disks.ask("lvs", "--noheadings", "-o", "stripes,devices", disks.group);
      const [stripes, devices = ""] = report.split(/\s+/);
      assert.equal(stripes, "3");
      assert.deepEqual(devices.split(",").sort(), free.map((device) => `${device}(0)`).sort());
    };

    it("is one volume, striped over all free disks, and found again after a reboot", async () => {
      const said = await machine.succeed("mount-instance-store.sh");
      assert.ok(said.includes(`putting 3 disks of the instance store together: ${free.join(" ")}\n`), said);
      isStriped();
      assert.deepEqual(fs.readdirSync(store()), []);
      fs.writeFileSync(path.join(store(), "model"), "weights");
      assert.equal(await machine.succeed("mount-instance-store.sh"), "");
      disks.reboot();
      assert.doesNotMatch(await machine.succeed("mount-instance-store.sh"), /formatting|together/);
      isStriped();
      assert.equal(fs.readFileSync(path.join(store(), "model"), "utf8"), "weights");
    });

    it("is created again after a stop, which empties the disks", async () => {
      await machine.succeed("mount-instance-store.sh");
      fs.writeFileSync(path.join(store(), "model"), "weights");
      disks.stopInstance();
      execFileSync("mkfs.ext4", ["-q", "-L", "theirs", theirs]);
      assert.match(await machine.succeed("mount-instance-store.sh"), /together[^]*formatting/);
      isStriped();
      assert.deepEqual(fs.readdirSync(store()), []);
    });

    it("leaves its disks blank, and those of others unchanged", async () => {
      await machine.succeed("mount-instance-store.sh");
      fs.writeFileSync(path.join(store(), "model"), "weights");
      await machine.succeed("unmount-instance-store.sh");
      assert.deepEqual(
        free.map((device) => disks.isBlank(device)),
        [true, true, true],
      );
      assert.ok(!fs.existsSync(volume()));
      assert.equal(disks.ask("blkid", "-p", "-s", "LABEL", "-o", "value", theirs), "theirs");
      await machine.succeed("unmount-instance-store.sh");
    });

    it("is completed or undone after an interruption", async () => {
      disks.ask("vgcreate", disks.group, ...free);
      await machine.succeed("mount-instance-store.sh");
      isStriped();
      disks.stopInstance();
      disks.ask("vgcreate", disks.group, ...free);
      await machine.succeed("unmount-instance-store.sh");
      assert.ok(free.every((device) => disks.isBlank(device)));
    });

    it("never uses someone else's volume group", async () => {
      disks.ask("vgcreate", `${disks.group}-theirs`, ...free.slice(0, 2));
      await machine.succeed("mount-instance-store.sh");
      assert.equal(deviceOf(store()), free[2]);
      await machine.succeed("unmount-instance-store.sh");
      assert.equal(disks.ask("vgs", "--noheadings", "-o", "pv_count", `${disks.group}-theirs`), "2");
      disks.ask("vgremove", "--yes", `${disks.group}-theirs`);
    });

    it("says what to do when one of them fails", async () => {
      await machine.succeed("mount-instance-store.sh");
      disks.reboot();
      execFileSync("wipefs", ["--all", "--quiet", free[1]!]);
      const { status, stderr } = await machine.run("mount-instance-store.sh");
      assert.notEqual(status, 0);
      assert.match(
        stderr,
        /^error: the instance store .* lacks a disk\nfix: stop the instance and start it/m,
      );
      assert.ok(disks.isBlank(free[1]!));
    });

    it("is only one of them if LVM is missing, with a warning", async () => {
      machine.program("vgs", "#!/bin/bash\nexit 127\n");
      assert.match(
        await machine.succeed("mount-instance-store.sh"),
        /^warning: only one of 3 disks is used.*lvm2$/m,
      );
      assert.equal(deviceOf(store()), free[0]);
    });
  });

  it("is never a disk that the user may not read", () => {
    const device = disks.add(INSTANCE_STORE);
    execFileSync("mkfs.ext4", ["-q", "-L", "theirs", device]);
    // Simulates root's permissions where the script needs them: blkid finds something, as it does for root.
    machine.program(
      "sudo",
      '#!/bin/bash\nshift\necho "$*" >>"$MACHINE/as-root"\ncase $1 in vgs) exit 5 ;; esac\n',
    );
    fs.writeFileSync(path.join(machine.folder, "as-root"), "", { mode: 0o666 });
    fs.chmodSync(path.join(machine.folder, "as-root"), 0o666);
    fs.chmodSync(machine.folder, 0o755);
    const nobody = ["--reuid=65534", "--regid=65534", "--clear-groups"];
    const { status, stderr } = spawnSync(
      "setpriv",
      [...nobody, "bash", machine.file("bin/mount-instance-store.sh"), machine.directory],
      { encoding: "utf8", env: machine.environment },
    );
    assert.equal(status, 0, stderr);
    const asked = fs.readFileSync(path.join(machine.folder, "as-root"), "utf8");
    assert.match(asked, new RegExp(`^blkid -p ${device}$`, "m"));
    assert.doesNotMatch(asked, /mkfs|mount/);
  });

  it("is never a disk that somebody else has formatted or mounted", async () => {
    const device = disks.add(INSTANCE_STORE);
    execFileSync("mkfs.ext4", ["-q", "-L", "theirs", device]);
    assert.equal(await machine.succeed("mount-instance-store.sh"), "");
    assert.ok(!fs.existsSync(store()));
    assert.equal(
      spawnSync("blkid", ["-s", "LABEL", "-o", "value", device]).stdout.toString().trim(),
      "theirs",
    );
    // The second disk is free.
    const free = disks.add(INSTANCE_STORE);
    await machine.succeed("mount-instance-store.sh");
    assert.equal(deviceOf(store()), free);
  });

  it("is the one that a Deep Learning AMI has mounted", async () => {
    const device = disks.add(INSTANCE_STORE);
    execFileSync("mkfs.ext4", ["-q", device]);
    const mount = path.join(machine.folder, "dlami");
    fs.mkdirSync(mount);
    execFileSync("mount", [device, mount]);
    await machine.succeed("mount-instance-store.sh");
    assert.ok(deviceOf(store()).startsWith(`${device}[/xsched-triton-`));
    await machine.succeed("unmount-instance-store.sh");
  });

  it("does not hide models on the root disk", async () => {
    disks.add(INSTANCE_STORE);
    fs.mkdirSync(path.join(store(), "model"), { recursive: true });
    assert.match(
      await machine.succeed("mount-instance-store.sh"),
      /on the root disk already; they stay there/,
    );
    assert.ok(fs.existsSync(path.join(store(), "model")));
  });

  it("is absent on a machine without one", async () => {
    disks.add("Amazon Elastic Block Store");
    assert.equal(await machine.succeed("mount-instance-store.sh"), "");
  });

  describe("after a stop", () => {
    let s3: S3Server;

    before(async function () {
      this.timeout(600_000);
      s3 = await S3Server.start();
      await s3.createBucket(BUCKET);
      await s3.keepVersions(BUCKET);
    });

    after(async () => {
      await s3.stop();
    });

    beforeEach(async () => {
      Object.assign(machine.environment, s3.environment, {
        PATH: `${path.join(machine.folder, "programs")}:${s3.environment.PATH}`,
      });
      disks.add(INSTANCE_STORE);
      await machine.succeed("mount-instance-store.sh");
    });

    const storeFromS3 = async (digest: string, files: string, content: string): Promise<void> => {
      await s3.put(BUCKET, "chat/1/weights", content);
      const source = `s3://${BUCKET}/chat`;
      const list = `${md5(content)} ${content.length} 1/weights\n${md5("")} 0 1/empty/\n`;
      await machine.succeed("fetch-model.sh", ["chat", files, source], list);
      await machine.succeed("store-model.sh", ["chat", digest, files, source], `of ${digest}`);
    };

    const storeFromFolder = async (digest: string, files: string, content: string): Promise<void> => {
      const source = path.join(machine.folder, "source");
      fs.mkdirSync(path.join(source, "1"), { recursive: true });
      fs.writeFileSync(path.join(source, "1/model.py"), content);
      await machine.succeed("store-model.sh", ["small", digest, files, source], `of ${digest}`);
    };

    const activate = (model: string, digest: string): void => {
      const link = machine.file("models/repository", model);
      fs.rmSync(link, { force: true });
      fs.symlinkSync(`../store/${model}/${digest}`, link);
    };

    const read = (model: string, digest: string, name: string): string =>
      fs.readFileSync(path.join(store(), model, digest, name), "utf8");

    it("gets its models back, from S3 if they came from there, otherwise from the root disk", async () => {
      await storeFromS3("d1", "f1", "first weights");
      activate("chat", "d1");
      await storeFromFolder("e1", "g1", "code");
      activate("small", "e1");
      disks.stopInstance();
      assert.ok(!fs.existsSync(machine.file("models/store/chat")));
      fs.rmSync(path.join(machine.folder, "source"), { recursive: true });
      await machine.succeed("boot-host.sh");
      assert.equal(read("chat", "d1", "1/weights"), "first weights");
      assert.ok(fs.statSync(path.join(store(), "chat/d1/1/empty")).isDirectory());
      assert.equal(read("chat", "d1", "config.pbtxt"), "of d1");
      assert.equal(read("small", "e1", "1/model.py"), "code");
      assert.equal(read("small", "e1", "config.pbtxt"), "of e1");
      s3.fetched.length = 0;
      await machine.succeed("boot-host.sh");
      assert.deepEqual(s3.fetched, []);
    });

    it("gets the version that served, although the bucket has a newer one", async () => {
      await storeFromS3("d1", "f1", "what serves");
      activate("chat", "d1");
      await s3.put(BUCKET, "chat/1/weights", "what will be deployed tomorrow");
      disks.stopInstance();
      await machine.succeed("boot-host.sh");
      assert.equal(read("chat", "d1", "1/weights"), "what serves");
    });

    it("gets the version that serves and the one stored last, and nothing older", async () => {
      await storeFromFolder("e1", "g1", "one");
      activate("small", "e1");
      await storeFromFolder("e2", "g2", "two");
      await storeFromFolder("e3", "g3", "three");
      disks.stopInstance();
      await machine.succeed("boot-host.sh");
      assert.equal(read("small", "e1", "1/model.py"), "one");
      assert.equal(read("small", "e3", "1/model.py"), "three");
      assert.ok(!fs.existsSync(path.join(store(), "small/e2")));
      const kept = fs.readdirSync(machine.file("models/kept/small")).sort();
      assert.deepEqual(kept, ["e1", "e3", "files-g1", "files-g3"]);
    });

    it("gets the other models if one cannot be restored, and says which", async () => {
      await storeFromS3("d1", "f1", "weights");
      activate("chat", "d1");
      await storeFromFolder("e1", "g1", "code");
      disks.stopInstance();
      s3.mischief.set("chat/1/weights", "deny");
      const { status, stderr } = await machine.run("boot-host.sh");
      s3.mischief.clear();
      assert.notEqual(status, 0);
      assert.match(stderr, /^error: some models could not be restored: chat$/m);
      assert.match(stderr, /denies this host access to s3:\/\/instance-store-models\/chat\/1\/weights/);
      assert.equal(read("small", "e1", "1/model.py"), "code");
      await machine.succeed("boot-host.sh");
      assert.equal(read("chat", "d1", "1/weights"), "weights");
    });

    it("forgets a model that is removed", async () => {
      await storeFromFolder("e1", "g1", "code");
      await machine.succeed("remove-model.sh", ["small"]);
      assert.ok(!fs.existsSync(machine.file("models/kept/small")));
      assert.ok(!fs.existsSync(path.join(store(), "small")));
    });
  });
});
