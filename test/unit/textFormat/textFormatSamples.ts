import * as fc from "fast-check";

import { Field, Value } from "../../../components/textFormat/parser";

/** A generated text and its expected parse. */
export interface Sample<T> {
  readonly text: string;
  readonly meaning: T;
}

/** A tree without its positions. */
export type Meaning = string | readonly Meaning[] | { readonly fields: readonly FieldMeaning[] };
export type FieldMeaning = readonly [string, Meaning];

export function meaningOf(fields: readonly Field[]): readonly FieldMeaning[] {
  return fields.map(({ name, value }) => [name, valueMeaning(value)]);
}

export function valueMeaning(value: Value): Meaning {
  switch (value.kind) {
    case "message":
      return { fields: meaningOf(value.fields) };
    case "list":
      return value.items.map(valueMeaning);
    case "string":
      return JSON.stringify(value.text);
    case "number":
    case "identifier":
      return value.text;
  }
}

const space = fc.constantFrom(" ", "\n", "\t", "  ", "\r\n", " # a comment { \" ' [\n", "#\n");
const maybeSpace = fc.oneof(fc.constant(""), space);

const string: fc.Arbitrary<Sample<string>> = fc
  .tuple(
    fc.array(
      fc.constantFrom(
        ...([
          ["a", "a"],
          ["é", "é"],
          ["#", "#"],
          ["}", "}"],
          ["\\n", "\n"],
          ["\\\\", "\\"],
          ["\\x41", "A"],
          ["\\101", "A"],
          ["\\303\\251", "é"],
          ["\\u00e9", "é"],
          ["\\U0001F600", "😀"],
          ["\\'", "'"],
          ['\\"', '"'],
        ] as const),
      ),
      { maxLength: 5 },
    ),
    fc.constantFrom('"', "'"),
  )
  .map(([pieces, quote]) => ({
    text: quote + pieces.map(([written]) => written).join("") + quote,
    meaning: pieces.map(([, meant]) => meant).join(""),
  }));

const strings: fc.Arbitrary<Sample<Meaning>> = fc
  .tuple(fc.array(string, { minLength: 1, maxLength: 3 }), maybeSpace)
  .map(([all, between]) => ({
    text: all.map(({ text }) => text).join(between),
    meaning: JSON.stringify(all.map(({ meaning }) => meaning).join("")),
  }));

const scalar: fc.Arbitrary<Sample<Meaning>> = fc.oneof(
  strings,
  fc
    .constantFrom(
      "0",
      "42",
      "-7",
      "0x1F",
      "017",
      "1.5",
      ".5",
      "2.",
      "1e9",
      "-1.5E-3f",
      "KIND_GPU",
      "true",
      "-inf",
      "nan",
    )
    .map((text) => ({ text, meaning: text })),
  fc.constant({ text: "- # minus\n 3", meaning: "-3" }),
);

const name = fc.constantFrom("name", "optimization", "a_1", "X", "[nvidia.ext]", "[type.googleapis.com/a.B]");

// Records, because fast-check requires an index signature, which interfaces lack.
type Tree = Record<"message", Sample<Meaning>> &
  Record<"field", Sample<FieldMeaning>> &
  Record<"fields", Sample<readonly FieldMeaning[]>>;

const listOf = (item: fc.Arbitrary<Sample<Meaning>>): fc.Arbitrary<Sample<Meaning>> =>
  fc.tuple(fc.array(item, { maxLength: 3 }), maybeSpace).map(([items, before]) => ({
    text: `[${before}${items.map(({ text }) => text).join(`${before},`)}${before}]`,
    meaning: items.map(({ meaning }) => meaning),
  }));

const tree = fc.letrec<Tree>((tie) => ({
  message: fc
    .tuple(tie("fields"), maybeSpace, fc.constantFrom("{}", "<>"))
    .map(([inner, before, brackets]) => ({
      text: `${brackets.charAt(0)}${before}${inner.text}${before}${brackets.charAt(1)}`,
      meaning: { fields: inner.meaning },
    })),
  field: fc
    .tuple(
      name,
      maybeSpace,
      fc.oneof(
        { depthSize: "small", withCrossShrink: true },
        fc.oneof(scalar, listOf(scalar)).map((value) => ({ colon: ":", value })),
        fc
          .tuple(fc.constantFrom(":", ""), fc.oneof(tie("message"), listOf(tie("message"))))
          .map(([colon, value]) => ({
            colon,
            value,
          })),
      ),
      fc.constantFrom("", ",", ";", " ;"),
      space,
    )
    .map(([key, before, { colon, value }, separator, after]) => ({
      text: `${key}${before}${colon}${before}${value.text}${separator}${after}`,
      meaning: [key, value.meaning],
    })),
  fields: fc.array(tie("field"), { maxLength: 4 }).map((all) => ({
    text: all.map(({ text }) => text).join(""),
    meaning: all.map(({ meaning }) => meaning),
  })),
}));

/** Texts in protobuf text format, in every allowed spelling. */
export const document: fc.Arbitrary<Sample<readonly FieldMeaning[]>> = fc
  .tuple(maybeSpace, tree.fields, fc.constantFrom("", "# no line break at the end"))
  .map(([before, { text, meaning }, after]) => ({ text: before + text + after, meaning }));
