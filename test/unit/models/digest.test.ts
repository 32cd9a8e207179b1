import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import * as fs from "node:fs";
import * as os from "node:os";
import * as path from "node:path";

import * as pulumi from "@pulumi/pulumi";

import { digestDirectory } from "../../../components/models/digest";
import { folderToTransfer, readModelFolder } from "../../../components/models/modelFolder";

describe("digestDirectory", () => {
  let folder: string;

  beforeEach(() => {
    folder = fs.mkdtempSync(path.join(os.tmpdir(), "digest-"));
    write("1/model.py", "print(1)\n");
    write("1/weights.bin", "x".repeat(3_000_000));
    write("labels.txt", "a\nb\n");
  });
  afterEach(() => {
    fs.rmSync(folder, { recursive: true });
  });

  function at(name: string): string {
    return path.join(folder, name);
  }
  function write(name: string, contents: string): void {
    fs.mkdirSync(path.dirname(at(name)), { recursive: true });
    fs.writeFileSync(at(name), contents);
  }
  const digest = (): string => digestDirectory(folder).digest;

  it("counts files and bytes", () => {
    const { digest: text, items } = digestDirectory(folder);
    assert.match(text, /^[0-9a-f]{16}$/);
    const bytes = items.reduce((sum, item) => sum + item.bytes, 0);
    assert.deepEqual([items.filter(({ file }) => file !== undefined).length, bytes], [3, 3_000_013]);
  });

  it("stays the same for a copy, other times and files that do not belong to the model", () => {
    const before = digest();
    fs.utimesSync(at("labels.txt"), 1, 1);
    write("config.pbtxt", "name: 'm'");
    write("1/__pycache__/model.cpython-312.pyc", "compiled");
    write(".git/HEAD", "ref");
    write(".DS_Store", "Finder");
    write("1/.ipynb_checkpoints/model-checkpoint.py", "print(0)\n");
    write("1/.model.py.swp", "Vim");
    // Emacs' lock of a file that somebody edits.
    fs.symlinkSync("somebody@somewhere.1:2", at("1/.#model.py"));
    assert.equal(digest(), before);
    const copy = `${folder}-copy`;
    fs.cpSync(folder, copy, { recursive: true });
    try {
      assert.equal(digestDirectory(copy).digest, before);
    } finally {
      fs.rmSync(copy, { recursive: true });
    }
  });

  const changes: readonly (readonly [string, () => void])[] = [
    [
      "other contents",
      () => {
        write("1/model.py", "print(2)\n");
      },
    ],
    [
      "a new file",
      () => {
        write("1/more", "");
      },
    ],
    [
      "a new folder",
      () => {
        fs.mkdirSync(at("2"));
      },
    ],
    [
      "another name",
      () => {
        fs.renameSync(at("labels.txt"), at("label.txt"));
      },
    ],
    [
      "a file that became executable",
      () => {
        fs.chmodSync(at("1/model.py"), 0o755);
      },
    ],
    [
      "a config.pbtxt below the top",
      () => {
        write("1/config.pbtxt", "");
      },
    ],
    [
      "contents that move to another file",
      () => {
        write("1/model.py", "");
        write("labels.txt", "print(1)\na\nb\n");
      },
    ],
  ];
  for (const [what, change] of changes) {
    it(`sees ${what}`, () => {
      const before = digest();
      change();
      assert.notEqual(digest(), before);
    });
  }

  it("follows symbolic links within the model's folder and the project", () => {
    const before = digest();
    const elsewhere = fs.mkdtempSync(path.join(process.cwd(), ".local-links-"));
    try {
      fs.renameSync(at("labels.txt"), path.join(elsewhere, "labels.txt"));
      fs.symlinkSync(path.join(elsewhere, "labels.txt"), at("labels.txt"));
      assert.equal(digest(), before);
      fs.rmSync(at("labels.txt"));
      fs.renameSync(path.join(elsewhere, "labels.txt"), at("1/labels.txt"));
      fs.symlinkSync("1/labels.txt", at("labels.txt"));
      digest();
    } finally {
      fs.rmSync(elsewhere, { recursive: true });
    }
  });

  it("refuses symbolic links that lead out of them, unless they may", () => {
    const before = digest();
    const elsewhere = `${folder}-elsewhere`;
    fs.mkdirSync(elsewhere);
    try {
      fs.renameSync(at("labels.txt"), path.join(elsewhere, "labels.txt"));
      fs.symlinkSync(path.join(elsewhere, "labels.txt"), at("labels.txt"));
      const fault = isFault(
        `${at("labels.txt")}: this symbolic link leads out of the model's folder and the project, to ${elsewhere}/labels.txt`,
      );
      assert.throws(digest, fault);
      assert.equal(digestDirectory(folder, true).digest, before);
      fs.rmSync(at("labels.txt"));
      // What is rendered is read as well.
      for (const name of ["config.pbtxt", "1/folder"]) {
        fs.symlinkSync(elsewhere, at(name));
        assert.throws(digest, isFault(`${at(name)}: this symbolic link leads out of`));
        fs.rmSync(at(name));
      }
    } finally {
      fs.rmSync(elsewhere, { recursive: true });
    }
  });

  it("is the one that releases so far have given, so that stored models stay", () => {
    fs.rmSync(at("1/weights.bin"));
    fs.mkdirSync(at("2/empty"), { recursive: true });
    fs.chmodSync(at("labels.txt"), 0o755);
    assert.equal(digest(), "79b4a3ea70067fbf");
  });

  it("reports a file whose name is not UTF-8", () => {
    const name = Buffer.concat([Buffer.from(at("1/caf")), Buffer.from([0xe9]), Buffer.from(".bin")]);
    fs.writeFileSync(name, "");
    assert.throws(digest, isFault(`${at("1")}: the name of the file caf\\xe9.bin is not UTF-8`));
    execFileSync("bash", ["-c", `cd ${at("1")} && mv $'caf\\xe9.bin' café.bin`]);
    digest();
  });

  describe("folderToTransfer", () => {
    it("is the folder itself if all in it belongs to the model", () => {
      assert.equal(folderToTransfer(folder, readModelFolder(folder)), folder);
    });

    it("is otherwise one that holds the same model and nothing else", () => {
      fs.renameSync(at("labels.txt"), at("1/real.txt"));
      fs.symlinkSync("1/real.txt", at("labels.txt"));
      fs.mkdirSync(at("2"));
      write("1/.DS_Store", "Finder");
      const staged = folderToTransfer(folder, readModelFolder(folder));
      assert.notEqual(staged, folder);
      assert.equal(fs.existsSync(path.join(staged, "1/.DS_Store")), false);
      assert.equal(fs.lstatSync(path.join(staged, "labels.txt")).isFile(), true);
      assert.equal(digestDirectory(staged).digest, digest());
    });
  });

  it("reports what it cannot read", () => {
    fs.symlinkSync("nowhere", at("1/broken"));
    assert.throws(digest, isFault(`${at("1/broken")}: leads nowhere`));
    fs.rmSync(at("1/broken"));
    fs.symlinkSync("..", at("1/up"));
    assert.throws(
      digest,
      isFault(`${at("1/up")}: this symbolic link leads back to a folder that contains it`),
    );
  });

  function isFault(start: string): (error: unknown) => boolean {
    return (error) => {
      assert.ok(pulumi.RunError.isInstance(error));
      assert.ok(error.message.startsWith(start), error.message);
      assert.match(error.message, /\n {2}fix: /);
      return true;
    };
  }
});
