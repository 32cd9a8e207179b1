import { type Random } from "../statistics/random";

/** How the arrivals of an open loop are spread. */
export const ARRIVALS = ["fixed", "poisson"] as const;
export type Arrivals = (typeof ARRIVALS)[number];

/**
 * When requests are to be sent, in milliseconds from the start, made in advance so that no answer can delay them.
 * `fixed`: one every `1000 / rate` ms. `poisson`: independent of each other, `rate` a second on average.
 *
 * @param count how many requests
 * @param rate requests a second
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
