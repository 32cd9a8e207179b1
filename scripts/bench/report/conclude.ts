import { type Measurement } from "../measure";
import { CHARTS, writeReport } from "./files";
import { type Results } from "./results";
import { resultText } from "./text";

/**
 * Writes the report's files, then shows the results.
 *
 * @returns the exit status: 1 if requests failed, because figures with gaps can't be trusted, or if a chart is missing
 */
export function conclude(folder: string, results: Results, charts = CHARTS): number {
  const { files, undrawn } = writeReport(folder, results, charts);
  console.log(`${resultText(results)}\n\n${files.join("\n")}`);
  const failed = failures(results.measurements);
  for (const problem of failed) console.error(`failed request, ${problem}`);
  for (const problem of undrawn) {
    console.error(`warning: ${problem}\nAll figures are kept in the files above.`);
  }
  return failed.length + undrawn.length > 0 ? 1 : 0;
}

/** Why requests failed, each reason once per phase. */
function failures(measurements: readonly Measurement[]): string[] {
  const problems = measurements.flatMap(({ phase, high, middle, lows }) =>
    [high, middle, ...Object.values(lows)]
      .flatMap((load) => load?.problems ?? [])
      .map((problem) => `${phase}: ${problem}`),
  );
  return [...new Set(problems)];
}
