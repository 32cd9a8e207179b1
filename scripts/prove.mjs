// `npm run prove`: runs scripts/prove/main.ts.
import { loadTypeScript, showError } from "./deployed-server.mjs";
import { freePorts } from "./ports.mjs";
import { installPackages } from "./packages.mjs";
import { ROOT } from "./stack-target.mjs";

try {
  installPackages(ROOT);
  const { main } = loadTypeScript("prove/main.ts");
  process.exitCode = await main(process.argv.slice(2), ROOT, freePorts);
} catch (error) {
  showError(error);
}
