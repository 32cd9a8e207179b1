import * as assert from "node:assert/strict";

/** Only what has gone wrong takes this long, even on a busy machine. */
const PATIENCE = 300;

/**
 * Waits for what happens in its own time.
 * @param what what is waited for, for the message of a failure; a function says what is there instead
 * @param seconds the limit; only where a promise is about time is it less than the default
 */
export async function until(
  what: string | (() => unknown),
  condition: () => boolean | Promise<boolean>,
  seconds = PATIENCE,
): Promise<void> {
  for (const end = Date.now() + seconds * 1000; !(await condition());) {
    if (Date.now() > end) {
      const seen = typeof what === "string" ? what : JSON.stringify(what());
      assert.fail(`not within ${seconds} s: ${seen}`);
    }
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}
