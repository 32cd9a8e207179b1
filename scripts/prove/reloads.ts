import { LoadThread } from "../bench/load/loadThread";
import { type ClosedLoad } from "../bench/load/messages";
import { parseOptions } from "../bench/options";
import { serverAt, wayTo } from "../bench/server";
import { RemoteApi } from "../triton/tritonApi";
import { HIGH, LOW } from "./models";
import { type Holdings, type TritonProcess } from "./tritonProcess";

/** What a server held before and after many reloads. */
export interface ReloadResults {
  readonly reloads: number;
  readonly seconds: number;
  /** Requests to both models meanwhile. */
  readonly answered: number;
  readonly failed: number;
  /** The reasons for failures, each once. */
  readonly problems: readonly string[];
  /** After as many reloads as let pools and caches fill. */
  readonly before: Holdings;
  readonly after: Holdings;
}

/** What came of reloading a server many times: `problem` says why it could not be done to the end. */
export type ReloadOutcome = ReloadResults | { readonly problem: string };

/** The parameter in which the configurations of two reloads differ. */
const MARK = "reload";
/** Reloads before the first look. */
const SETTLING = 10;
/** What was unloaded is freed a little later than its successor serves. */
const SETTLE_MS = 3000;

/** Reloads both models in turn while requests are sent to both, back to back. */
export async function reloadUnderLoad(server: TritonProcess, reloads: number): Promise<ReloadResults> {
  const api = new RemoteApi(server.url, undefined);
  const configs = { [HIGH]: await api.config(HIGH), [LOW]: await api.config(LOW) };
  let count = 0;
  const reload = async (times: number): Promise<void> => {
    for (const end = count + times; count < end; count++) {
      const model = count % 2 === 0 ? LOW : HIGH;
      // Triton does nothing if neither the files nor the configuration have changed.
      const mark = { [MARK]: { string_value: String(count) } };
      await api.reload(model, { ...configs[model], parameters: { ...configs[model].parameters, ...mark } });
      const loaded = (await api.config(model)).parameters?.[MARK]?.string_value;
      if (loaded !== String(count)) throw new Error(`reload ${count} of "${model}" loaded nothing`);
    }
  };
  await reload(SETTLING);
  await settle();
  const before = server.holdings();
  const stopLoads = await startLoads(server.url);
  const began = Date.now();
  let loads;
  try {
    await reload(reloads);
  } finally {
    loads = await stopLoads();
  }
  const seconds = (Date.now() - began) / 1000;
  await settle();
  return {
    reloads,
    seconds,
    answered: loads.reduce((sum, { ends }) => sum + ends.length, 0),
    failed: loads.reduce((sum, { failed }) => sum + failed, 0),
    problems: [...new Set(loads.flatMap(({ problems }) => problems))],
    before,
    after: server.holdings(),
  };
}

/** Sends requests to both models until the returned function is called. */
async function startLoads(url: string): Promise<() => Promise<readonly ClosedLoad[]>> {
  const command = parseOptions(["--url", url, "--high", HIGH, "--low", LOW]);
  if (command.kind !== "measure") throw new Error("these options measure");
  const way = await wayTo(serverAt(url, false, undefined, ""), undefined, command.options);
  const threads = await Promise.all(
    [HIGH, LOW].map(async (model) => LoadThread.start(await way.target(model, 1))),
  );
  const running = threads.map((thread) => thread.closed(1));
  return async () => {
    const loads = await Promise.all(running.map(async (load) => load.stop()));
    await Promise.all(threads.map(async (thread) => thread.close()));
    await way.close();
    return loads;
  };
}

async function settle(): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, SETTLE_MS));
}
