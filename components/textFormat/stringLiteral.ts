const NAMED_ESCAPES: Readonly<Record<string, number>> = {
  a: 7,
  b: 8,
  t: 9,
  n: 10,
  v: 11,
  f: 12,
  r: 13,
};

const PIECE = /\\([xX][0-9A-Fa-f]{1,2}|[0-7]{1,3}|u[0-9A-Fa-f]{4}|U[0-9A-Fa-f]{8}|[\s\S])|[^\\]+/g;

/**
 * What literals that stand one after the other mean. Escapes are bytes, so that they can make up UTF-8 only together.
 * https://protobuf.dev/reference/protobuf/textformat-spec/#string
 */
export function decodeStrings(literals: readonly string[]): string {
  const pieces = literals.flatMap((literal) =>
    Array.from(literal.slice(1, -1).matchAll(PIECE), (match) => decodePiece(match[0], match[1])),
  );
  return Buffer.concat(pieces).toString("utf8");
}

function decodePiece(piece: string, escape: string | undefined): Buffer {
  if (escape === undefined) {
    return Buffer.from(piece, "utf8");
  }
  const named = NAMED_ESCAPES[escape];
  if (named !== undefined) {
    return Buffer.from([named]);
  }
  if (/^[0-7]/.test(escape)) {
    return Buffer.from([parseInt(escape, 8) & 0xff]);
  }
  if (/^[xX]./.test(escape)) {
    return Buffer.from([parseInt(escape.slice(1), 16)]);
  }
  if (/^[uU]./.test(escape)) {
    const point = parseInt(escape.slice(1), 16);
    return Buffer.from(point <= 0x10ffff ? String.fromCodePoint(point) : "\ufffd", "utf8");
  }
  return Buffer.from(escape, "utf8"); // \\, \', \" and \? mean the character itself.
}

/** A literal that means the text. */
export function encodeString(text: string): string {
  const body = text.replace(/["\\]|\p{Cc}/gu, (character) => {
    if (character === "\n") {
      return "\\n";
    }
    if (character === '"' || character === "\\") {
      return `\\${character}`;
    }
    return Array.from(
      Buffer.from(character, "utf8"),
      (byte) => `\\${byte.toString(8).padStart(3, "0")}`,
    ).join("");
  });
  return `"${body}"`;
}
