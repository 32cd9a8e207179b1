import * as fs from "node:fs";
import * as os from "node:os";
import * as path from "node:path";

import * as pulumi from "@pulumi/pulumi";

import { isLeftover } from "./leftovers";

/** What is in a model's folder, as it reaches the host. */
export interface ModelFolder {
  /** Every file and folder, a folder before what is in it, in an order that is the same on every machine. */
  readonly items: readonly FolderItem[];
  /** Whether tools have left something in the folder. */
  readonly hasOthers: boolean;
}

/** A file of a model's folder, or a folder in it. */
export interface FolderItem {
  /** Relative to the model's folder; of a folder with a slash behind. */
  readonly path: string;
  /** Where the file is; undefined for a folder. */
  readonly file: string | undefined;
  /** Whether it is a folder that holds nothing of the model. */
  readonly empty: boolean;
  readonly bytes: number;
  readonly executable: boolean;
}

/** Rendered for each deployment; at the top of the folder only. */
const RENDERED = "config.pbtxt";

/**
 * Lists a model's folder. Symbolic links count as what they lead to, which is in the model's folder or in the project:
 * a model that somebody else has made must not take other files of this machine along.
 *
 * @param allowOutsideLinks whether they may lead anywhere
 * @throws RunError naming what cannot be read, or cannot be part of a model
 */
export function readModelFolder(directory: string, allowOutsideLinks = false): ModelFolder {
  const roots = allowOutsideLinks ? ["/"] : [directory, process.cwd()];
  const walk: Walk = {
    items: [],
    hasOthers: false,
    roots: roots.map((root) => attempt(root, () => fs.realpathSync(root))),
  };
  readFolder(directory, "", new Set(), walk);
  return walk;
}

interface Walk {
  readonly items: FolderItem[];
  hasOthers: boolean;
  /** Real paths of the folders that symbolic links may lead into. */
  readonly roots: readonly string[];
}

function refuseOutsideLink(place: string, { roots }: Walk): void {
  const status = attempt(place, () => fs.lstatSync(place));
  if (!status.isSymbolicLink()) return;
  const real = attempt(place, () => fs.realpathSync(place));
  const isBelow = (root: string): boolean => !path.relative(root, real).split(path.sep).includes("..");
  if (roots.some(isBelow)) return;
  throw new pulumi.RunError(
    `${place}: this symbolic link leads out of the model's folder and the project, to ${real}\n` +
      "  fix: copy the file to where the link is, or set the model's allowOutsideLinks to true if you trust the folder",
  );
}

/** @param inside real paths of the folders that this one is inside of; a link to one of them would never end */
function readFolder(folder: string, prefix: string, inside: ReadonlySet<string>, walk: Walk): void {
  const real = attempt(folder, () => fs.realpathSync(folder));
  if (inside.has(real)) {
    throw new pulumi.RunError(
      `${folder}: this symbolic link leads back to a folder that contains it\n  fix: remove it`,
    );
  }
  const all = attempt(folder, () => fs.readdirSync(folder, { encoding: "buffer" }));
  const own = all.filter((name) => !isLeftover(name.toString("latin1")));
  if (own.length < all.length) walk.hasOthers = true;
  const decoded = own
    // The same order whatever the language of the machine.
    .sort((a, b) => Buffer.compare(a, b))
    .map((name) => decodeName(folder, name));
  for (const name of decoded) refuseOutsideLink(path.join(folder, name), walk);
  const names = decoded.filter((name) => !(prefix === "" && name === RENDERED));
  if (prefix !== "") {
    const empty = names.length === 0;
    walk.items.push({ path: prefix, file: undefined, empty, bytes: 0, executable: false });
  }
  for (const name of names) {
    const place = path.join(folder, name);
    const relative = `${prefix}${name}`;
    const status = attempt(place, () => fs.statSync(place));
    if (status.isDirectory()) {
      readFolder(place, `${relative}/`, new Set([...inside, real]), walk);
    } else if (status.isFile()) {
      const executable = (status.mode & 0o111) !== 0;
      walk.items.push({ path: relative, file: place, empty: false, bytes: status.size, executable });
    } else {
      throw new pulumi.RunError(
        `${place}: neither a file nor a folder\n  fix: remove it from the model's folder`,
      );
    }
  }
}

const UTF8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

/** Pulumi's state, S3 and Triton's API are UTF-8; another name would reach the host as another file. */
function decodeName(folder: string, name: Buffer): string {
  try {
    return UTF8.decode(name);
  } catch {
    // As `ls -b` and $'…' of a shell write it.
    const written = Array.from(name, (byte) =>
      byte >= 0x20 && byte < 0x7f ? String.fromCharCode(byte) : `\\x${byte.toString(16).padStart(2, "0")}`,
    ).join("");
    throw new pulumi.RunError(
      `${folder}: the name of the file ${written} is not UTF-8\n  fix: rename it: cd ${folder} && mv $'${written}' NEW_NAME`,
    );
  }
}

/** Reads something, with an error that says what to do about it. */
export function attempt<T>(place: string, read: () => T): T {
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

/**
 * A model's folder without what tools have left in it, for whoever can only transfer a folder as a whole. If there is
 * something, it is a folder of links to the model's files, which lasts as long as the program.
 */
export function folderToTransfer(directory: string, { items, hasOthers }: ModelFolder): string {
  if (!hasOthers) return directory;
  const staging = fs.mkdtempSync(path.join(os.tmpdir(), "xsched-triton-model-"));
  process.once("exit", () => {
    fs.rmSync(staging, { recursive: true, force: true });
  });
  gather(items, staging);
  return staging;
}

/** Puts the files and folders of a model into a folder that is there: by links where possible, as they can be gigabytes. */
export function gather(items: readonly FolderItem[], folder: string): void {
  for (const { path: relative, file } of items) {
    const target = path.join(folder, relative);
    if (file === undefined) fs.mkdirSync(target);
    else linkOrCopy(fs.realpathSync(file), target);
  }
}

function linkOrCopy(file: string, target: string): void {
  try {
    fs.linkSync(file, target);
  } catch {
    // On another disk, or of another user.
    fs.copyFileSync(file, target);
  }
}
