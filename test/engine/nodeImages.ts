import { spawnSync } from "node:child_process";
import * as fs from "node:fs";
import * as path from "node:path";

import { Registry } from "./registry";

interface Manifest {
  readonly mediaType: string;
  /** Of an index. */
  readonly manifests?: readonly {
    readonly digest: string;
    readonly platform?: { readonly architecture: string };
  }[];
  readonly layers?: readonly { readonly digest: string; readonly mediaType: string }[];
}

/** The images of a node, as far as they are volumes: what is in each is in a folder. */
export class NodeImages {
  private readonly pulled = new Map<string, Promise<string>>();

  public constructor(private readonly folder: string) {}

  /** Those that were pulled, each once. */
  public get references(): readonly string[] {
    return [...this.pulled.keys()];
  }

  /** @returns the folder with an image's files */
  public folderOf(reference: string): Promise<string> {
    const known = this.pulled.get(reference) ?? this.pull(reference);
    this.pulled.set(reference, known);
    return known;
  }

  private async pull(reference: string): Promise<string> {
    const [, registry = "", repository = "", name = ""] =
      /^([^/]+)\/(.+?)(?:@|:(?=[^/]+$))(sha256:[0-9a-f]{64}|[\w.-]+)$/.exec(reference) ?? [];
    const ask = async (kind: "manifests" | "blobs", what: string): Promise<Response> => {
      const { username, password } = Registry.login;
      const answer = await fetch(`http://${registry}/v2/${repository}/${kind}/${what}`, {
        headers: {
          accept:
            "application/vnd.oci.image.index.v1+json, application/vnd.oci.image.manifest.v1+json, application/vnd.docker.distribution.manifest.v2+json, */*",
          authorization: `Basic ${Buffer.from(`${username}:${password}`).toString("base64")}`,
        },
      });
      if (!answer.ok) throw new Error(`${reference}: ${answer.status} ${await answer.text()}`);
      return answer;
    };
    const first = (await (await ask("manifests", name)).json()) as Manifest;
    const own = first.manifests?.find(({ platform }) => platform?.architecture === "amd64")?.digest;
    const manifest = own === undefined ? first : ((await (await ask("manifests", own)).json()) as Manifest);
    const folder = path.join(this.folder, name.replace(":", "-"));
    fs.mkdirSync(folder, { recursive: true });
    for (const layer of manifest.layers ?? []) {
      const input = Buffer.from(await (await ask("blobs", layer.digest)).arrayBuffer());
      const unpack = layer.mediaType.endsWith("gzip") ? ["-z"] : [];
      const { status, stderr } = spawnSync("tar", ["-xp", ...unpack, "-C", folder], { input });
      if (status !== 0) throw new Error(`${layer.mediaType}: ${stderr.toString()}`);
    }
    return folder;
  }
}
