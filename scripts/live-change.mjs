// What `npm run set-priority`, `set-floor` and `set-weight` have in common: they change a model of a running server.
import { deployedServer, loadTypeScript, showError } from "./deployed-server.mjs";
import { openFleet, takeFolder } from "./fleet-target.mjs";
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
    const { folder, words } = takeFolder(process.argv.slice(2));
    const { stack, ...wanted } = module.parseWords(words);
    if (folder !== undefined) {
      console.log(await inFleet(folder, stack, wanted));
      return;
    }
    const server = await deployedServer(stack);
    if (server === undefined) throw new UsageError('the stack "local" is not deployed\nfix: npm run up');
    console.log(await change(module, server, wanted));
  } catch (error) {
    showError(error);
  }
}

/** Changes a model of a fleet, with `--cwd=FOLDER` of its program. */
async function inFleet(folder, stack, { model, ...wanted }) {
  const { changeFleet } = loadTypeScript("live/fleet.ts");
  const [[key, value]] = Object.entries(wanted);
  const fleet = await openFleet(folder, stack);
  try {
    return changeFleet(fleet, model, key, value);
  } finally {
    fleet.close();
  }
}
