/**
 * Skips a test, or in a hook those of its suite, where the machine lacks something, and says what. CI has everything:
 * there, `npm test` counts what is skipped as failed (scripts/test/programs.mjs).
 */
export function skipWithout(test: Mocha.Context, missing: string | undefined): void {
  if (missing === undefined) return;
  console.log(`      ${missing}`);
  test.skip();
}
