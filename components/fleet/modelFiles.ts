import * as fs from "node:fs";

import type * as pulumi from "@pulumi/pulumi";

import { attempt, configOfFolder, type FolderItem, readModelFolder } from "../models";
import type { EngineSettings, ModelSettings } from "../settings";
import { configMapFiles, type ConfigMapFiles, MOST_BYTES } from "./configMapFiles";
import { digestOf } from "./names";

/** A model's files, all but its configuration: in a ConfigMap, or in an image. */
export type ModelFiles = InConfigMap | InImage;

interface Served {
  /** Name in requests, and of the model's folder. */
  readonly model: string;
  /** Of the model's name and the files. */
  readonly digest: string;
  /** The rendered `config.pbtxt`, which `live.ts` takes care of. */
  readonly config: string;
}

export interface InConfigMap extends Served, ConfigMapFiles {}

export interface InImage extends Served {
  /** The image whose files they are: `repository@sha256:…`, or a tag that is never moved. */
  readonly image: pulumi.Input<string>;
}

/** A model whose files go into an image: it is larger than a ConfigMap, or an engine is built of them. */
export interface ForImage extends Pick<Served, "model" | "config"> {
  readonly bytes: number;
  readonly items: readonly FolderItem[];
  readonly engine: EngineSettings | undefined;
}

/**
 * Reads the files of a model that is a folder on this machine, with the configuration that is rendered for it.
 *
 * @throws ModelConfigError, or RunError naming a file that cannot be read
 */
export function modelFiles(model: ModelSettings): InConfigMap | ForImage {
  const config = configOfFolder(model);
  const { items } = readModelFolder(model.source, model.allowOutsideLinks);
  // Before anything is read: it can be gigabytes.
  const bytes = items.reduce((sum, item) => sum + item.bytes, Buffer.byteLength(config));
  const { name, engine } = model;
  if (bytes > MOST_BYTES || engine !== undefined) return { model: name, config, bytes, items, engine };
  const files = configMapFiles(
    items.flatMap(({ path, file, empty, executable }) => {
      if (file !== undefined)
        return [{ path, executable, content: attempt(file, () => fs.readFileSync(file)) }];
      // A volume has no empty folder, and the version folder of an ensemble is one.
      return empty ? [{ path: `${path}.empty`, executable: false, content: Buffer.alloc(0) }] : [];
    }),
  );
  const { data, binaryData, items: placed } = files;
  const digest = digestOf([model.name, data, binaryData, placed]);
  return { ...files, model: model.name, digest, config };
}

export function isForImage(files: InConfigMap | ForImage): files is ForImage {
  return "bytes" in files;
}

export function isInImage(files: ModelFiles): files is InImage {
  return "image" in files;
}
