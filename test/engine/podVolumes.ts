import * as fs from "node:fs";
import * as path from "node:path";

interface Item {
  readonly key: string;
  readonly path: string;
  readonly mode: number;
}

interface Source {
  /** Without items, each key is a file. */
  readonly configMap: { readonly name: string; readonly items?: readonly Item[] };
}

/** A volume of a pod, of the kinds that a fleet has. */
export interface Volume {
  readonly name: string;
  readonly configMap?: Source["configMap"];
  readonly projected?: { readonly sources: readonly (Source | { readonly serviceAccountToken: object })[] };
  readonly emptyDir?: object;
  readonly secret?: { readonly secretName: string };
  readonly image?: { readonly reference: string };
}

export interface ConfigMap {
  readonly metadata: { readonly name: string; readonly namespace: string; readonly resourceVersion: string };
  readonly data?: Readonly<Record<string, string>>;
  readonly binaryData?: Readonly<Record<string, string>>;
}

/** What is in volumes, by their names: contents of files by theirs, or a folder with the files. */
export type GivenFiles = ReadonlyMap<string, Readonly<Record<string, string>> | string>;

/** Whether it has the token of the pod's account, which is none of a fleet's ConfigMaps. */
export const hasToken = ({ projected }: Volume): boolean =>
  projected?.sources.some((source) => "serviceAccountToken" in source) ?? false;

const itemsOf = ({ data = {} }: ConfigMap): readonly Item[] =>
  Object.keys(data).map((key) => ({ key, path: key, mode: 0o444 }));

const sourcesOf = ({ configMap, projected }: Volume): readonly Source[] =>
  projected?.sources.filter((source): source is Source => "configMap" in source) ??
  (configMap === undefined ? [] : [{ configMap }]);

/**
 * The volumes of a pod. Those of ConfigMaps are laid out as Kubernetes does: behind a link, so that another state takes the
 * place of a whole volume at once.
 */
export class PodVolumes {
  /** The states of each volume's ConfigMaps that are laid out. */
  private readonly states = new Map<string, string>();
  private count = 0;

  public constructor(
    private readonly folder: string,
    private readonly volumes: readonly Volume[],
    private readonly given: GivenFiles,
  ) {}

  public place(name: string): string {
    return path.join(this.folder, name);
  }

  /**
   * Lays out what has changed.
   *
   * @throws Error if a ConfigMap, or a key of one, is not there: the former state stays
   */
  public lay(configMaps: ReadonlyMap<string, ConfigMap>): void {
    for (const volume of this.volumes) {
      const files = this.given.get(volume.name);
      if (files !== undefined) {
        if (fs.existsSync(this.place(volume.name))) continue;
        if (typeof files === "string") {
          fs.cpSync(files, this.place(volume.name), { recursive: true });
          continue;
        }
        fs.mkdirSync(this.place(volume.name), { recursive: true });
        for (const [file, text] of Object.entries(files))
          fs.writeFileSync(path.join(this.place(volume.name), file), text);
        continue;
      }
      const sources = sourcesOf(volume);
      if (sources.length === 0) {
        if (volume.emptyDir === undefined) throw new Error(`a volume of a kind not known: ${volume.name}`);
        fs.mkdirSync(this.place(volume.name), { recursive: true, mode: 0o777 });
        continue;
      }
      const found = sources.map(({ configMap: { name, items } }) => {
        const configMap = configMaps.get(name);
        if (configMap === undefined) throw new Error(`there is no ConfigMap ${name}`);
        return { configMap, items: items ?? itemsOf(configMap) };
      });
      const state = found.map(({ configMap: { metadata } }) => metadata.resourceVersion).join();
      if (this.states.get(volume.name) === state) continue;
      this.fill(this.place(volume.name), found);
      this.states.set(volume.name, state);
    }
  }

  private fill(
    place: string,
    found: readonly { readonly configMap: ConfigMap; readonly items: readonly Item[] }[],
  ): void {
    const former = fs.existsSync(place) ? fs.readdirSync(place) : [];
    const state = `..state-${++this.count}`;
    for (const { configMap, items } of found) {
      const { data = {}, binaryData = {}, metadata } = configMap;
      for (const { key, path: file, mode } of items) {
        const text = data[key];
        const content = text ?? binaryData[key];
        if (content === undefined) throw new Error(`the ConfigMap ${metadata.name} has no key ${key}`);
        const target = path.join(place, state, file);
        fs.mkdirSync(path.dirname(target), { recursive: true });
        fs.writeFileSync(target, text ?? Buffer.from(content, "base64"), { mode });
      }
    }
    fs.symlinkSync(state, path.join(place, "..next"));
    fs.renameSync(path.join(place, "..next"), path.join(place, "..data"));
    for (const entry of fs.readdirSync(path.join(place, state))) {
      if (!former.includes(entry)) fs.symlinkSync(`..data/${entry}`, path.join(place, entry));
    }
    for (const entry of former.filter((name) => name.startsWith("..state-")))
      fs.rmSync(path.join(place, entry), { recursive: true });
  }
}
