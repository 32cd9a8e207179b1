import assert from "node:assert/strict";

import * as fc from "fast-check";

import { TextDocument } from "../../../components/textFormat/document";
import { parseTextFormat } from "../../../components/textFormat/parser";
import { decodeStrings, encodeString } from "../../../components/textFormat/stringLiteral";
import { TextFormatError } from "../../../components/textFormat/textFormatError";
import { document, meaningOf } from "./textFormatSamples";
import { runs } from "../../properties";

/** Likely parts of a malformed file. */
const PUNCTUATION = Array.from("{}<>[]:;,-.\"'\\# \n09afx_é");

describe("parser of protobuf text format", () => {
  it("reads every spelling", () => {
    fc.assert(
      fc.property(document, ({ text, meaning }) => {
        assert.deepEqual(meaningOf(parseTextFormat(text)), meaning);
      }),
      { numRuns: runs(500) },
    );
  });

  it("returns an unedited text byte for byte", () => {
    fc.assert(
      fc.property(document, ({ text }) => {
        assert.equal(new TextDocument(text).toString(), text);
      }),
    );
  });

  it("refuses garbage with its own error", () => {
    const text = fc.oneof(
      fc.string(),
      fc.string({ unit: fc.constantFrom(...PUNCTUATION) }),
      fc.tuple(document, fc.nat(), fc.nat(9)).map(([sample, start, length]) => {
        const at = start % (sample.text.length + 1);
        return sample.text.slice(0, at) + sample.text.slice(at + length);
      }),
    );
    fc.assert(
      fc.property(text, (each) => {
        try {
          parseTextFormat(each);
        } catch (error) {
          assert.ok(error instanceof TextFormatError, String(error));
          assert.ok(error.line >= 1 && error.line <= each.split("\n").length && error.column >= 1);
        }
      }),
      { numRuns: runs(1000) },
    );
  });

  it("decodes what it encodes", () => {
    fc.assert(
      fc.property(fc.string({ unit: "binary" }), (text) => {
        assert.equal(decodeStrings([encodeString(text)]), text);
      }),
    );
  });

  const faults: readonly (readonly [string, number, number, string])[] = [
    ["name: ", 1, 7, "expected a value, found the end of the file"],
    [
      "optimization {\n  priority: PRIORITY_MAX\n",
      3,
      1,
      "expected a field name or }, found the end of the file",
    ],
    ["a: 1\nb 2\n", 2, 3, "expected : or {, found 2"],
    ['a: "x\n', 1, 4, 'expected a closing " in the same line, found "\\""'],
    ["a: 12b", 1, 4, 'expected a number, with a space after it, found "1"'],
    ["a { b: 1 >", 1, 10, "expected a field name or }, found >"],
    ["a: [ 1 2 ]", 1, 8, "expected , or ], found 2"],
    ["# é\n a: 1 @", 2, 7, 'expected a field name, a value or a bracket, found "@"'],
    ["}", 1, 1, "expected a field name, found }"],
    ["[a.b: 1", 1, 5, "expected ], found :"],
    [
      "\ufeffa:\u00a01",
      1,
      3,
      "expected a field name, a value or a bracket, found the invisible character U+00A0",
    ],
  ];
  for (const [text, line, column, message] of faults) {
    it(`says where ${JSON.stringify(text)} is malformed`, () => {
      assert.throws(
        () => parseTextFormat(text),
        (error) => {
          assert.ok(error instanceof TextFormatError);
          assert.deepEqual([error.line, error.column, error.message], [line, column, message]);
          return true;
        },
      );
    });
  }

  it("refuses messages that are too deep instead of overflowing", () => {
    assert.throws(
      () => parseTextFormat("a {".repeat(100_000)),
      /expected at most 100 messages inside each other/,
    );
  });
});
