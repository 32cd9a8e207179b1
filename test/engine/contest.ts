import { AssertionError } from "node:assert";

/**
 * Holds a contest until its figures are as they must be, at most ten times. They are times, or parts of them, which
 * a machine that is busy with other things can spoil most times; a fault spoils all.
 */
export async function contest(hold: () => Promise<void>): Promise<void> {
  for (let left = 9; ; left--) {
    try {
      await hold();
      return;
    } catch (error) {
      if (!(error instanceof AssertionError) || left === 0) throw error;
      console.log(`      once more: ${error.message}`);
    }
  }
}
