import * as assert from "node:assert/strict";
import { execFileSync } from "node:child_process";

import * as fc from "fast-check";

import { shellQuote } from "../../../components/host/shellQuote";
import { runs } from "../../properties";

describe("shellQuote", () => {
  it("leaves plain words unquoted and quotes the others", () => {
    assert.equal(
      shellQuote(["bash", "/opt/x y/run.sh", "a'b", "", "--k=v"]),
      `bash '/opt/x y/run.sh' 'a'\\''b' '' --k=v`,
    );
  });

  it("leaves no backslash in quotes that fish takes for an escape", () => {
    for (const [word, line] of [
      [String.raw`a\b\n`, String.raw`'a\b\n'`],
      [String.raw`a\\b`, String.raw`'a'\\'\b'`],
      [String.raw`a\'b`, String.raw`'a'\\''\''b'`],
      ["a\\", String.raw`'a'\\''`],
    ] as const) {
      assert.equal(shellQuote([word]), line);
    }
  });

  it("gives a shell exactly the words, whatever they contain", () => {
    const word = fc.string({ unit: "grapheme" }).filter((text) => !text.includes("\0"));
    fc.assert(
      fc.property(fc.array(word, { minLength: 1, maxLength: 5 }), (words) => {
        const printed = execFileSync("bash", ["-c", `printf '%s\\0' ${shellQuote(words)}`], {
          encoding: "utf8",
        });
        assert.deepEqual(printed.split("\0").slice(0, -1), words);
      }),
      { numRuns: runs(60) },
    );
  });
});
