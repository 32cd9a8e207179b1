import * as fs from "node:fs";
import * as path from "node:path";

import { gpuChart } from "./chart";
import { outcomeOf, ROWS, sourcesDigest, tableOf } from "./scenario";

const DOCS = path.resolve(__dirname, "../../docs");
const PAGE = path.join(DOCS, "explanation/scaling.md");

/** What stands around the table in the documentation. */
export const BEGIN = "<!-- Written by npm run simulate, of its sources";
const END = "<!-- prettier-ignore-end -->";

/** `npm run simulate`: prints the table, and writes it and the chart into the documentation. */
export function main(): void {
  const outcomes = ROWS.map((row) => {
    console.error(`simulating: ${row.system.name} …`);
    return outcomeOf(row);
  });
  const table = tableOf(outcomes);
  console.log(table);
  const page = fs.readFileSync(PAGE, "utf8");
  const begin = page.indexOf(BEGIN);
  const end = page.indexOf(END, begin);
  if (begin < 0 || end < 0) throw new Error(`${PAGE} has no place for the table`);
  const block = `${BEGIN} ${sourcesDigest()} -->\n<!-- prettier-ignore-start -->\n\n${table}\n\n`;
  fs.writeFileSync(PAGE, page.slice(0, begin) + block + page.slice(end));
  // The variants would hide the others.
  fs.writeFileSync(path.join(DOCS, "pictures/fleet-scaling.svg"), `${gpuChart(outcomes.slice(0, 4))}\n`);
}
