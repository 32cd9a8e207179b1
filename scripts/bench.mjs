// What `npm run bench` calls: finds the stack's server, then runs scripts/bench/main.ts.
import path from "node:path";

import { deployedServer, loadTypeScript } from "./live-server.mjs";
import { installPackages } from "./packages.mjs";
import { ROOT, UsageError } from "./stack-target.mjs";
import { ToolchainError } from "./toolchain.mjs";

const [first, ...rest] = process.argv.slice(2);
const stackGiven = first !== undefined && !first.startsWith("-");
try {
  installPackages(ROOT);
  const { main } = loadTypeScript("bench/main.ts");
  process.exitCode = await main({
    words: stackGiven ? rest : process.argv.slice(2),
    stackGiven,
    deployed: await deployedServer(stackGiven ? first : "local"),
    folder: path.join(ROOT, ".local", "bench"),
  });
} catch (error) {
  const expected = error instanceof UsageError || error instanceof ToolchainError || "isForUser" in error;
  console.error(expected ? `error: ${error.message}` : (error.stack ?? error));
  process.exitCode = 1;
}
