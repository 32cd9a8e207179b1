import { Presets, SingleBar } from "cli-progress";

import { type ClosedLoad } from "../bench/load/messages";
import { RemoteApi } from "../triton/tritonApi";
import { loadThreads } from "./loads";
import { HIGH, LOW } from "./models";
import { type Holdings, type TritonProcess } from "./tritonProcess";

/** What a server held before and after many reloads. */
export interface ReloadResults {
  /** How many were done. */
  readonly reloads: number;
  /** How many were to be done; more than were done if a signal came first. */
  readonly asked: number;
  readonly seconds: number;
  /** Requests to each model meanwhile. */
  readonly answered: Readonly<Record<typeof HIGH | typeof LOW, number>>;
  readonly failed: number;
  /** The reasons for failures, each once. */
  readonly problems: readonly string[];
  /** After as many reloads as let pools and caches fill. */
  readonly before: Holdings;
  /** None if the server ended with the signal, too, as after Ctrl-C. */
  readonly after?: Holdings;
}

/** What came of reloading a server many times: `problem` says why it could not be done to the end. */
export type ReloadOutcome = ReloadResults | { readonly problem: string };

/** The parameter in which the configurations of two reloads differ. */
const MARK = "reload";
/** Reloads before the first look. */
const SETTLING = 10;
/** What was unloaded is freed a little later than its successor serves: how long to wait, and how often at most. */
const SETTLE_MS = 3000;
const SETTLE_LOOKS = 20;

/** Milliseconds between two lines of progress where there is no terminal. */
const LINE_MS = 10_000;

/**
 * Reloads both models in turn while requests are sent to both, back to back.
 *
 * @param interrupted ends it after the current reload; what was found until then is returned
 */
export async function reloadUnderLoad(
  server: TritonProcess,
  reloads: number,
  interrupted: AbortSignal,
): Promise<ReloadResults> {
  const api = new RemoteApi(server.url, undefined);
  const configs = { [HIGH]: await api.config(HIGH), [LOW]: await api.config(LOW) };
  let count = 0;
  const reload = async (times: number, done: () => void): Promise<void> => {
    for (const end = count + times; count < end && !interrupted.aborted; count++) {
      const model = count % 2 === 0 ? LOW : HIGH;
      // Triton does nothing if neither the files nor the configuration have changed.
      const mark = { [MARK]: { string_value: String(count) } };
      await api.reload(model, { ...configs[model], parameters: { ...configs[model].parameters, ...mark } });
      const loaded = (await api.config(model)).parameters?.[MARK]?.string_value;
      if (loaded !== String(count)) throw new Error(`reload ${count} of "${model}" loaded nothing`);
      done();
    }
  };
  await reload(SETTLING, () => undefined);
  interrupted.throwIfAborted();
  await settle(server);
  const before = server.holdings();
  const load = await startLoads(server.url);
  // Ctrl-C ends the server, too, and requests that come later would fail for no other reason.
  const stop = (): void => void load.stop().catch(() => undefined);
  interrupted.addEventListener("abort", stop);
  const shown = progress(reloads);
  const began = Date.now();
  let done = 0;
  let loads: readonly ClosedLoad[];
  try {
    await reload(reloads, () => {
      shown.update(++done, { failed: load.failed });
    });
  } catch (error) {
    if (!interrupted.aborted) {
      const reason = error instanceof Error ? error.message : String(error);
      throw new Error(`${reason} (after ${done} of ${reloads} reloads; ${load.failed} requests failed)`, {
        cause: error,
      });
    }
  } finally {
    shown.stop();
    interrupted.removeEventListener("abort", stop);
    loads = await load.stop();
  }
  const seconds = (Date.now() - began) / 1000;
  await settle(server);
  const [high, low] = loads;
  return {
    reloads: done,
    asked: reloads,
    seconds,
    answered: { [HIGH]: high?.ends.length ?? 0, [LOW]: low?.ends.length ?? 0 },
    failed: loads.reduce((sum, { failed }) => sum + failed, 0),
    problems: [...new Set(loads.flatMap(({ problems }) => problems))],
    before,
    after: server.running ? server.holdings() : undefined,
  };
}

/** Requests to both models. */
interface Loads {
  /** Failed requests so far. */
  readonly failed: number;
  /** Stops sending; the same result each time. */
  stop(): Promise<readonly ClosedLoad[]>;
}

async function startLoads(url: string): Promise<Loads> {
  const { threads, close } = await loadThreads(url, [HIGH, LOW]);
  const running = threads.map((thread) => thread.closed(1));
  const end = async (): Promise<readonly ClosedLoad[]> => {
    const loads = await Promise.all(running.map(async (load) => load.stop()));
    await close();
    return loads;
  };
  let ended: Promise<readonly ClosedLoad[]> | undefined;
  return {
    get failed() {
      return threads.reduce((sum, { failed }) => sum + failed, 0);
    },
    stop: () => (ended ??= end()),
  };
}

/** A bar on a terminal, elsewhere a line now and then. */
function progress(reloads: number): SingleBar {
  const bar = new SingleBar(
    {
      format: "{bar} {value} of {total} reloads, {failed} requests failed",
      stream: process.stderr,
      hideCursor: true,
      barsize: 30,
      noTTYOutput: true,
      notTTYSchedule: LINE_MS,
    },
    Presets.shades_classic,
  );
  bar.start(reloads, 0, { failed: 0 });
  return bar;
}

/** Waits until a server that does nothing holds no less than before. */
async function settle(server: TritonProcess): Promise<void> {
  let threads = Infinity;
  for (let looks = 0; looks < SETTLE_LOOKS; looks++) {
    await new Promise((resolve) => setTimeout(resolve, SETTLE_MS));
    if (!server.running) return;
    const before = threads;
    threads = server.holdings().threads;
    if (threads >= before) return;
  }
}
