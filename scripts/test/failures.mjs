// What `npm test` repeats at its very end about the checks that failed: whoever reads the end of a log has the reason.
import { stripVTControlCharacters } from "node:util";

/** How many lines of a check without tests of its own, and of one test's error, are repeated. */
const LINES = 40;
/** How many failed tests of one check are repeated. */
const TESTS = 10;
/** The longest line that is repeated whole, in characters. */
const COLUMNS = 300;

/** The last `LINES` lines of a text, without colours, each of at most `COLUMNS` characters. */
export function lastLines(text) {
  const lines = stripVTControlCharacters(text).trimEnd().split("\n");
  const kept = lines.slice(-LINES);
  if (kept.length < lines.length) kept.unshift(`… ${lines.length - kept.length} lines before these`);
  return kept.map((line) => (line.length > COLUMNS ? `${line.slice(0, COLUMNS)} …` : line)).join("\n");
}

/**
 * What is said about one failed check.
 * @param {string} title the check's
 * @param {{output: string, failures?: {title: string, error: string}[]}} result the end of what it printed, and the
 *   tests that failed, where they are known by name
 */
export function describeFailure(title, { output, failures = [] }) {
  const heading = `━━ why ${title} failed`;
  if (failures.length === 0) return `${heading}\n${lastLines(output)}`;
  const tests = failures
    .slice(0, TESTS)
    .map((failure, index) => `${index + 1}) ${failure.title}\n${lastLines(failure.error)}`);
  if (failures.length > TESTS) tests.push(`… and ${failures.length - TESTS} more`);
  return `${heading}\n${tests.join("\n\n")}`;
}
