/** A sorted copy without NaN. */
export function sorted(values: Float64Array): Float64Array {
  return values.filter((value) => !Number.isNaN(value)).sort();
}

/**
 * The smallest value that at least `share` of all values do not exceed (nearest rank): always a measured one.
 *
 * @param ascending values in ascending order
 * @param share 0 to 1
 * @returns NaN without values
 */
export function percentile(ascending: Float64Array, share: number): number {
  // A decimal share times a count can be slightly above the whole number that is meant.
  const rank = Math.ceil(share * ascending.length - 1e-9);
  return ascending[Math.min(Math.max(rank, 1), ascending.length) - 1] ?? NaN;
}

/** @returns NaN without values */
export function mean(values: Float64Array): number {
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}
