import assert from "node:assert/strict";
import * as fs from "node:fs";
import * as path from "node:path";

import { BEGIN } from "../../../scripts/simulate/main";
import { cellsOf, OUR_ROW, outcomeOf, ROWS, sourcesDigest } from "../../../scripts/simulate/scenario";

const PAGE = path.resolve(__dirname, "../../../docs/explanation/scaling.md");

describe("the simulation in the documentation", () => {
  const page = fs.readFileSync(PAGE, "utf8");

  it("is of these sources", () => {
    assert.ok(page.includes(`${BEGIN} ${sourcesDigest()} -->`), "fix: npm run simulate");
  });

  it("has a row for each way, and ours is what comes out", () => {
    const table = page.slice(page.indexOf(BEGIN)).split("\n").slice(3);
    const rows = table.slice(2, 2 + ROWS.length);
    assert.deepEqual(
      rows.map((row) => row.split(" | ")[0]?.slice(2)),
      ROWS.map(({ system }) => system.name),
    );
    const ours = ROWS[OUR_ROW] ?? assert.fail("no row");
    assert.equal(rows[OUR_ROW], `| ${cellsOf(outcomeOf(ours)).join(" | ")} |`);
  });
});
