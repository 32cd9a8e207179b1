import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import * as fs from "node:fs";
import * as os from "node:os";
import * as path from "node:path";

import { FileDigests } from "../../../components/models/fileDigests";

const DAY_MS = 24 * 60 * 60 * 1000;

describe("FileDigests", () => {
  let folder: string;
  let file: string;
  let store: string;
  const text = (letter: string): string => letter.repeat(2_000_000);
  const sha256 = (contents: string): string => createHash("sha256").update(contents).digest("hex");
  /** Long after the file was written. */
  const later = (): number => Date.now() + 10_000;
  const digests = (verify = false, now = later): FileDigests => new FileDigests(store, verify, now);

  beforeEach(() => {
    folder = fs.mkdtempSync(path.join(os.tmpdir(), "digests-"));
    file = path.join(folder, "weights.bin");
    store = path.join(folder, "cache/digests.json");
    fs.writeFileSync(file, text("a"));
  });
  afterEach(() => {
    fs.rmSync(folder, { recursive: true });
  });

  const learn = (): void => {
    const found = digests();
    assert.equal(found.of(file), sha256(text("a")));
    found.save();
  };
  /** Makes the store say something that no file has, to see who believes it. */
  const lie = (): string => {
    const claimed = "0".repeat(64);
    fs.writeFileSync(store, fs.readFileSync(store, "utf8").replace(/[0-9a-f]{64}/, claimed));
    return claimed;
  };

  it("reads a file that has not changed once", () => {
    learn();
    const claimed = lie();
    assert.equal(digests().of(file), claimed);
  });

  it("reads every file if told to", () => {
    learn();
    lie();
    assert.equal(digests(true).of(file), sha256(text("a")));
  });

  it("reads a file again that has changed, also with its size and time as before", () => {
    learn();
    const { atime, mtime } = fs.statSync(file);
    fs.writeFileSync(file, text("b"));
    fs.utimesSync(file, atime, mtime);
    assert.equal(digests().of(file), sha256(text("b")));
  });

  it("reads a file again that another one has replaced", () => {
    learn();
    const other = path.join(folder, "other");
    fs.writeFileSync(other, text("c"));
    fs.renameSync(other, file);
    assert.equal(digests().of(file), sha256(text("c")));
  });

  it("does not trust a file that has just been written", () => {
    const found = digests(false, Date.now);
    assert.equal(found.of(file), sha256(text("a")));
    found.save();
    assert.ok(!fs.existsSync(store));
  });

  it("keeps no small files", () => {
    fs.writeFileSync(file, "small");
    const found = digests();
    assert.equal(found.of(file), sha256("small"));
    found.save();
    assert.ok(!fs.existsSync(store));
  });

  it("forgets what nobody has asked for in months, and keeps what others have learned", () => {
    learn();
    const other = path.join(folder, "other.bin");
    fs.writeFileSync(other, text("b"));
    const months = digests(false, () => Date.now() + 100 * DAY_MS);
    months.of(other);
    months.save();
    assert.deepEqual(Object.keys(JSON.parse(fs.readFileSync(store, "utf8")) as object), [other]);
  });

  for (const damaged of ["", "[1]", "null", '{"x": 1}', '{"x": {"state": "1", "sha256": "no", "day": 1}}']) {
    it(`takes a store that holds ${JSON.stringify(damaged)} for an empty one`, () => {
      fs.mkdirSync(path.dirname(store));
      fs.writeFileSync(store, damaged);
      learn();
    });
  }

  it("works without a store", () => {
    fs.writeFileSync(path.join(folder, "cache"), "a file");
    learn();
  });
});
