/** An axis's range and the places of its labels. */
export interface Ticks {
  readonly low: number;
  readonly high: number;
  readonly values: readonly number[];
}

const STEPS = [1, 2, 5];

/** Labels at 1, 2 and 5 times each power of ten, and a range between two of them that contains both ends. */
export function logTicks(least: number, most: number): Ticks {
  const steps: number[] = [];
  // One more power at each end, because a logarithm can be slightly off a whole number.
  for (let power = Math.floor(Math.log10(least)) - 1; power <= Math.ceil(Math.log10(most)) + 1; power++) {
    for (const step of STEPS) steps.push(Number((step * 10 ** power).toPrecision(3)));
  }
  const low = steps.filter((step) => step <= least).at(-1) ?? least;
  const high = steps.find((step) => step >= most) ?? most;
  return { low, high, values: steps.filter((step) => step >= low && step <= high) };
}

/** About `count` labels at equal, round steps, and a range between two of them that contains both ends. */
export function linearTicks(least: number, most: number, count = 8): Ticks {
  const wanted = Math.max(most - least, most * 1e-3, 1e-6) / count;
  const power = 10 ** Math.floor(Math.log10(wanted));
  const step = power * ([...STEPS, 10].find((factor) => factor * power >= wanted) ?? 10);
  const tick = (index: number): number => Number((index * step).toPrecision(12));
  // An end is compared as it is drawn, because a quotient can be slightly off a whole number.
  let first = Math.floor(least / step);
  while (tick(first) > least) first--;
  while (tick(first + 1) <= least) first++;
  let last = Math.ceil(most / step);
  while (tick(last) < most) last++;
  while (tick(last - 1) >= most) last--;
  const values = Array.from({ length: last - first + 1 }, (_, index) => tick(first + index));
  return { low: values[0] ?? least, high: values.at(-1) ?? most, values };
}
