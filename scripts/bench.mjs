// `npm run bench`: finds the stack's server, then runs scripts/bench/main.ts.
import path from "node:path";

import { deployedServer, loadTypeScript, showError } from "./deployed-server.mjs";
import { installPackages } from "./packages.mjs";
import { ROOT } from "./stack-target.mjs";

const [first, ...rest] = process.argv.slice(2);
const stackGiven = first !== undefined && !first.startsWith("-");
try {
  installPackages(ROOT);
  const { main } = loadTypeScript("bench/main.ts");
  const { status } = await main({
    words: stackGiven ? rest : process.argv.slice(2),
    stackGiven,
    deployed: await deployedServer(stackGiven ? first : "local"),
    folder: path.join(ROOT, ".local", "bench"),
  });
  process.exitCode = status;
} catch (error) {
  showError(error);
}
