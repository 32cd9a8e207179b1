import type { core } from "@pulumi/kubernetes";

/** Most bytes that Kubernetes takes in a ConfigMap: `MaxSecretSize` of its validation. */
export const MOST_BYTES = 1 << 20;

/** A file, by its path in a volume. */
export interface File {
  readonly path: string;
  readonly executable: boolean;
  readonly content: Buffer;
}

/** Where in a volume a key is, and its mode. */
export interface Item {
  readonly key: string;
  readonly path: string;
  readonly mode: number;
}

/** Files as a ConfigMap has them. */
export interface ConfigMapFiles {
  /** Texts by their keys. */
  readonly data: Readonly<Record<string, string>>;
  /** Other contents in base64, by their keys. */
  readonly binaryData: Readonly<Record<string, string>>;
  readonly items: readonly Item[];
}

const UTF8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

/** Gives each file a key. */
export function configMapFiles(files: readonly File[]): ConfigMapFiles {
  const keyed = files.map((file, index) => ({
    ...file,
    key: keyOf(file.path, index),
    text: textOf(file.content),
  }));
  return {
    data: Object.fromEntries(
      keyed.flatMap(({ key, text }) => (text === undefined ? [] : [[key, text] as const])),
    ),
    binaryData: Object.fromEntries(
      keyed.flatMap(({ key, text, content }) =>
        text === undefined ? [[key, content.toString("base64")]] : [],
      ),
    ),
    items: keyed.map(({ key, path, executable }) => ({ key, path, mode: executable ? 0o555 : 0o444 })),
  };
}

/** A key may have letters, digits, dashes, dots and underscores. The number keeps two paths apart that look alike so. */
export function keyOf(path: string, index: number): string {
  return `${index}-${path.replaceAll(/[^A-Za-z0-9._-]/g, "_").slice(-200)}`;
}

/** A file's text, if it is one that comes back as the same bytes. */
function textOf(content: Buffer): string | undefined {
  try {
    const text = UTF8.decode(content);
    return /[^\P{Cc}\t\n\r]/u.test(text) ? undefined : text;
  } catch {
    return undefined;
  }
}

/**
 * The content of a ConfigMap that changes, as a resource of its own: the provider would make the ConfigMap anew for
 * another one, and whoever reads it would miss it.
 */
export function patch(
  name: string,
  namespace: string,
  data: Readonly<Record<string, string>>,
): core.v1.ConfigMapPatchArgs {
  return {
    apiVersion: "v1",
    kind: "ConfigMap",
    metadata: {
      name,
      namespace,
      // Over what somebody has changed in the cluster.
      annotations: { "pulumi.com/patchForce": "true" },
    },
    data,
  };
}
