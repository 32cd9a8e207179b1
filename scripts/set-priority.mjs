// `npm run set-priority`: changes the priority of a served model.
import { deployedServer, loadTypeScript, showError } from "./deployed-server.mjs";
import { installPackages } from "./packages.mjs";
import { ROOT, UsageError } from "./stack-target.mjs";

try {
  installPackages(ROOT);
  const { parseWords, setPriority } = loadTypeScript("live/setPriority.ts");
  const { stack, model, priority } = parseWords(process.argv.slice(2));
  const server = await deployedServer(stack);
  if (server === undefined) throw new UsageError('the stack "local" is not deployed\nfix: npm run up');
  console.log(await setPriority(server, model, priority));
} catch (error) {
  showError(error);
}
