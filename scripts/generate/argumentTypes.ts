import {
  type Absent,
  choice,
  defaulted,
  type Field,
  type Fields,
  type Inside,
  plain,
  required,
  type Rule,
} from "../../components/settings/rules";
import {
  awsGpuHostInputs,
  awsLoadBalancerInputs,
  awsMonitoringInputs,
  ecrRepositoryInputs,
  eksClusterInputs,
  eksGpuNodesInputs,
  fleetInputs,
  gatewayInputs,
  hostServicesInputs,
  modelBucketInputs,
  modelRepositoryInputs,
  stackRule,
  tritonHostInputs,
  tritonImageInputs,
  tritonServerInputs,
} from "../../components/settings/schema";

/*
 * The components' arguments as TypeScript. Pulumi's analyser, which derives the plugin's schema, accepts only interfaces
 * and constants, and an editor only shows comments of declarations. Types inferred from the rules would not do for
 * either.
 */

type AnyRule = Rule<unknown, unknown>;
type AnyField = Field<unknown, unknown, unknown>;

/** What each file declares, including everything it refers to that no earlier file declares. */
const CONCERNS: readonly { readonly file: string; readonly rules: readonly AnyRule[] }[] = [
  { file: "hostArgs", rules: [tritonHostInputs(true), hostServicesInputs, awsGpuHostInputs] },
  { file: "imageArgs", rules: [tritonImageInputs, ecrRepositoryInputs] },
  { file: "modelArgs", rules: [modelRepositoryInputs, modelBucketInputs] },
  { file: "serverArgs", rules: [tritonServerInputs] },
  { file: "gatewayArgs", rules: [gatewayInputs] },
  { file: "loadBalancerArgs", rules: [awsLoadBalancerInputs] },
  { file: "monitoringArgs", rules: [awsMonitoringInputs] },
  { file: "stackArgs", rules: [stackRule] },
  { file: "fleetArgs", rules: [fleetInputs] },
  { file: "eksArgs", rules: [eksClusterInputs, eksGpuNodesInputs] },
];

const HEADER = "// Generated from the rules in components/settings by `npm run generate`; do not edit.\n";

const LINE = 100;

/** The text of each generated file, by its name without an extension. */
export function argumentTypes(): ReadonlyMap<string, string> {
  const owners = new Map<string, string>();
  const files = new Map<string, string>();
  for (const { file, rules } of CONCERNS) {
    const module = new Module(file, owners);
    for (const rule of rules) module.declare(rule);
    files.set(file, module.text());
  }
  const exports = CONCERNS.map(({ file }) => `export * from "./${file}";\n`);
  files.set("index", `${HEADER}${exports.join("")}`);
  return files;
}

/** One generated file. */
class Module {
  private readonly declarations: string[] = [];
  private readonly imports = new Map<string, Set<string>>();

  /** @param owners the file of each declared name */
  public constructor(
    private readonly file: string,
    private readonly owners: Map<string, string>,
  ) {}

  /** Declares a rule's type and the types that it refers to. */
  public declare(rule: AnyRule): void {
    this.typeOf(rule);
  }

  public text(): string {
    const imports = [...this.imports].map(
      ([file, names]) => `import type { ${[...names].sort().join(", ")} } from "./${file}";\n`,
    );
    const body = this.declarations.join("\n");
    const sdk = body.includes("pulumi.") ? `import type * as pulumi from "@pulumi/pulumi";\n\n` : "";
    return `${HEADER}${sdk}${imports.join("")}${imports.length > 0 ? "\n" : ""}${body}`;
  }

