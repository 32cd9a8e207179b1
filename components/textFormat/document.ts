import { Span, withoutMark } from "./lexer";
import { Field, MessageValue, parseTextFormat, ScalarValue, Value } from "./parser";
import { NewField, NewMessage, NewScalar, printField, printMessage, printScalar } from "./printer";

interface Splice extends Span {
  readonly text: string;
}

/** A text in protobuf text format, with edits to make in it. What no edit touches stays byte for byte. */
export class TextDocument {
  public readonly fields: readonly Field[];
  private readonly splices: Splice[] = [];
  private readonly appended: string[] = [];
  private readonly newline: string;

  private readonly text: string;

  /** @throws TextFormatError */
  public constructor(text: string) {
    // Triton takes no byte order mark, which some editors on Windows write.
    this.text = withoutMark(text);
    this.fields = parseTextFormat(this.text);
    // Whatever the edits take away, a second look at the result comes to the same answer.
    this.newline = text.includes("\r\n") && !/(?<!\r)\n/.test(text) ? "\r\n" : "\n";
  }

  public named(name: string): readonly Field[] {
    return named(this.fields, name);
  }

  /** Writes a field in the place of the first of its name, takes the others out, or appends it. */
  public put(field: NewField): void {
    const [first, ...others] = this.named(field.name);
    if (first === undefined) {
      this.append(field);
      return;
    }
    // Not indented like its line: another edit may change what precedes it there.
    this.splice(first, printField(field, this.newline));
    others.forEach((other) => {
      this.remove(other);
    });
  }

  /** Takes all fields of a name out. */
  public drop(name: string): void {
    this.named(name).forEach((field) => {
      this.remove(field);
    });
  }

  public append(field: NewField): void {
    this.appended.push(printField(field, this.newline) + this.newline);
  }

  public replaceValue(value: Value, scalar: NewScalar): void {
    this.splice(value, printScalar(scalar));
  }

  public replaceMessage(value: MessageValue, fields: NewMessage): void {
    this.splice(value, printMessage(fields, this.newline, this.indentAt(value.start)));
  }

  /** Appends a field to a message. */
  public insert(into: MessageValue, field: NewField): void {
    const lineStart = this.lineStart(into.close);
    if (lineStart > into.start && this.text.slice(lineStart, into.close).trim() === "") {
      const last = into.fields.at(-1);
      const ownLine =
        last !== undefined && this.text.slice(this.lineStart(last.start), last.start).trim() === "";
      const indent = ownLine ? this.indentAt(last.start) : `${this.indentAt(into.close)}  `;
      const line = `${indent}${printField(field, this.newline, indent)}${this.newline}`;
      this.splice({ start: lineStart, end: lineStart }, line);
      return;
    }
    const space = /\s/.test(this.text.charAt(into.close - 1)) ? "" : " ";
    const text = `${space}${printField(field, this.newline, this.indentAt(into.start))} `;
    this.splice({ start: into.close, end: into.close }, text);
  }

  /** The text with all edits. */
  public toString(): string {
    let result = this.text;
    for (const { start, end, text } of [...this.splices].sort((a, b) => b.start - a.start)) {
      result = result.slice(0, start) + text + result.slice(end);
    }
    if (this.appended.length === 0) {
      return result;
    }
    const lineBreak = result === "" || result.endsWith("\n") ? "" : this.newline;
    return result + lineBreak + this.appended.join("");
  }

  private remove(field: Field): void {
    const lineStart = this.lineStart(field.start);
    const rest = /^[ \t]*\r?\n/.exec(this.text.slice(field.separatorEnd))?.[0];
    const alone = rest !== undefined && this.startsLine(field.start);
    this.splice(
      alone
        ? { start: lineStart, end: field.separatorEnd + rest.length }
        : { start: field.start, end: field.separatorEnd },
      "",
    );
  }

  private splice({ start, end }: Span, text: string): void {
    this.splices.push({ start, end, text });
  }

  private startsLine(position: number): boolean {
    return this.text.slice(this.lineStart(position), position).trim() === "";
  }

  private lineStart(position: number): number {
    return this.text.lastIndexOf("\n", position - 1) + 1;
  }

  private indentAt(position: number): string {
    return /^[ \t]*/.exec(this.text.slice(this.lineStart(position), position))?.[0] ?? "";
  }
}

export function named(fields: readonly Field[], name: string): readonly Field[] {
  return fields.filter((field) => field.name === name);
}

/** The messages of a repeated field: each field of the name is one, or a list of them. */
export function messagesOf(fields: readonly Field[]): readonly (MessageValue | ScalarValue)[] {
  return fields.flatMap(({ value }) => (value.kind === "list" ? value.items : [value]));
}
