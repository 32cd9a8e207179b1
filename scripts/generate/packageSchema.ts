import * as fs from "node:fs";
import * as path from "node:path";

import { ComponentProvider } from "@pulumi/pulumi/provider/experimental/provider";

import { COMPONENTS } from "../../components/plugin/components";

const ROOT = path.resolve(__dirname, "../..");
const PACKAGE = path.join(ROOT, "components");

/** A declaration of a union in the generated types, which Pulumi's analyser refuses. */
const UNION = /^export type (\w+) = ([^();]+);$/gm;

/** The analyser's type for `any`. */
const ANY = "pulumi.json#/Any";

interface Property {
  $ref?: string;
  oneOf?: readonly { readonly type: string }[];
}

interface Schema {
  readonly resources: Readonly<
    Record<string, { readonly inputProperties: Readonly<Record<string, Property>> }>
  >;
  readonly types: Readonly<Record<string, { readonly properties?: Readonly<Record<string, Property>> }>>;
}

/**
 * The schema of the package as a Pulumi plugin, from Pulumi's own analyser. The analyser does not support unions, but
 * Pulumi's schema does: the analyser sees `any` instead, and the unions are put back into its result.
 */
export async function packageSchema(): Promise<string> {
  fs.mkdirSync(path.join(ROOT, ".local"), { recursive: true });
  const view = fs.mkdtempSync(path.join(ROOT, ".local", "schema-"));
  try {
    fs.cpSync(PACKAGE, view, {
      recursive: true,
      filter: (file) =>
        path.basename(file) !== "node_modules" && /(^[^.]+|\.(ts|json))$/.test(path.basename(file)),
    });
    const unions = hideUnions(path.join(view, "settings/generated"));
    const provider = new ComponentProvider({ components: COMPONENTS, dirname: view, name: "xsched-triton" });
    const schema = JSON.parse(await provider.getSchema()) as Schema;
    showUnions(schema, unions);
    return `${JSON.stringify(schema, undefined, 2)}\n`;
  } finally {
    fs.rmSync(view, { recursive: true });
  }
}

/** @returns the types of each union that was replaced, by the properties that have it */
function hideUnions(folder: string): ReadonlyMap<string, readonly string[]> {
  const types = new Map<string, readonly string[]>();
  const texts = fs.readdirSync(folder).map((name) => {
    const file = path.join(folder, name);
    return { file, text: fs.readFileSync(file, "utf8") };
  });
  for (const { text } of texts) {
    for (const [, name = "", union = ""] of text.matchAll(UNION)) {
      types.set(name, [
        ...new Set(union.split(" | ").map((member) => (member.startsWith('"') ? "string" : member))),
      ]);
    }
  }
  const properties = new Map<string, readonly string[]>();
  for (const { file, text } of texts) {
    for (const [name, members] of types) {
      for (const [, property = ""] of text.matchAll(new RegExp(`^ +(\\w+)\\??: .*\\b${name}\\b.*;$`, "gm"))) {
        properties.set(property, members);
      }
    }
    fs.writeFileSync(file, text.replaceAll(UNION, "export type $1 = any;"));
  }
  return properties;
}

function showUnions(schema: Schema, unions: ReadonlyMap<string, readonly string[]>): void {
  const holders = [
    ...Object.values(schema.resources).map(({ inputProperties }) => inputProperties),
    ...Object.values(schema.types).map(({ properties = {} }) => properties),
  ];
  for (const properties of holders) {
    for (const [name, property] of Object.entries(properties)) {
      const members = unions.get(name);
      if (property.$ref === ANY && members !== undefined) {
        delete property.$ref;
        property.oneOf = members.map((type) => ({ type }));
      }
    }
  }
}
