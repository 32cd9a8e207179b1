import { LoadThread } from "../bench/load/loadThread";
import { parseOptions } from "../bench/options";
import { serverAt, wayTo } from "../bench/server";
import { HIGH, LOW } from "./models";

/** A thread for the load on each model, in the order given. */
export async function loadThreads(
  url: string,
  models: readonly string[],
): Promise<{ threads: readonly LoadThread[]; close: () => Promise<void> }> {
  const command = parseOptions(["--url", url, "--high", HIGH, "--low", LOW]);
  if (command.kind !== "measure") throw new Error("these options measure");
  const way = await wayTo(serverAt(url, false, undefined, ""), undefined, command.options);
  const threads = await Promise.all(
    models.map(async (model) => LoadThread.start(await way.target(model, 1))),
  );
  return {
    threads,
    close: async () => {
      await Promise.all(threads.map(async (thread) => thread.close()));
      await way.close();
    },
  };
}
