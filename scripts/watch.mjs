// `npm run status -- --watch`: a live view of a stack's server.
import { deployedServer, loadTypeScript } from "./deployed-server.mjs";
import { UsageError } from "./stack-target.mjs";

/** @param words from `--watch` on */
export async function watchServer(stack, words) {
  const { display, parseWatch, watch } = loadTypeScript("live/watch.ts");
  const options = parseWatch(words);
  const server = await deployedServer(stack);
  if (server === undefined) throw new UsageError('the stack "local" is not deployed\nfix: npm run up');
  const interrupted = new AbortController();
  for (const signal of ["SIGINT", "SIGTERM"]) process.on(signal, () => interrupted.abort());
  await watch(server, options, await display(process.stdout), interrupted.signal);
  return 0;
}
