import { createHash, Hash } from "node:crypto";
import * as fs from "node:fs";
import * as path from "node:path";

import * as pulumi from "@pulumi/pulumi";

export interface DirectoryDigest {
  /** First 16 hexadecimal digits of the SHA-256. */
  readonly digest: string;
  readonly files: number;
  readonly bytes: number;
  /** The files, and the folders that hold none, in the order of the digest. */
  readonly entries: readonly DirectoryEntry[];
}

/** A file of a model's folder, or an empty folder in it. */
export interface DirectoryEntry {
  /** Relative to the model's folder; of a folder with a slash behind. */
  readonly path: string;
  /** Where the file is; undefined for a folder. */
  readonly file: string | undefined;
  readonly bytes: number;
}

/** What comes and goes without a change of the model, at any depth. */
const IGNORED: ReadonlySet<string> = new Set(["__pycache__", ".git"]);

/** Rendered for each deployment; at the top of the folder only. */
const RENDERED = "config.pbtxt";

const CHUNK_BYTES = 1 << 20;

/**
 * Digest over everything of a model's folder that reaches the host: relative paths, contents, and whether a file is
 * executable. Folders count by their names, also empty ones, since an ensemble's version folder is empty. Symbolic
 * links count as what they lead to; times and owners do not count.
 *
 * @throws RunError naming a file that cannot be read
 */
export function digestDirectory(directory: string): DirectoryDigest {
  const walk: Walk = {
    hash: createHash("sha256"),
    files: 0,
    bytes: 0,
    entries: [],
    chunk: Buffer.alloc(CHUNK_BYTES),
  };
  digestEntries(directory, "", new Set(), walk);
  const { hash, files, bytes, entries } = walk;
  return { digest: hash.digest("hex").slice(0, 16), files, bytes, entries };
}

interface Walk {
  readonly hash: Hash;
  readonly chunk: Buffer;
  files: number;
  bytes: number;
  readonly entries: DirectoryEntry[];
}

/** @param inside real paths of the folders that this one is inside of; a link to one of them would never end */
function digestEntries(folder: string, prefix: string, inside: ReadonlySet<string>, walk: Walk): void {
  const real = attempt(folder, () => fs.realpathSync(folder));
  if (inside.has(real)) {
    throw new pulumi.RunError(
      `${folder}: this symbolic link leads back to a folder that contains it\n  fix: remove it`,
    );
  }
  const names = attempt(folder, () => fs.readdirSync(folder))
    .filter((name) => !IGNORED.has(name) && !(prefix === "" && name === RENDERED))
    .sort(byBytes);
  if (names.length === 0 && prefix !== "") walk.entries.push({ path: prefix, file: undefined, bytes: 0 });
  for (const name of names) {
    const place = path.join(folder, name);
    const relative = `${prefix}${name}`;
    const status = attempt(place, () => fs.statSync(place));
    if (status.isDirectory()) {
      walk.hash.update(`folder ${frame(relative)}\n`);
      digestEntries(place, `${relative}/`, new Set([...inside, real]), walk);
    } else if (status.isFile()) {
      digestFile(place, relative, (status.mode & 0o111) !== 0, walk);
    } else {
      throw new pulumi.RunError(
        `${place}: neither a file nor a folder\n  fix: remove it from the model's folder`,
      );
    }
  }
}

function digestFile(file: string, relative: string, executable: boolean, walk: Walk): void {
  const contents = createHash("sha256");
  const before = walk.bytes;
  attempt(file, () => {
    const descriptor = fs.openSync(file, "r");
    try {
      for (let read; (read = fs.readSync(descriptor, walk.chunk)) > 0; walk.bytes += read) {
        contents.update(walk.chunk.subarray(0, read));
      }
    } finally {
      fs.closeSync(descriptor);
    }
  });
  walk.files += 1;
  walk.entries.push({ path: relative, file, bytes: walk.bytes - before });
  walk.hash.update(`${executable ? "program" : "file"} ${frame(relative)} ${contents.digest("hex")}\n`);
}

/** A path in a form in which no two entries together look like another one. */
function frame(relative: string): string {
  return JSON.stringify(relative);
}

/** The same order whatever the language of the machine. */
function byBytes(a: string, b: string): number {
  return Buffer.compare(Buffer.from(a), Buffer.from(b));
}

function attempt<T>(place: string, read: () => T): T {
  try {
    return read();
  } catch (error) {
    throw new pulumi.RunError(fault(place, error));
  }
}

function fault(place: string, error: unknown): string {
  const code = error instanceof Error && "code" in error ? error.code : undefined;
  switch (code) {
    case "ENOENT":
      return `${place}: leads nowhere (a broken symbolic link, or just removed)\n  fix: restore its target, or remove it`;
    case "ELOOP":
      return `${place}: this symbolic link leads to itself\n  fix: remove it`;
    case "EACCES":
    case "EPERM":
      return `${place}: not readable for this user\n  fix: chmod -R u+rX ${path.dirname(place)}`;
    default:
      return `${place}: ${error instanceof Error ? error.message : String(error)}`;
  }
}
