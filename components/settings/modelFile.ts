import * as path from "node:path";

/**
 * Whether a text of a model's configuration is a path that leads out of the model's folder; only that folder is copied to
 * the host. Relative paths start there, and so does what Triton substitutes for a variable.
 */
export function leavesModelFolder(text: string): boolean {
  if (!text.includes("..") || /\s/.test(text)) return false;
  const relative = path.posix.normalize(text.replace(/^\$\$TRITON_MODEL_DIRECTORY\/+/, ""));
  return relative === ".." || relative.startsWith("../");
}

/** What to do about such a path. */
export const MOVE_INSIDE =
  "put the file into the model's folder, where a symbolic link to it will do, and give its path there";
