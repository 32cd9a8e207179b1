import * as fs from "node:fs";
import * as path from "node:path";

import * as prettier from "prettier";

import { argumentTypes } from "./argumentTypes";
import { eksDocumentation, fleetDocumentation, settingsDocumentation } from "./documentation";
import { packageSchema } from "./packageSchema";
import { releasesDocumentation, releasesForEntrypoint } from "./releases";

const ROOT = path.resolve(__dirname, "../..");

/** The schema of the package as a Pulumi plugin. */
export const SCHEMA = "components/schema.json";

/** The files generated from the rules and tables alone, by their paths in the repository. */
export const GENERATED: Readonly<Record<string, () => string>> = {
  ...Object.fromEntries(
    [...argumentTypes()].map(([name, text]) => [`components/settings/generated/${name}.ts`, () => text]),
  ),
  "docs/settings.md": settingsDocumentation,
  "docs/reference/fleet.md": fleetDocumentation,
  "docs/reference/eks.md": eksDocumentation,
  "docs/reference/triton-releases.md": releasesDocumentation,
  "images/triton/releases.txt": releasesForEntrypoint,
};

/** The text of a generated file, formatted as the linter requires if it is of a kind that it knows. */
export async function formatted(file: string, text: string): Promise<string> {
  const place = path.join(ROOT, file);
  if ((await prettier.getFileInfo(place)).inferredParser === null) return text;
  return prettier.format(text, { ...(await prettier.resolveConfig(place)), filepath: place });
}

/** Writes all generated files. */
export async function generate(): Promise<void> {
  for (const [file, text] of Object.entries(GENERATED)) await write(file, text());
  // Generated from the files before it.
  await write(SCHEMA, await packageSchema());
}

async function write(file: string, text: string): Promise<void> {
  const place = path.join(ROOT, file);
  const wanted = await formatted(file, text);
  if (fs.existsSync(place) && fs.readFileSync(place, "utf8") === wanted) return;
  fs.mkdirSync(path.dirname(place), { recursive: true });
  fs.writeFileSync(place, wanted);
  console.log(`wrote ${file}`);
}
