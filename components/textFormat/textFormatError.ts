/** A text that is not in protobuf text format. */
export class TextFormatError extends Error {
  /** Both count from 1; the column counts characters. */
  public readonly line: number;
  public readonly column: number;

  public constructor(text: string, position: number, expected: string, found: string) {
    super(`expected ${expected}, found ${found}`);
    this.name = "TextFormatError";
    ({ line: this.line, column: this.column } = placeIn(text, position));
  }
}

/** Both count from 1; the column counts characters. */
export function placeIn(text: string, position: number): { readonly line: number; readonly column: number } {
  const before = text.slice(0, position).split("\n");
  return { line: before.length, column: Array.from(before.at(-1) ?? "").length + 1 };
}
