// `npm run set-floor`: changes the floor of a served model.
import { deployedServer, loadTypeScript, showError } from "./deployed-server.mjs";
import { installPackages } from "./packages.mjs";
import { ROOT, UsageError } from "./stack-target.mjs";

try {
  installPackages(ROOT);
  const { parseWords, setFloor } = loadTypeScript("live/setFloor.ts");
  const { stack, model, floor } = parseWords(process.argv.slice(2));
  const server = await deployedServer(stack);
  if (server === undefined) throw new UsageError('the stack "local" is not deployed\nfix: npm run up');
  console.log(await setFloor(server, model, floor));
} catch (error) {
  showError(error);
}
