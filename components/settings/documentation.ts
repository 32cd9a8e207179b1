import { Absent, Field, Fields, Inside } from "./rules";
import { NAMESPACE, TOP_LEVEL_KEYS } from "./schema";

interface Row {
  readonly key: string;
  readonly type: string;
  readonly usual: string;
  readonly description: string;
}

const INTRODUCTION = `# Settings

Generated from the schema in \`components/settings\`; do not edit. \`UPDATE_DOCS=1 npm run test:unit\` writes it anew.

All keys are in the namespace \`${NAMESPACE}\`. \`pulumi config set --path '${NAMESPACE}:server.httpPort' 9000\` sets one
from the command line; \`[]\` in a key below stands for each item of a list. All faults are reported together, before
the first resource is touched.
`;

/** The text of docs/settings.md. */
export function settingsDocumentation(): string {
  const sections = Object.entries(TOP_LEVEL_KEYS).map(([key, field]) => section(key, field));
  return [INTRODUCTION, ...sections].join("\n");
}

function section(key: string, field: Field<unknown>): string {
  const rows = insideRows(field.rule.inside, key);
  const lines = rows.map((row) => `| \`${row.key}\` | ${row.type} | ${row.usual} | ${row.description} |`);
  return [
    `## ${key}`,
    "",
    `${field.description} Default: ${usual(field.absent)}.`,
    "",
    // Aligned columns would change every line with each longer text.
    "<!-- prettier-ignore-start -->",
    "",
    "| key | takes | default | what it is |",
    "| --- | --- | --- | --- |",
    ...lines,
    "",
    "<!-- prettier-ignore-end -->",
    "",
  ].join("\n");
}

function insideRows(inside: Inside | undefined, path: string): readonly Row[] {
  switch (inside?.kind) {
    case undefined:
      return [];
    case "items":
      return insideRows(inside.item.inside, `${path}[]`);
    case "fields":
      return fieldRows(inside.fields, path);
    case "variants": {
      const kinds = Object.entries(inside.variants);
      const kindRow: Row = {
        key: `${path}.kind`,
        type: `one of ${kinds.map(([kind]) => kind).join(", ")}`,
        usual: inside.usual === undefined ? "required" : `\`${inside.usual}\``,
        description: `${kinds.map(([kind, { description }]) => `\`${kind}\`: ${description}`).join("; ")}.`,
      };
      return [
        kindRow,
        ...kinds.flatMap(([kind, { fields }]) =>
          fieldRows(fields, path).map((row) => ({
            ...row,
            description: `Kind \`${kind}\`: ${row.description}`,
          })),
        ),
      ];
    }
  }
}

function fieldRows(fields: Fields, path: string): readonly Row[] {
  return Object.entries(fields).flatMap(([key, { rule, absent, description }]) => [
    {
      key: `${path}.${key}`,
      type: cell(rule.allowed),
      usual: usual(absent),
      description: cell(description),
    },
    ...insideRows(rule.inside, `${path}.${key}`),
  ]);
}

function usual(absent: Absent): string {
  switch (absent.kind) {
    case "required":
      return "required";
    case "optional":
      return cell(absent.meaning);
    case "default": {
      const value = absent.value("<stack>");
      return `\`${typeof value === "string" ? value : JSON.stringify(value)}\``;
    }
    default:
      return absent satisfies never;
  }
}

/** Text that keeps to its cell of the table. */
function cell(text: string): string {
  return text.replaceAll("|", "\\|").replaceAll("<", "&lt;");
}
