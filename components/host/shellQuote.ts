/**
 * One POSIX shell command line that runs exactly `words`: each is quoted, so nothing in a value is ever
 * interpreted by the shell. In quotes, fish takes a backslash before a backslash or a quote for an escape, POSIX for
 * itself; outside, both for an escape.
 */
export function shellQuote(words: readonly string[]): string {
  return words
    .map((word) => (/^[\w@%+=:,./-]+$/.test(word) ? word : `'${word.replace(/'|\\(?=[\\']|$)/g, `'\\$&'`)}'`))
    .join(" ");
}
