// Pulumi's own debug log, of which each command writes one, compressed and encrypted, whatever its options are. For an `up`
// without changes that is half of the CLI's processor time and 2.6 MB of disk (docs/facts/pulumi.md).
import fs from "node:fs";
import path from "node:path";

/** Stands where Pulumi would make a folder for its logs; without one, it writes none. */
const INSTEAD =
  "This file keeps Pulumi from writing a debug log of each command. To get them, replace it by a folder.\n";

/** Keeps Pulumi from writing debug logs into a PULUMI_HOME, which exists, and removes those that are there. */
export function withoutDebugLogs(home) {
  const logs = path.join(home, "logs");
  const present = fs.lstatSync(logs, { throwIfNoEntry: false });
  if (present?.isFile()) return;
  fs.rmSync(logs, { recursive: true, force: true, maxRetries: 5 });
  fs.writeFileSync(logs, INSTEAD);
}
