import { percentile, sorted } from "./percentile";
import { type Random } from "./random";

/** A figure with its uncertainty. */
export interface Estimate {
  readonly value: number;
  /** Ends of its 95 % confidence interval. */
  readonly low: number;
  readonly high: number;
}

/** The number of resamples: enough for the second digit of an interval's ends to be stable. */
export const RESAMPLES = 1000;

/** The method's description in the reports. */
export const INTERVAL_METHOD = `95 % percentile interval of a two-stage bootstrap (rounds, then samples within each), ${RESAMPLES} resamples`;

/**
 * Estimates figures of several arms that were measured in the same rounds. Each resample draws rounds with replacement,
 * the same ones for every arm, then samples with replacement within each drawn round of an arm. So a change between
 * rounds widens the intervals, but a change that affects all arms of a round alike does not widen the interval of a ratio
 * between them. With a single round, only samples are drawn.
 *
 * @param rounds each arm's samples, by round
 * @param figures computes the figures from each arm's samples, in ascending order
 */
export function bootstrap<Arm extends string, Figure extends string>(
  rounds: Readonly<Record<Arm, readonly Float64Array[]>>,
  figures: (arms: Readonly<Record<Arm, Float64Array>>) => Readonly<Record<Figure, number>>,
  random: Random,
): Record<Figure, Estimate> {
  const arms = Object.keys(rounds) as Arm[];
  const count = Math.min(...arms.map((arm) => rounds[arm].length));
  const pick = (below: number): number => Math.floor(random() * below);
  const everyRound = Array.from({ length: count }, (_, round) => round);
  const collect = (drawn: readonly number[], draw: (samples: Float64Array) => Float64Array) =>
    figures(
      Object.fromEntries(
        arms.map((arm) => [
          arm,
          joined(drawn.map((round) => draw(rounds[arm][round] ?? new Float64Array()))),
        ]),
      ) as Record<Arm, Float64Array>,
    );

  const values = collect(everyRound, (samples) => samples);
  const names = Object.keys(values) as Figure[];
  const resampled = names.map(() => new Float64Array(RESAMPLES));
  for (let resample = 0; resample < RESAMPLES; resample++) {
    const drawn = everyRound.map(() => pick(count));
    const found = collect(drawn, (samples) => samples.map(() => samples[pick(samples.length)] ?? NaN));
    names.forEach((name, index) => {
      const column = resampled[index];
      if (column) column[resample] = found[name];
    });
  }
  return Object.fromEntries(
    names.map((name, index) => {
      const column = sorted(resampled[index] ?? new Float64Array());
      return [name, { value: values[name], low: percentile(column, 0.025), high: percentile(column, 0.975) }];
    }),
  ) as Record<Figure, Estimate>;
}

/** All samples in ascending order. */
function joined(parts: readonly Float64Array[]): Float64Array {
  const all = new Float64Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    all.set(part, at);
    at += part.length;
  }
  return sorted(all);
}