  /** The type of a value whose parts may be outputs. */
  private typeOf(rule: AnyRule): string {
    const { inside, type } = rule;
    switch (inside?.kind) {
      case "fields":
        return this.once(`${nameOf(inside)}Args`, (name) =>
          this.interfaceOf(name, inside.description, inside.fields),
        );
      case "variants":
        return this.once(`${inside.name}Args`, (name) =>
          this.interfaceOf(name, inside.description, unionFields(inside)),
        );
      case "names":
        return this.once(inside.name, (name) => namesOf(name, inside));
      case "union":
        return this.union(inside.name, inside.type, sentence(rule.allowed));
      case "items":
        return `${this.itemOf(inside.item)}[]`;
      case "map":
        return `Record<string, ${this.inputOf(
          inside.name === undefined ? inside.type : this.union(inside.name, inside.type, "A value."),
        )}>`;
      case "secret":
      case undefined:
        return type === "integer" ? "number" : type;
    }
  }

  /** Objects have inputs of their own. */
  private itemOf(item: AnyRule): string {
    const type = this.typeOf(item);
    return item.type === "object" ? type : this.inputOf(type);
  }

  private inputOf(type: string): string {
    return /^pulumi\.Input<.*>$/.test(type) ? type : `pulumi.Input<${type}>`;
  }

  private union(name: string, type: string, description: string): string {
    return this.once(name, () => `${comment([description])}export type ${name} = ${type};\n`);
  }

  private once(name: string, declaration: (name: string) => string): string {
    const owner = this.owners.get(name);
    if (owner === undefined) {
      this.owners.set(name, this.file);
      this.declarations.push(declaration(name));
    } else if (owner !== this.file) {
      this.imports.set(owner, (this.imports.get(owner) ?? new Set()).add(name));
    }
    return name;
  }

  private interfaceOf(name: string, description: string, fields: Fields): string {
    const properties = Object.entries(fields).map(([key, field]) => this.propertyOf(key, field));
    return `${comment([description])}export interface ${name} {\n${properties.join("")}}\n`;
  }

  private propertyOf(key: string, field: AnyField): string {
    const type = field.plain ? this.plainTypeOf(field.rule) : this.inputOf(this.typeOf(field.rule));
    const mark = field.absent.kind === "required" ? "" : "?";
    return `${comment(documentationOf(field), "  ")}  ${key}${mark}: ${type};\n`;
  }

  private plainTypeOf(rule: AnyRule): string {
    const { inside } = rule;
    return inside?.kind === "items" && inside.item.type !== "object"
      ? `${this.typeOf(inside.item)}[]`
      : this.typeOf(rule);
  }
}

function nameOf(inside: Extract<Inside, { kind: "fields" }>): string {
  if (inside.name === undefined) throw new Error("an object without a name is an argument");
  return inside.name;
}

/** The keys of all kinds in one object, which is all that other languages can express. */
function unionFields({ name, variants, usual }: Extract<Inside, { kind: "variants" }>): Fields {
  const kinds = Object.entries(variants);
  const names = Object.fromEntries(kinds.map(([kind, { description }]) => [kind, description]));
  const kindField =
    usual === undefined
      ? required(choice(`${name}Kind`, DISCRIMINATOR, names), DISCRIMINATOR)
      : defaulted(choice(`${name}Kind`, DISCRIMINATOR, names), usual, DISCRIMINATOR);
  const keys = new Set(kinds.flatMap(([, variant]) => Object.keys(variant.fields)));
  const fields = [...keys].map((key) => {
    const owners = kinds.flatMap(([kind, variant]) => {
      const field = variant.fields[key];
      return field === undefined ? [] : [{ kind, field }];
    });
    return [key, sharedField(owners, kinds.length)] as const;
  });
  return { kind: plain(kindField), ...Object.fromEntries(fields) };
}

const DISCRIMINATOR = "Decides which other keys there are.";

/** A key that some of the kinds have. */
function sharedField(
  owners: readonly { readonly kind: string; readonly field: AnyField }[],
  kinds: number,
): AnyField {
  const [first, ...others] = owners;
  if (first === undefined) throw new Error("a key that no kind has");
  const described = byKind(
    owners.map(({ kind, field: { description, absent } }) => ({
      kind,
      text: `${description}${absent.kind === "required" ? " Required." : ""}`,
    })),
  );
  const meant = byKind(
    owners.flatMap(({ kind, field: { absent } }) => {
      const text = usualOf(absent);
      return text === undefined ? [] : [{ kind, text }];
    }),
  );
  const meaning =
    meant.length === 1
      ? (meant[0]?.text ?? "")
      : meant.map(({ kind, text }) => `${text} (${kind})`).join(", ");
  const everywhere = owners.length === kinds && described.length === 1;
  return {
    ...first.field,
    plain: first.field.plain && others.every(({ field }) => field.plain),
    description: described
      .map(({ kind, text }) => (everywhere ? text : `With kind ${kind}: ${text}`))
      .join(" "),
    absent: { kind: "optional", meaning },
  };
}

