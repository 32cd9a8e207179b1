// mocha's "spec" reporter. It also writes to MOCHA_COUNTS_FILE how many tests passed, failed and were skipped, and why
// tests failed. mocha waits for whatever the tests have left open, such as a server that nobody stopped: after
// MOCHA_END_SECONDS (60) its process is ended and has failed.
const fs = require("node:fs");
const { reporters, Runner } = require("mocha");

/** Ends this process if it does not end by itself. `fail` is called before that with the reason. */
function endInTime(fail) {
  const limit = Number(process.env.MOCHA_END_SECONDS ?? 60);
  const end = () => {
    const open = process.getActiveResourcesInfo().filter((name) => name !== "Timeout" && name !== "PipeWrap");
    fail(`still open ${limit} s after the last test: ${open.sort().join(", ")}`);
    process.exit();
  };
  // The timer itself keeps nothing waiting.
  setTimeout(end, limit * 1000).unref();
}

module.exports = class CountingReporter extends reporters.Spec {
  constructor(runner, options) {
    super(runner, options);
    const reasons = [];
    runner.on(Runner.constants.EVENT_TEST_FAIL, (test, error) => {
      reasons.push({ title: test.fullTitle(), error: String(error?.stack ?? error) });
    });
    runner.once(Runner.constants.EVENT_RUN_END, () => {
      const { passes, failures, pending } = this.stats;
      const write = (failed) => {
        const counts = { passed: passes, failed, skipped: pending, failures: reasons };
        fs.writeFileSync(process.env.MOCHA_COUNTS_FILE, JSON.stringify(counts));
      };
      write(failures);
      endInTime((error) => {
        console.log(error);
        reasons.push({ title: "the end of the tests", error });
        write(failures + 1);
      });
    });
  }
};
