import * as fs from "node:fs";
import * as path from "node:path";

import * as dockerBuild from "@pulumi/docker-build";
import * as pulumi from "@pulumi/pulumi";

import { registryOf } from "../image/registry";
import { attempt, type FolderItem, gather } from "../models";
import { FileDigests } from "../models/fileDigests";
import type { InImage, ForImage } from "./modelFiles";
import { digestOf, readable } from "./names";

/** Where images' files are gathered, in the program's folder: a path that is the same on every machine, so that it is no change. */
const STAGED = ".local/xsched-triton-models";

/** What Docker's builder finds of a model: it must not take the model's own `.dockerignore` for its own. */
const FILES = "files";

/** Becomes the configuration in force, which is mounted over it: a read-only volume takes no new file. */
const CONFIG = "config.pbtxt";

/** Anybody may read them, whatever their modes here, which are then no change. */
const DOCKERFILE = `FROM scratch\nCOPY --chmod=0555 ${FILES}/ /\n`;

/** As in this project's images: equal files give an equal digest, whenever they are built. */
const SOURCE_DATE_EPOCH = "315532800";

/** Where images of models go. */
export interface ModelRegistry {
  /** With its registry's address and without a tag. */
  readonly repository: string;
  readonly login: pulumi.Output<{ readonly username: string; readonly password: string }> | undefined;
}

/**
 * Puts a model's files into an image and pushes it. A node pulls it once, for all pods that have it as a volume.
 *
 * @throws RunError naming a file that cannot be read, or copied
 */
export function modelImage(
  fleet: string,
  { model, config, items }: ForImage,
  { repository, login }: ModelRegistry,
  opts: pulumi.CustomResourceOptions,
): InImage {
  const digest = digestOfItems(model, items);
  const called = [readable(model), digest].filter((part) => part !== "").join("-");
  const image = new dockerBuild.Image(
    `${fleet}-model-${called}`,
    {
      // Another stack may be brought up in this folder at the same time.
      context: { location: stage(path.posix.join(STAGED, pulumi.getStack(), fleet, called), items) },
      dockerfile: { inline: DOCKERFILE },
      buildArgs: { SOURCE_DATE_EPOCH },
      // The core supports no other platform, so no node has another one.
      platforms: [dockerBuild.Platform.Linux_amd64],
      tags: [`${repository}:${called}`],
      // The export pushes: timestamps can only be rewritten there.
      push: false,
      exports: [{ raw: "type=registry,rewrite-timestamp=true" }],
      buildOnPreview: false,
      ...(login && {
        registries: [
          {
            address: registryOf(repository),
            username: login.username,
            password: pulumi.secret(login.password),
          },
        ],
      }),
    },
    // A pod of a former version may have to start again.
    { ...opts, retainOnDelete: true },
  );
  return { model, config, digest, image: pulumi.interpolate`${repository}@${image.digest}` };
}

function digestOfItems(model: string, items: readonly FolderItem[]): string {
  const digests = new FileDigests();
  const read = items.map(({ path: place, file }) => [
    place,
    file === undefined ? "" : attempt(file, () => digests.of(file)),
  ]);
  digests.save();
  return digestOf([model, read]);
}

/**
 * Gathers a model's files, and nothing else, in a folder for Docker's builder. The folder goes with the program, or files
 * that are deleted would stay on the disk.
 *
 * @returns the folder, relative to the program's
 */
function stage(location: string, items: readonly FolderItem[]): string {
  const target = path.resolve(location);
  const files = path.join(target, FILES);
  attempt(target, () => {
    fs.rmSync(target, { recursive: true, force: true });
    fs.mkdirSync(files, { recursive: true });
    // It must not be committed, whatever the program's own .gitignore says.
    fs.writeFileSync(path.join(STAGED, ".gitignore"), "*\n");
    fs.writeFileSync(path.join(files, CONFIG), "");
    gather(items, files);
  });
  removeAtExit(target);
  return location;
}

/** Folders that go with the program. */
const STAGED_FOLDERS = new Set<string>();

function removeAtExit(folder: string): void {
  if (STAGED_FOLDERS.size === 0) {
    process.once("exit", () => {
      for (const each of STAGED_FOLDERS) fs.rmSync(each, { recursive: true, force: true });
    });
  }
  STAGED_FOLDERS.add(folder);
}
