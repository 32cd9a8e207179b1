import { createHash } from "node:crypto";
import * as fs from "node:fs";
import * as path from "node:path";

import * as pulumi from "@pulumi/pulumi";

import type { ImageVariant } from "../settings";

const DOCKERFILE = "images/triton/Dockerfile";

/**
 * Sources that only some variants are built from, by how their paths begin; the first one that fits counts. A change to
 * what a variant does not use builds no other image of it.
 */
const USED_BY: readonly (readonly [beginning: string, variants: readonly ImageVariant[]])[] = [
  ["native/triton_hooks/", ["hooked"]],
  ["native/tensorrt_backend/src/model_scheduling.", ["hooked", "patched"]],
  ["native/tensorrt_backend/", ["patched"]],
  ["images/triton/cmake-requirements.txt", ["patched"]],
];

/** Where contexts are staged, in the program's folder: a path that is the same on every machine. */
const STAGED = ".local/xsched-triton-image";

/** A folder with exactly what an image is built from. */
export interface BuildContext {
  /** Relative to the program's folder. */
  readonly location: string;
  /** Relative to the program's folder. */
  readonly dockerfile: string;
  /** SHA-256 of its contents. */
  readonly revision: string;
}

/**
 * Copies a variant's sources into a folder of their own. Docker's provider also hashes unrelated files and the checkout's
 * permissions; here, equal sources always give an equal folder.
 *
 * @param programDirectory absolute path of the program's folder
 * @param sources the folder that the paths in the ignore file start at
 * @throws RunError naming a file that cannot be read or written
 */
export function stageBuildContext(
  variant: ImageVariant,
  programDirectory: string,
  sources = sourceFolder(),
): BuildContext {
  const location = path.posix.join(STAGED, variant);
  const target = path.join(programDirectory, location);
  const files = [DOCKERFILE, ...contextFiles(sources, variant)];
  const hash = createHash("sha256");
  try {
    removeOthers(target, new Set(files));
    for (const file of files) {
      const text = fs.readFileSync(path.join(sources, file));
      hash.update(`${file}\0${text.length}\0`).update(text);
      write(path.join(target, file), text);
    }
    // It must not be committed, whatever the program's own .gitignore says.
    write(path.join(programDirectory, STAGED, ".gitignore"), Buffer.from("*\n"));
  } catch (error) {
    throw new pulumi.RunError(
      `cannot stage the sources of the image: ${error instanceof Error ? error.message : String(error)}`,
    );
  }
  return { location, dockerfile: path.posix.join(location, DOCKERFILE), revision: hash.digest("hex") };
}

/** This project's folder; in the package, a copy of the relevant part is beside this file. */
function sourceFolder(): string {
  const packaged = path.join(__dirname, "sources");
  return fs.existsSync(packaged) ? packaged : path.resolve(__dirname, "../..");
}

/** The files that the Dockerfile's ignore file lets in, sorted. */
function contextFiles(sources: string, variant: ImageVariant): readonly string[] {
  return fs
    .readFileSync(path.join(sources, `${DOCKERFILE}.dockerignore`), "utf8")
    .split("\n")
    .filter((line) => line.startsWith("!"))
    .map((line) => line.slice(1))
    .flatMap((place) => filesIn(sources, place))
    .filter((file) => isUsed(file, variant))
    .sort();
}

function isUsed(file: string, variant: ImageVariant): boolean {
  const [, variants] = USED_BY.find(([beginning]) => file.startsWith(beginning)) ?? [];
  return variants?.includes(variant) ?? true;
}

/** A file itself, or all files in a folder. */
function filesIn(sources: string, place: string): readonly string[] {
  const absolute = path.join(sources, place);
  if (!fs.statSync(absolute).isDirectory()) return [place];
  return fs.readdirSync(absolute).flatMap((name) => filesIn(sources, path.posix.join(place, name)));
}

/** Removes files that an earlier state of the sources left. */
function removeOthers(target: string, files: ReadonlySet<string>): void {
  if (!fs.existsSync(target)) return;
  for (const entry of fs.readdirSync(target, { recursive: true, withFileTypes: true })) {
    const place = path.join(entry.parentPath, entry.name);
    if (!entry.isDirectory() && !files.has(path.relative(target, place))) fs.rmSync(place);
  }
}

/** A file that has the right content is not rewritten: another run may be reading it. */
function write(file: string, text: Buffer): void {
  if (!fs.existsSync(file) || !fs.readFileSync(file).equals(text)) {
    fs.mkdirSync(path.dirname(file), { recursive: true });
    const temporary = `${file}.${process.pid}`;
    fs.writeFileSync(temporary, text);
    fs.renameSync(temporary, file);
  }
  if ((fs.statSync(file).mode & 0o777) !== 0o644) fs.chmodSync(file, 0o644);
}
