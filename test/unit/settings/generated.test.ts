import assert from "node:assert/strict";
import * as fs from "node:fs";
import * as path from "node:path";

import { parse } from "yaml";

import { TOP_LEVEL_KEYS } from "../../../components/settings/schema";
import { formatted, GENERATED } from "../../../scripts/generate/main";

const ROOT = path.resolve(__dirname, "../../..");

interface ProjectFile {
  readonly config: Readonly<
    Record<string, { readonly type: string; readonly description: string; readonly default: unknown }>
  >;
}

describe("the files generated from the rules", () => {
  for (const [file, text] of Object.entries(GENERATED)) {
    it(`is in ${file}`, async () => {
      const present = fs.readFileSync(path.join(ROOT, file), "utf8");
      assert.equal(present, await formatted(file, text()), "run npm run generate");
    });
  }

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
