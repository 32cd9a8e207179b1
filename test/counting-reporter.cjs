// mocha's "spec" reporter. It also writes to MOCHA_COUNTS_FILE how many tests passed, failed and were skipped, and why
// tests failed.
const fs = require("node:fs");
const { reporters, Runner } = require("mocha");

/** Processor time of this process and all its children that have ended, in seconds; Linux counts in hundredths. */
function processorSeconds() {
  const fields = fs.readFileSync("/proc/self/stat", "utf8").split(") ")[1].split(" ");
  return fields.slice(11, 15).reduce((sum, ticks) => sum + Number(ticks), 0) / 100;
}

module.exports = class CountingReporter extends reporters.Spec {
  constructor(runner, options) {
    super(runner, options);
    const reasons = [];
    runner.on(Runner.constants.EVENT_TEST_FAIL, (test, error) => {
      reasons.push({ title: test.fullTitle(), error: String(error?.stack ?? error) });
    });
    runner.once(Runner.constants.EVENT_RUN_END, () => {
      console.log(`  processor time: ${processorSeconds().toFixed(0)} s\n`);
      const { passes, failures, pending } = this.stats;
      fs.writeFileSync(
        process.env.MOCHA_COUNTS_FILE,
        JSON.stringify({ passed: passes, failed: failures, skipped: pending, failures: reasons }),
      );
    });
  }
};
