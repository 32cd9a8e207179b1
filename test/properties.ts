// Before every test of mocha: how often a property is tried, and from which seed on. FC_NUM_RUNS=100000 looks harder;
// FC_SEED repeats what failed, whose message has the seed.
import * as fc from "fast-check";

const { FC_NUM_RUNS, FC_SEED } = process.env;

/** How often a property is tried for which the usual 100 times are too few or too slow. */
export function runs(usual: number): number {
  return FC_NUM_RUNS === undefined ? usual : Number(FC_NUM_RUNS);
}

fc.configureGlobal({
  ...fc.readConfigureGlobal(),
  ...(FC_NUM_RUNS !== undefined && { numRuns: Number(FC_NUM_RUNS) }),
  ...(FC_SEED !== undefined && { seed: Number(FC_SEED) }),
});
