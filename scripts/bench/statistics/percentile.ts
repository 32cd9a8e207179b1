/** An ascending copy, without the entries that are not numbers. */
export function sorted(values: Float64Array): Float64Array {
  return values.filter((value) => !Number.isNaN(value)).sort();
}

/**
 * The smallest value that at least `share` of all values do not exceed (nearest rank): always one that was measured.
 *
 * @param ascending values in ascending order
 * @param share 0 to 1
 * @returns NaN without values
 */
export function percentile(ascending: Float64Array, share: number): number {
  // The product of a decimal share and a count may be a hair above the whole number that it stands for.
  const rank = Math.ceil(share * ascending.length - 1e-9);
  return ascending[Math.min(Math.max(rank, 1), ascending.length) - 1] ?? NaN;
}

/** @returns NaN without values */
export function mean(values: Float64Array): number {
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}
