import { createHash, Hash } from "node:crypto";

import { FileDigests } from "./fileDigests";
import { attempt, readModelFolder } from "./modelFolder";
import type { FolderItem, ModelFolder } from "./modelFolder";

export interface DirectoryDigest extends ModelFolder {
  /** First 16 hexadecimal digits of the SHA-256. */
  readonly digest: string;
}

/**
 * Digest over everything of a model's folder that reaches the host: relative paths, contents, and whether a file is
 * executable. Folders count by their names, also empty ones, since an ensemble's version folder is empty. Symbolic
 * links count as what they lead to; times and owners do not count.
 *
 * @param allowOutsideLinks whether symbolic links may lead out of the folder and the project
 * @throws RunError naming a file that cannot be read
 */
export function digestDirectory(directory: string, allowOutsideLinks = false): DirectoryDigest {
  const folder = readModelFolder(directory, allowOutsideLinks);
  const hash = createHash("sha256");
  const files = new FileDigests();
  for (const item of folder.items) digestItem(item, hash, files);
  files.save();
  return { ...folder, digest: hash.digest("hex").slice(0, 16) };
}

function digestItem({ path, file, executable }: FolderItem, hash: Hash, files: FileDigests): void {
  if (file === undefined) {
    hash.update(`folder ${frame(path.slice(0, -1))}\n`);
    return;
  }
  const contents = attempt(file, () => files.of(file));
  hash.update(`${executable ? "program" : "file"} ${frame(path)} ${contents}\n`);
}

/** A path in a form in which no two items together look like another one. */
function frame(relative: string): string {
  return JSON.stringify(relative);
}
