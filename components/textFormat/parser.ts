import { Span, Token, tokenize, TokenKind, withoutMark } from "./lexer";
import { decodeStrings } from "./stringLiteral";
import { TextFormatError } from "./textFormatError";

/*
 * Protobuf text format as a tree whose nodes say where in the text they stand. An edit replaces such a stretch and
 * leaves the rest of the text as it is, with its comments, order and spacing.
 * https://protobuf.dev/reference/protobuf/textformat-spec/#syntax
 */

export interface Field extends Span {
  /** As written: `name`, or `[package.extension]` or `[domain/package.Message]` without spaces. */
  readonly name: string;
  readonly value: Value;
  /** End of the field with the `,` or `;` that may follow it. */
  readonly separatorEnd: number;
}

export type Value = MessageValue | ListValue | ScalarValue;

export interface MessageValue extends Span {
  readonly kind: "message";
  readonly fields: readonly Field[];
  /** Where the closing bracket is. */
  readonly close: number;
}

export interface ListValue extends Span {
  readonly kind: "list";
  readonly items: readonly (MessageValue | ScalarValue)[];
}

/** Text of a `string` is what the literals mean together; of the others, what was written without spaces. */
export interface ScalarValue extends Span {
  readonly kind: "string" | "number" | "identifier";
  readonly text: string;
}

/** Messages deeper than this cannot be a model config, and would exhaust the stack. */
const DEEPEST = 100;

/**
 * @param text may begin with a byte order mark; positions are those behind it
 * @throws TextFormatError
 */
export function parseTextFormat(text: string): readonly Field[] {
  const parser = new Parser(withoutMark(text));
  return parser.fields("end", "");
}

class Parser {
  private readonly tokens: readonly Token[];
  private next = 0;
  private depth = 0;

  public constructor(private readonly text: string) {
    this.tokens = tokenize(text);
  }

  /** Fields up to the closing token, which stays. */
  public fields(kind: TokenKind, close: string): readonly Field[] {
    const fields: Field[] = [];
    while (!this.sees(kind, close)) {
      fields.push(this.field(kind === "end" ? "a field name" : `a field name or ${close}`));
    }
    return fields;
  }

  private field(expected: string): Field {
    const { start } = this.current;
    const name = this.fieldName(expected);
    const colon = this.takes(":");
    const value = this.value(colon);
    const separated = this.takes(",") || this.takes(";");
    return { name, value, start, end: value.end, separatorEnd: separated ? this.previous.end : value.end };
  }

  private fieldName(expected: string): string {
    if (!this.sees("symbol", "[")) {
      return this.take("identifier", expected).text;
    }
    const start = this.next;
    this.take("symbol", "[", "[");
    do {
      this.take("identifier", "a part of a type name");
      // A domain, as in type.googleapis.com, may hold dashes.
    } while (this.takes(".") || this.takes("/") || this.takes("-"));
    this.take("symbol", "]", "]");
    return this.tokens
      .slice(start, this.next)
      .map((token) => token.text)
      .join("");
  }

  private value(colon: boolean): Value {
    if (this.sees("symbol", "[")) {
      return this.list(colon);
    }
    return this.item(colon, colon ? "a value" : ": or {");
  }

  private list(colon: boolean): ListValue {
    const { start } = this.take("symbol", "[", "[");
    const items: (MessageValue | ScalarValue)[] = [];
    if (!this.takes("]")) {
      do {
        items.push(this.item(colon, colon ? "a value" : "{"));
      } while (this.takes(","));
      this.take("symbol", ", or ]", "]");
    }
    return { kind: "list", items, start, end: this.previous.end };
  }

  private item(colon: boolean, expected: string): MessageValue | ScalarValue {
    if (this.sees("symbol", "{")) {
      return this.message("{", "}");
    }
    if (this.sees("symbol", "<")) {
      return this.message("<", ">");
    }
    return colon ? this.scalar(expected) : this.fail(expected);
  }

  private message(open: string, close: string): MessageValue {
    const { start } = this.take("symbol", open, open);
    if (++this.depth > DEEPEST) {
      this.fail(`at most ${DEEPEST} messages inside each other`);
    }
    const fields = this.fields("symbol", close);
    this.depth--;
    const end = this.take("symbol", close, close);
    return { kind: "message", fields, close: end.start, start, end: end.end };
  }

  private scalar(expected: string): ScalarValue {
    const { start, kind } = this.current;
    if (kind === "string") {
      const literals: string[] = [];
      while (this.current.kind === "string") {
        literals.push(this.take("string", "a string").text);
      }
      return { kind, text: decodeStrings(literals), start, end: this.previous.end };
    }
    const sign = this.takes("-") ? "-" : "";
    const token = this.current;
    if (token.kind !== "number" && token.kind !== "identifier") {
      this.fail(expected);
    }
    this.next++;
    return { kind: token.kind, text: sign + token.text, start, end: token.end };
  }

  private get current(): Token {
    return this.tokenAt(this.next);
  }

  private get previous(): Token {
    return this.tokenAt(this.next - 1);
  }

  /** The last token is the end, which is never taken; so `next` is always one of them. */
  private tokenAt(index: number): Token {
    const token = this.tokens[index];
    if (token === undefined) {
      throw new RangeError(`no token ${index}`);
    }
    return token;
  }

  private sees(kind: TokenKind, text: string): boolean {
    return this.current.kind === kind && this.current.text === text;
  }

  private takes(symbol: string): boolean {
    if (!this.sees("symbol", symbol)) {
      return false;
    }
    this.next++;
    return true;
  }

  private take(kind: TokenKind, expected: string, text?: string): Token {
    const token = this.current;
    if (token.kind !== kind || (text !== undefined && token.text !== text)) {
      return this.fail(expected);
    }
    this.next++;
    return token;
  }

  private fail(expected: string): never {
    const { kind, text, start } = this.current;
    throw new TextFormatError(this.text, start, expected, kind === "end" ? "the end of the file" : text);
  }
}
