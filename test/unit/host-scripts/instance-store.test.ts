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

/** Real block devices, which lsblk takes for the disks of an instance. */
class Disks {
  private readonly devices: { device: string; model: string }[] = [];

  public constructor(private readonly machine: Machine) {}

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

  /** What a stop of the instance does. */
  public stopInstance(): void {
    for (const place of [this.machine.file("models/store"), path.join(this.machine.folder, "dlami")]) {
      const mounted = spawnSync("mountpoint", ["-q", place]).status === 0;
      // What a script has started may still end.
      if (mounted)
        execFileSync("bash", ["-c", 'until umount "$0" || ((++tries > 50)); do sleep 0.1; done', place]);
    }
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
  this.timeout(60_000);
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

  it("is formatted and mounted where models lie, and found again after a reboot", async () => {
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
  });

  it("is never one that somebody else has formatted or mounted", async () => {
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

  it("is the one that a Deep Learning AMI has mounted already", async () => {
    const device = disks.add(INSTANCE_STORE);
    execFileSync("mkfs.ext4", ["-q", device]);
    const mount = path.join(machine.folder, "dlami");
    fs.mkdirSync(mount);
    execFileSync("mount", [device, mount]);
    await machine.succeed("mount-instance-store.sh");
    assert.ok(deviceOf(store()).startsWith(`${device}[/xsched-triton-`));
    await machine.succeed("unmount-instance-store.sh");
  });

  it("does not hide models that lie on the root disk", async () => {
    disks.add(INSTANCE_STORE);
    fs.mkdirSync(path.join(store(), "model"), { recursive: true });
    assert.match(
      await machine.succeed("mount-instance-store.sh"),
      /on the root disk already; they stay there/,
    );
    assert.ok(fs.existsSync(path.join(store(), "model")));
  });

  it("is nothing where there is none", async () => {
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

    it("gets its models back: from S3 what came from there, the others from the root disk", async () => {
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

    it("gets what served, although the bucket holds something newer by then", async () => {
      await storeFromS3("d1", "f1", "what serves");
      activate("chat", "d1");
      await s3.put(BUCKET, "chat/1/weights", "what will be deployed tomorrow");
      disks.stopInstance();
      await machine.succeed("boot-host.sh");
      assert.equal(read("chat", "d1", "1/weights"), "what serves");
    });

    it("gets both what serves and what was stored last, and nothing older", async () => {
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

    it("gets the other models when one cannot be had, and says which", async () => {
      await storeFromS3("d1", "f1", "weights");
      activate("chat", "d1");
      await storeFromFolder("e1", "g1", "code");
      disks.stopInstance();
      s3.mischief.set("chat/1/weights", "deny");
      const { status, stderr } = await machine.run("boot-host.sh");
      s3.mischief.clear();
      assert.notEqual(status, 0);
      assert.match(stderr, /^error: not all models are back: chat$/m);
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
