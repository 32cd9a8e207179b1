// Small file systems in a mount namespace of a test's own, whether or not it is root who tests.
import { spawnSync, type SpawnSyncReturns } from "node:child_process";

/** Runs a shell script with its words, `$0` and on, where it may mount. */
export function whereItMayMount(
  script: string,
  words: readonly string[],
  input?: string | Uint8Array,
): SpawnSyncReturns<string> {
  const within = ["--map-root-user", "--mount", "/bin/sh", "-c", script, ...words];
  return spawnSync("unshare", within, { input, encoding: "utf8" });
}

/** Skips the test where the kernel lets nobody mount at `folder`, and says so. Under CI, what is skipped has failed. */
export function skipWithoutMounts(test: Mocha.Context, folder: string): void {
  const { status, stderr, error } = whereItMayMount('mount -t tmpfs tmpfs "$0"', [folder]);
  if (status === 0) return;
  console.log(`      no file system can be mounted for the test: ${error?.message ?? stderr.trim()}`);
  test.skip();
}
