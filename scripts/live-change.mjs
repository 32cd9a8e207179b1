// What `npm run set-priority`, `set-floor` and `set-weight` have in common: they change a model of a running server.
import { deployedServer, loadTypeScript, showError } from "./deployed-server.mjs";
import { installPackages } from "./packages.mjs";
import { ROOT, UsageError } from "./stack-target.mjs";

/**
 * Changes what the words of the command line say, and prints what that did.
 *
 * @param file a module of scripts/, whose `parseWords` reads them
 * @param change gets the module, the server and what was read
 */
export async function changeLive(file, change) {
  try {
    installPackages(ROOT);
    const module = loadTypeScript(file);
    const { stack, ...wanted } = module.parseWords(process.argv.slice(2));
    const server = await deployedServer(stack);
    if (server === undefined) throw new UsageError('the stack "local" is not deployed\nfix: npm run up');
    console.log(await change(module, server, wanted));
  } catch (error) {
    showError(error);
  }
}
