// Repeats the reasons of failed checks at the very end of `npm test`, so that the end of a log contains them.
import { stripVTControlCharacters } from "node:util";

/** How many lines to repeat of a check, shared by those of its failed tests that are named. */
const LINES = 120;
/** How many of them one failed test has, however many others there are. */
const FEWEST_LINES = 40;
/** How many failed tests to repeat per check. */
const TESTS = 10;
/** The longest line to repeat completely, in characters. */
const COLUMNS = 300;

/** The last lines of a text, without colours, each of at most `COLUMNS` characters. */
function lastLines(text, count) {
  const lines = stripVTControlCharacters(text).trimEnd().split("\n");
  const kept = lines.slice(-count);
  if (kept.length < lines.length) kept.unshift(`… ${lines.length - kept.length} lines before these`);
  return kept.map((line) => (line.length > COLUMNS ? `${line.slice(0, COLUMNS)} …` : line)).join("\n");
}

/**
 * The report about one failed check.
 * @param {string} title the check's
 * @param {{output: string, failures?: {title: string, error: string}[]}} result the end of its output, and the failed
 *   tests, if they are known by name
 */
export function describeFailure(title, { output, failures = [] }) {
  const heading = `━━ why ${title} failed`;
  if (failures.length === 0) return `${heading}\n${lastLines(output, LINES)}`;
  const count = Math.max(FEWEST_LINES, Math.floor(LINES / failures.length));
  const tests = failures
    .slice(0, TESTS)
    .map((failure, index) => `${index + 1}) ${failure.title}\n${lastLines(failure.error, count)}`);
  if (failures.length > TESTS) tests.push(`… and ${failures.length - TESTS} more`);
  return `${heading}\n${tests.join("\n\n")}`;
}
