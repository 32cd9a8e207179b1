// `npm test`: runs every check of the project, side by side where they do not compete, then prints why checks failed, a
// table and a closing line. A check that needs a missing program says so and counts as skipped; under CI=true it fails.
//   npm test [-- NAME…]      the checks whose titles begin with a name; by default all
//   npm test -- --limit=N    ends each check after N seconds; by default after its own limit
//   npm run test:fast        the quick ones
import "./node-version.mjs";

import os from "node:os";

import { installPackages } from "./packages.mjs";
import { allChecks, places, ROOT } from "./test/checks.mjs";
import { describeFailure } from "./test/failures.mjs";
import { runSideBySide } from "./test/lanes.mjs";
import { endChecks, runCheck } from "./test/programs.mjs";

installPackages(ROOT);
const words = process.argv.slice(2);
const names = words.filter((word) => !word.startsWith("--"));
const limit = words.find((word) => word.startsWith("--limit="))?.slice("--limit=".length);
const checks = allChecks().filter(
  ({ title, fast }) =>
    (!words.includes("--fast") || fast) &&
    (names.length === 0 || names.some((name) => title.startsWith(name))),
);

const total = { passed: 0, failed: 0, skipped: 0 };
const lines = [];
const reasons = [];
const seconds = (since) => ((Date.now() - since) / 1000).toFixed(1);
const begin = Date.now();

// The checks have sessions of their own, so neither Ctrl-C nor the end of a terminal reaches them.
const running = new Map();
for (const signal of ["SIGHUP", "SIGINT", "SIGTERM"]) {
  process.once(signal, async () => {
    for (const [title, started] of running) console.log(`${signal} after ${seconds(started)} s of ${title}`);
    await endChecks();
    process.exit(128 + os.constants.signals[signal]);
  });
}

await runSideBySide(checks, places(checks, os.availableParallelism()), async (check, place) => {
  const started = Date.now();
  running.set(check.title, started);
  // A check's output stays together: it is shown at the check's end, unless it is the only check.
  const alone = checks.length === 1;
  let printed = "";
  console.log(alone ? `\n━━ ${check.title}` : `▸ ${check.title}`);
  const result = await runCheck(check, {
    env: { TEST_PLACE: String(place) },
    limit: limit === undefined ? check.limit : Number(limit),
    show: (text) => {
      if (alone) process.stdout.write(text);
      else printed += text;
    },
  });
  running.delete(check.title);
  const { passed, failed, skipped, busy } = result;
  for (const key of Object.keys(total)) total[key] += result[key];
  if (failed > 0) reasons.push(describeFailure(check.title, result));
  const mark = failed > 0 ? "✗" : "✓";
  const line = `${mark} ${check.title.padEnd(36)} ${seconds(started).padStart(7)} s ${busy.toFixed(0).padStart(6)} s of CPU  ${passed} passed, ${failed} failed, ${skipped} skipped`;
  lines.push({ check, line });
  if (!alone) console.log(`\n━━ ${check.title}\n${printed}${line}\n`);
});

for (const reason of reasons) console.log(`\n${reason}`);
lines.sort((a, b) => checks.indexOf(a.check) - checks.indexOf(b.check));
console.log(`\n${lines.map(({ line }) => line).join("\n")}\n`);
console.log(`${seconds(begin)} s`);
console.log(`${total.passed} passed, ${total.failed} failed, ${total.skipped} skipped`);
process.exitCode = total.failed > 0 || total.passed === 0 ? 1 : 0;