/** Texts with the kinds that share each. */
function byKind(
  texts: readonly { readonly kind: string; readonly text: string }[],
): readonly { readonly kind: string; readonly text: string }[] {
  return [...new Set(texts.map(({ text }) => text))].map((text) => ({
    kind: texts
      .filter((each) => each.text === text)
      .map(({ kind }) => kind)
      .join(" or "),
    text,
  }));
}

function namesOf(name: string, { description, names }: Extract<Inside, { kind: "names" }>): string {
  const members = Object.entries(names).map(
    ([value, meaning]) => `${comment([sentence(meaning)], "  ")}  ${memberName(value)}: "${value}",\n`,
  );
  return `${comment([description])}export const ${name} = {\n${members.join("")}} as const;\nexport type ${name} = (typeof ${name})[keyof typeof ${name}];\n`;
}

function memberName(value: string): string {
  return value.charAt(0).toUpperCase() + value.slice(1);
}

/** What a setting is, with its range, unit, cost, default and an example. */
function documentationOf({ description, rule, absent, notes }: AnyField): string[] {
  const { unit, cost } = notes;
  const range =
    rule.type === "integer"
      ? [sentence(unit === undefined ? rule.allowed : `${rule.allowed} (${unit})`)]
      : [];
  const costs = cost === undefined ? [] : [`Cost: ${cost}.`];
  const usual = usualOf(absent) ?? "";
  const example = exampleOf(rule, notes.example);
  return [
    [description, ...range, ...costs].join(" "),
    ...(usual === "" ? [] : [`@default ${usual}`]),
    ...(example === undefined || example === usual ? [] : [`@example ${example}`]),
  ];
}

function usualOf(absent: Absent): string | undefined {
  switch (absent.kind) {
    case "required":
      return undefined;
    case "optional":
      return absent.meaning;
    case "default":
      return JSON.stringify(absent.value("<stack>"));
  }
}

/** No example for an object, whose keys have examples, or for a type with a handful of values. */
function exampleOf({ type, example, inside }: AnyRule, better: string | undefined): string | undefined {
  if (inside?.kind === "items") {
    if (inside.item.type === "object") return undefined;
    return better ?? `[${exampleOf(inside.item, undefined) ?? ""}]`;
  }
  if (inside !== undefined && inside.kind !== "map" && inside.kind !== "union") return better;
  if (type === "boolean") return undefined;
  const chosen = better ?? example;
  return type === "string" && !chosen.startsWith('"') ? JSON.stringify(chosen) : chosen;
}

function sentence(text: string): string {
  return `${text.charAt(0).toUpperCase()}${text.slice(1)}.`;
}

/** A JSDoc comment; each paragraph starts a new line. */
function comment(paragraphs: readonly string[], indent = ""): string {
  const lines = paragraphs.flatMap((paragraph) =>
    wrap(paragraph.replaceAll("*/", "* /"), LINE - indent.length),
  );
  const [only] = lines;
  if (lines.length === 1 && only !== undefined) return `${indent}/** ${only} */\n`;
  return `${indent}/**\n${lines.map((line) => `${indent} * ${line}\n`).join("")}${indent} */\n`;
}

function wrap(text: string, width: number): string[] {
  const lines = [""];
  for (const word of text.split(" ")) {
    const last = lines.length - 1;
    const line = lines[last] ?? "";
    if (line !== "" && line.length + 1 + word.length > width) lines.push(word);
    else lines[last] = line === "" ? word : `${line} ${word}`;
  }
  return lines;
}
