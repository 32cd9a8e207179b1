import { createHash } from "node:crypto";
import * as fs from "node:fs";
import * as os from "node:os";
import * as path from "node:path";

/** Smaller files are read each time: that costs no more than to look them up. */
const SMALLEST_BYTES = 1 << 20;

/** A file that has changed this recently may change again within the resolution of its file system's clock. */
const RESOLUTION_MS = 2000;

/** What nobody has asked for in this time is forgotten. */
const KEPT_DAYS = 90;

const CHUNK_BYTES = 1 << 20;
const DAY_MS = 24 * 60 * 60 * 1000;

/** What tells whether a file is still the one that was read; the contents of a file can't change without its ctime. */
interface Entry {
  readonly state: string;
  readonly sha256: string;
  /** Days since 1970 when it was asked for last. */
  readonly day: number;
}

/**
 * SHA-256 of files, which are read again only when their size, times or inode differ from those of the last time: a model
 * of gigabytes would otherwise add seconds to an `up` without changes. With `XSCHED_TRITON_VERIFY=1` every file is read.
 *
 * What is known lies in the user's cache, `$XDG_CACHE_HOME/xsched-triton/digests.json`. It may be deleted at any time.
 */
export class FileDigests {
  private readonly known: Map<string, Entry>;
  private changed = false;

  /** @param now milliseconds since 1970 */
  public constructor(
    private readonly store = cacheFile(),
    private readonly verify = process.env.XSCHED_TRITON_VERIFY === "1",
    private readonly now: () => number = Date.now,
  ) {
    this.known = read(store);
  }

  /** @throws Error if the file can't be read */
  public of(file: string): string {
    const status = fs.statSync(file, { bigint: true });
    if (status.size < SMALLEST_BYTES) return digest(file);
    const day = Math.floor(this.now() / DAY_MS);
    const key = fs.realpathSync(file);
    const state = stateOf(status);
    const entry = this.known.get(key);
    if (entry?.state === state && !this.verify) {
      if (entry.day !== day) this.put(key, { ...entry, day });
      return entry.sha256;
    }
    const sha256 = digest(file);
    const settled = this.now() - Number(status.ctimeMs) >= RESOLUTION_MS;
    // What was written while it was read has another state by now.
    if (settled && stateOf(fs.statSync(file, { bigint: true })) === state) {
      this.put(key, { state, sha256, day });
    }
    return sha256;
  }

  /** Keeps what has been learned. A cache that can't be written is none. */
  public save(): void {
    if (!this.changed) return;
    const oldest = Math.floor(this.now() / DAY_MS) - KEPT_DAYS;
    const kept = [...read(this.store), ...this.known].filter(([, { day }]) => day >= oldest);
    const staging = `${this.store}.${process.pid}`;
    try {
      fs.mkdirSync(path.dirname(this.store), { recursive: true });
      fs.writeFileSync(staging, JSON.stringify(Object.fromEntries(kept)));
      fs.renameSync(staging, this.store);
      this.changed = false;
    } catch {
      discard(staging);
    }
  }

  private put(key: string, entry: Entry): void {
    this.known.set(key, entry);
    this.changed = true;
  }
}

/** Where the XDG Base Directory Specification wants it. */
function cacheFile(): string {
  const given = process.env.XDG_CACHE_HOME ?? "";
  const caches = path.isAbsolute(given) ? given : path.join(os.homedir(), ".cache");
  return path.join(caches, "xsched-triton", "digests.json");
}

function stateOf({ dev, ino, size, mtimeNs, ctimeNs }: fs.BigIntStats): string {
  return [dev, ino, size, mtimeNs, ctimeNs].join(" ");
}

function read(store: string): Map<string, Entry> {
  try {
    const found: unknown = JSON.parse(fs.readFileSync(store, "utf8"));
    return new Map(Object.entries(found as Record<string, unknown>).filter(isEntry));
  } catch {
    return new Map();
  }
}

function isEntry(pair: [string, unknown]): pair is [string, Entry] {
  const { state, sha256, day } = (pair[1] ?? {}) as Record<string, unknown>;
  return typeof state === "string" && /^[0-9a-f]{64}$/.test(String(sha256)) && typeof day === "number";
}

function discard(file: string): void {
  try {
    fs.rmSync(file, { force: true });
  } catch {
    // Its folder is none.
  }
}

function digest(file: string): string {
  const contents = createHash("sha256");
  const chunk = Buffer.alloc(CHUNK_BYTES);
  const descriptor = fs.openSync(file, "r");
  try {
    for (let bytes; (bytes = fs.readSync(descriptor, chunk)) > 0;) contents.update(chunk.subarray(0, bytes));
  } finally {
    fs.closeSync(descriptor);
  }
  return contents.digest("hex");
}
