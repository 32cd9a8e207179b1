// `npm run simulate`: a day of 1,000 GPUs in several ways (scripts/simulate).
import { loadTypeScript, showError } from "./deployed-server.mjs";
import { installPackages } from "./packages.mjs";
import { ROOT } from "./stack-target.mjs";

try {
  installPackages(ROOT);
  loadTypeScript("simulate/main.ts").main();
} catch (error) {
  showError(error);
}
