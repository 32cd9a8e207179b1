import assert from "node:assert/strict";
import * as fs from "node:fs";
import * as path from "node:path";

import { parse } from "yaml";

import { settingsDocumentation } from "../../../components/settings/documentation";
import { TOP_LEVEL_KEYS } from "../../../components/settings/schema";

const ROOT = path.resolve(__dirname, "../../..");

interface ProjectFile {
  readonly config: Readonly<
    Record<string, { readonly type: string; readonly description: string; readonly default: unknown }>
  >;
}

describe("documentation of the settings", () => {
  it("is docs/settings.md", () => {
    const file = path.join(ROOT, "docs/settings.md");
    const text = settingsDocumentation();
    if (process.env.UPDATE_DOCS !== undefined) {
      fs.mkdirSync(path.dirname(file), { recursive: true });
      fs.writeFileSync(file, text);
    }
    assert.equal(fs.readFileSync(file, "utf8"), text, "run UPDATE_DOCS=1 npm run test:unit");
  });

  it("agrees with the config schema of Pulumi.yaml", () => {
    const { config } = parse(fs.readFileSync(path.join(ROOT, "Pulumi.yaml"), "utf8")) as ProjectFile;
    const declared = Object.entries(config).map(([key, entry]) => ({
      key,
      type: entry.type,
      description: entry.description,
      default: entry.default,
    }));
    const known = Object.entries(TOP_LEVEL_KEYS).map(([key, { rule, description, absent }]) => ({
      key,
      type: rule.type,
      description,
      // Pulumi refuses to run a stack that lacks a key which has no default.
      default: absent.kind === "default" ? absent.value("local") : undefined,
    }));
    assert.deepEqual(declared, known);
  });
});
