import prand from "pure-rand";

/** Numbers from 0 (inclusive) to 1 (exclusive), reproducible by their seed. */
export type Random = () => number;

/** After so many numbers, every bit of the seed has reached every bit of the state. */
const WARM_UP = 64;

/** @param seed any integer, of which only the lowest 32 bits count */
export function random(seed: number): Random {
  const generator = prand.xoroshiro128plus(seed | 0);
  // A small seed leaves the generator's state nearly all zeros or ones, and its first numbers close to 0 or 1.
  for (let skipped = 0; skipped < WARM_UP; skipped++) generator.unsafeNext();
  // 32 bits are enough for a sample's index or an arrival time.
  return () => (generator.unsafeNext() >>> 0) / 0x1_0000_0000;
}
