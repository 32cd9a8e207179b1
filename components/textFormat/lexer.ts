import { TextFormatError } from "./textFormatError";

/** A stretch of the text, the end not included. */
export interface Span {
  readonly start: number;
  readonly end: number;
}

export type TokenKind = "identifier" | "number" | "string" | "symbol" | "end";

export interface Token extends Span {
  readonly kind: TokenKind;
  readonly text: string;
}

const SPACE_OR_COMMENT = /(?:[ \t\n\v\f\r]|#[^\n]*)+/y;

/** https://protobuf.dev/reference/protobuf/textformat-spec/#lexical-elements */
const TOKENS: readonly (readonly [TokenKind, RegExp])[] = [
  ["identifier", /[A-Za-z_][A-Za-z0-9_]*/y],
  ["number", /(?:0[xX][0-9A-Fa-f]+|0[0-7]+|(?:\d+\.\d*|\.\d+|\d+)(?:[eE][+-]?\d+)?[fF]?)(?![A-Za-z0-9_.])/y],
  ["string", /"(?:[^"\\\n]|\\[^\n])*"|'(?:[^'\\\n]|\\[^\n])*'/y],
  ["symbol", /[{}<>[\]:;,/.-]/y],
];

/** A text without the byte order mark that it may begin with. */
export function withoutMark(text: string): string {
  return text.startsWith("\uFEFF") ? text.slice(1) : text;
}

/** Cuts a text into tokens; the last one is of kind `end`. */
export function tokenize(text: string): readonly Token[] {
  const tokens: Token[] = [];
  let position = 0;
  for (;;) {
    position += matchAt(SPACE_OR_COMMENT, text, position)?.length ?? 0;
    if (position === text.length) {
      tokens.push({ kind: "end", text: "", start: position, end: position });
      return tokens;
    }
    const token = tokenAt(text, position);
    tokens.push(token);
    position = token.end;
  }
}

function tokenAt(text: string, start: number): Token {
  for (const [kind, pattern] of TOKENS) {
    const match = matchAt(pattern, text, start);
    if (match !== undefined) {
      return { kind, text: match, start, end: start + match.length };
    }
  }
  const character = String.fromCodePoint(text.codePointAt(start) ?? 0);
  const expected =
    character === '"' || character === "'"
      ? `a closing ${character} in the same line`
      : /[0-9.]/.test(character)
        ? "a number, with a space after it"
        : "a field name, a value or a bracket";
  // A space that is none, such as one that was copied from a web page, would look like one in the message.
  const found = /[\p{Cf}\p{Z}]/u.test(character)
    ? `the invisible character U+${character.codePointAt(0)?.toString(16).toUpperCase().padStart(4, "0")}`
    : JSON.stringify(character);
  throw new TextFormatError(text, start, expected, found);
}

function matchAt(pattern: RegExp, text: string, position: number): string | undefined {
  pattern.lastIndex = position;
  return pattern.exec(text)?.[0];
}
