import prand from "pure-rand";

/** Numbers from 0 (included) to 1 (excluded), the same for the same seed. */
export type Random = () => number;

/** @param seed any integer; only its lowest 32 bits count */
export function random(seed: number): Random {
  const generator = prand.xoroshiro128plus(seed | 0);
  // 32 bits are more than a sample's index or an arrival time needs.
  return () => (generator.unsafeNext() >>> 0) / 0x1_0000_0000;
}
