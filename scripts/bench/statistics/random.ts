import prand from "pure-rand";

/** Numbers from 0 (inclusive) to 1 (exclusive), reproducible by their seed. */
export type Random = () => number;

/** @param seed any integer, of which only the lowest 32 bits count */
export function random(seed: number): Random {
  const generator = prand.xoroshiro128plus(seed | 0);
  // 32 bits are enough for a sample's index or an arrival time.
  return () => (generator.unsafeNext() >>> 0) / 0x1_0000_0000;
}
