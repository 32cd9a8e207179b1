import { type Random } from "../statistics/random";

/** The distribution of arrivals in an open loop. */
export const ARRIVALS = ["fixed", "poisson"] as const;
export type Arrivals = (typeof ARRIVALS)[number];

/**
 * When to send requests, in milliseconds from the start. The schedule is drawn in advance, so no answer can delay it.
 * `fixed`: one every `1000 / rate` ms. `poisson`: independent arrivals, `rate` per second on average.
 *
 * @param count number of requests
 * @param rate requests per second
 */
export function schedule(arrivals: Arrivals, count: number, rate: number, random: Random): Float64Array {
  const times = new Float64Array(count);
  const period = 1000 / rate;
  let time = 0;
  for (let index = 0; index < count; index++) {
    times[index] = arrivals === "fixed" ? index * period : (time += -Math.log(1 - random()) * period);
  }
  return times;
}

/** Independent arrivals, `rate` per second on average, for `ms` milliseconds; at least one. */
export function scheduleFor(ms: number, rate: number, random: Random): Float64Array {
  const times: number[] = [];
  const next = (): number => (times.at(-1) ?? 0) + (-Math.log(1 - random()) * 1000) / rate;
  for (let time = next(); time < ms; time = next()) times.push(time);
  return Float64Array.from(times.length > 0 ? times : [ms * random()]);
}
