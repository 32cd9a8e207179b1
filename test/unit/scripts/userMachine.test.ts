import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import * as path from "node:path";

const SCRIPTS = path.resolve(__dirname, "../../../scripts");

/** Runs a script on a machine that says something else of itself. */
function onAnother(
  property: "platform" | "versions",
  value: unknown,
  ...words: [string, ...string[]]
): string {
  const lie = `Object.defineProperty(process, "${property}", { value: ${JSON.stringify(value)} })`;
  const { status, stderr } = spawnSync(
    process.execPath,
    [
      "--import",
      `data:text/javascript,${encodeURIComponent(lie)}`,
      path.join(SCRIPTS, words[0]),
      ...words.slice(1),
    ],
    { encoding: "utf8", timeout: 60_000 },
  );
  assert.equal(status, 1, stderr);
  return stderr;
}

describe("a machine that deploys", () => {
  for (const script of [
    "stack.mjs",
    "toolchain.mjs",
    "test.mjs",
    "generate.mjs",
    "preflight.mjs",
    "bench.mjs",
  ]) {
    for (const version of ["16.20.2", "18.19.1", "20.18.3"]) {
      it(`with Node.js ${version} is told by ${script} which one it needs`, () => {
        const said = onAnother("versions", { ...process.versions, node: version }, script, "status");
        assert.match(
          said,
          new RegExp(`^error: Node\\.js ${version} .* is too old: 20\\.19 or newer is needed\n`),
        );
        assert.match(said, /\nfix: install Node\.js 22 or 24 [^\n]*\n$/);
      });
    }
  }

  it("with macOS is told that Triton does not run on it, before anything is installed", () => {
    const said = onAnother("platform", "darwin", "stack.mjs", "up");
    assert.match(
      said,
      /^The stack "local" runs Triton on this machine, which needs Linux; this is darwin\.\nfix: /,
    );
  });
});
