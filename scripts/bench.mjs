// `npm run bench`: finds the stack's server, then runs scripts/bench/main.ts.
import path from "node:path";

import { deployedServer, loadTypeScript, showError } from "./deployed-server.mjs";
import { fleetBench } from "./fleet-bench.mjs";
import { takeFolder } from "./fleet-target.mjs";
import { installPackages } from "./packages.mjs";
import { ROOT } from "./stack-target.mjs";

try {
  const { folder: program, words: given } = takeFolder(process.argv.slice(2));
  const [first, ...rest] = given;
  const stackGiven = first !== undefined && !first.startsWith("-");
  const words = stackGiven ? rest : given;
  const folder = path.join(ROOT, ".local", "bench");
  installPackages(ROOT);
  if (program !== undefined) {
    process.exitCode = await fleetBench(program, stackGiven ? first : undefined, words, folder);
  } else {
    const { main } = loadTypeScript("bench/main.ts");
    const deployed = await deployedServer(stackGiven ? first : "local");
    const { status } = await main({ words, stackGiven, deployed, folder });
    process.exitCode = status;
  }
} catch (error) {
  showError(error);
}
