/**
 * One POSIX shell command line that runs exactly `words`: each is quoted, so nothing in a value is ever
 * interpreted by the shell.
 */
export function shellQuote(words: readonly string[]): string {
  return words
    .map((word) => (/^[\w@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", `'\\''`)}'`))
    .join(" ");
}
