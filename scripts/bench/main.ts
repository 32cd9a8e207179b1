import * as fs from "node:fs";
import * as os from "node:os";
import * as path from "node:path";

import { type DeployedServer } from "../triton/deployedServer";
import { UserError } from "../triton/userError";
import { Scheduler } from "../triton/scheduler";
import { ArmSwitch, restore, type Server } from "./arms/armSwitch";
import { isRunning } from "./arms/journal";
import { phasesOf, type Role } from "./arms/arms";
import { closeAll } from "./closing";
import { Interrupted } from "./interrupted";
import { LoadThread } from "./load/loadThread";
import { schedule, scheduleFor } from "./load/schedule";
import { contendersOf, type Measurement, Measuring, phaseMs, type Plan } from "./measure";
import { type BenchCommand, type BenchOptions, parseOptions, USAGE } from "./options";
import { conclude } from "./report/conclude";
import { type FormerRun, readFormerRun, requireSameLoad } from "./report/formerRun";
import { progress } from "./report/progress";
import { type Results, type RunDescription } from "./report/results";
import { summarize } from "./report/summary";
import { loadText } from "./report/text";
import { serverAt, wayTo } from "./server";
import { random } from "./statistics/random";

/** What the launcher passes in. */
export interface Invocation {
  /** The arguments after the stack. */
  readonly words: readonly string[];
  /** Whether the stack was named. */
  readonly stackGiven: boolean;
  /** The stack's server, if it is deployed. */
  readonly deployed?: DeployedServer;
  /** Folder for journals and results. */
  readonly folder: string;
}

/** How often restoring is tried, and the pause in between: Triton may just be restarting. */
const RESTORE_TRIES = 10;
const RESTORE_PAUSE_MS = 2000;

/** What a command came to. */
export interface Outcome {
  /** The exit status. */
  readonly status: number;
  /** The results of a complete measurement. */
  readonly results?: Results;
  /** The folder of their files. */
  readonly folder?: string;
}

/** May be called several times by one process, one call after the other. */
export async function main({ words, stackGiven, deployed, folder }: Invocation): Promise<Outcome> {
  const command = parseOptions(words);
  if (command.kind === "help") {
    console.log(USAGE);
    return { status: 0 };
  }
  const url = command.kind === "restore" ? command.url : command.options.url;
  const server = serverAt(url, stackGiven, deployed, path.join(folder, "journals"));
  if (command.kind === "restore") {
    if (!(await restoreLeft(server))) console.log(`There is nothing to restore at ${server.api.place}.`);
    return { status: 0 };
  }
  if (command.kind === "load") {
    return { status: await load(command.options, command.seconds, server, deployed) };
  }
  await restoreLeft(server);
  return measure(command.options, server, deployed, folder);
}

/** Sends requests only to the high model, to show what the load generator itself can do. */
async function load(
  options: BenchOptions,
  seconds: number,
  server: Server,
  deployed: DeployedServer | undefined,
): Promise<number> {
  await server.api.requireReady(options.high);
  const closing: (() => Promise<void>)[] = [];
  try {
    const way = await wayTo(server, deployed, options);
    closing.push(() => way.close());
    const thread = await LoadThread.start(await way.target(options.high, options.batch));
    closing.push(() => thread.close());
    const { signal } = new AbortController();
    const numbers = random(options.seed);
    const count = Math.max(Math.round(seconds * options.rate), 1);
    // The first requests open connections and let the JIT compile the sending code.
    await thread.open(
      schedule(options.arrivals, Math.min(count, Math.ceil(options.rate)), options.rate, numbers),
      signal,
    );
    const { load: sent } = await thread.open(
      schedule(options.arrivals, count, options.rate, numbers),
      signal,
    );
    console.log(loadText(sent));
    return sent.problems.length > 0 ? 1 : 0;
  } finally {
    await closeAll(closing);
  }
}

/** Restores what a killed benchmark left behind; returns whether there was anything. */
async function restoreLeft(server: Server): Promise<boolean> {
  const left = server.journal.read();
  if (left === undefined) return false;
  if (isRunning(left)) {
    throw new UserError(
      `a benchmark is using the server at ${left.place} (process ${left.owner.pid})`,
      "wait for it to end, or stop it with Ctrl-C; it restores everything itself",
    );
  }
  console.error(`Restoring what a killed benchmark left behind at ${left.place} …`);
  for (const remark of await restore(server, left)) console.error(`note: ${remark}`);
  console.error(`Restored: ${Object.keys(left.configs).join(", ")}.`);
  return true;
}

async function measure(
  options: BenchOptions,
  server: Server,
  deployed: DeployedServer | undefined,
  folder: string,
): Promise<Outcome> {
  const began = new Date();
  const plan = planOf(options);
  const former = formerRuns(options.compare);
  const { api, scheduler } = server;
  const interrupted = new AbortController();
  const onSignal = (signal: NodeJS.Signals): void => {
    if (interrupted.signal.aborted) return;
    process.stderr.write(`\n${signal}: restoring everything …\n`);
    interrupted.abort(new Interrupted(signal));
  };
  const signals = ["SIGINT", "SIGTERM", "SIGHUP"] as const;
  for (const signal of signals) process.on(signal, onSignal);
  const measurements: Measurement[] = [];
  const closing: (() => Promise<void>)[] = [];
  try {
    const contenders = contendersOf(plan);
    await Promise.all(contenders.map(({ model }) => api.requireReady(model)));
    const way = await wayTo(server, deployed, options);
    closing.push(() => way.close());
    const batch = new Map(options.lows.map((low) => [low.model, low.batch]));
    const loads = new Map<string, LoadThread>();
    for (const { model } of contenders) {
      const thread = await LoadThread.start(await way.target(model, batch.get(model) ?? options.batch));
      closing.push(() => thread.close());
      loads.set(model, thread);
    }
    const arms = await ArmSwitch.begin(server, contenders);
    closing.push(() => restoreModels(arms));
    // What can fail fails before a run that takes long, not after it.
    const run: RunDescription = {
      began: began.toISOString(),
      server: api.place,
      version: await api.version(),
      stack: server.stack,
      protocol: options.protocol,
      arrivals: options.arrivals,
      rate: options.rate,
      middleRate: options.middleRate,
      batch: Object.fromEntries(contenders.map(({ model }) => [model, batch.get(model) ?? options.batch])),
      seed: options.seed,
      priorities: ownPriorities(arms, plan),
      scheduler: schedulerState(server, deployed),
      client: `${os.cpus()[0]?.model.trim() ?? "unknown"}, ${os.cpus().length} processors, Node.js ${process.version}`,
    };
    for (const earlier of former) requireSameLoad(earlier, plan, run);
    const out = path.resolve(options.out ?? path.join(folder, began.toISOString().replace(/[:.]/g, "-")));
    fs.mkdirSync(out, { recursive: true });
    const shown = progress(process.stderr, plan.rounds);
    closing.push(() => {
      shown.end();
      return Promise.resolve();
    });
    const total = wholeMs(plan);
    let done = 0;
    const observer = {
      phase: (...words: Parameters<typeof shown.phase>): void => {
        const [round, { phase }] = words;
        shown.begin(done / total, phaseMs(plan, phase, round) / total);
        shown.phase(...words);
      },
    };
    for await (const found of new Measuring(
      plan,
      arms,
      loads,
      api,
      scheduler,
      observer,
      interrupted.signal,
    ).run()) {
      measurements.push(found);
      done += phaseMs(plan, found.phase, found.round);
    }
    const restored = await closeAll(closing);
    const summary = summarize(plan, measurements, options.seed);
    const results = { run, plan, measurements, summary, former };
    const status = conclude(out, results);
    return { status: restored ? status : 1, results, folder: out };
  } catch (error) {
    if (error instanceof Interrupted) return { status: error.status };
    throw error;
  } finally {
    await closeAll(closing);
    for (const signal of signals) process.off(signal, onSignal);
  }
}

/** @throws UserError if two have the same name */
function formerRuns(folders: readonly string[]): FormerRun[] {
  const runs = folders.map(readFormerRun);
  const names = runs.map(({ name }) => name);
  const again = names.find((name, index) => names.indexOf(name) !== index);
  if (again === undefined) return runs;
  throw new UserError(`--compare names two folders called ${again}`, "rename one of them");
}

async function restoreModels(arms: ArmSwitch): Promise<void> {
  for (let tries = 1; ; tries++) {
    try {
      for (const remark of await arms.restore()) console.error(`note: ${remark}`);
      return;
    } catch (error) {
      if (tries === RESTORE_TRIES) {
        const reason = error instanceof Error ? error.message : String(error);
        throw new UserError(
          `the models could not be restored: ${reason}`,
          "when the server answers again, run: npm run bench -- --restore",
        );
      }
      await new Promise((resolve) => setTimeout(resolve, RESTORE_PAUSE_MS));
    }
  }
}

function planOf(options: BenchOptions): Plan {
  const { high, middle, lows, arms, rounds, samples, rate, middleRate, arrivals, seed, warmUpMs } = options;
  const schedules = Array.from({ length: rounds }, (_, round) =>
    // If the samples do not divide evenly, the first rounds get one more each.
    schedule(arrivals, Math.floor((samples + rounds - 1 - round) / rounds), rate, random(seed + round)),
  );
  const periodMs = 1000 / rate;
  return {
    high: { model: high, periodMs, schedules },
    ...(middle !== undefined && {
      middle: {
        model: middle,
        periodMs: 1000 / middleRate,
        // At random, whatever the high model's are: otherwise the two could keep step, and each request of the middle
        // model would meet the high one at the same point. No seed of the high model's is used again.
        schedules: schedules.map((ofHigh, round) =>
          scheduleFor((ofHigh.at(-1) ?? 0) + periodMs, middleRate, random(seed + rounds + round)),
        ),
      },
    }),
    lows,
    arms,
    rounds,
    warmUpMs,
  };
}

function wholeMs(plan: Plan): number {
  let sum = 0;
  for (let round = 0; round < plan.rounds; round++) {
    for (const { phase } of phasesOf(round, plan)) sum += phaseMs(plan, phase, round);
  }
  return sum;
}

/** A bound on how long a command takes, in seconds, if models load in minutes. */
export function longestSeconds(command: Exclude<BenchCommand, { kind: "help" | "restore" }>): number {
  if (command.kind === "load") return 2 * command.seconds + UNMEASURED_SECONDS;
  return (2 * wholeMs(planOf(command.options))) / 1000 + UNMEASURED_SECONDS;
}

/** What there is besides: connections, models that are loaded in other configurations, and charts. */
const UNMEASURED_SECONDS = 3600;

/** The priorities of the arm "xsched", by model. */
function ownPriorities(arms: ArmSwitch, plan: Plan): RunDescription["priorities"] {
  const ranked = contendersOf(plan).map((contender) => ({
    ...contender,
    priority: arms.priorityOf(contender.model).xsched ?? 0,
  }));
  if (plan.arms.includes("xsched")) {
    for (const one of ranked) {
      const above = ranked.find(
        ({ role, priority }) => ABOVE[one.role].includes(role) && priority <= one.priority,
      );
      if (above === undefined) continue;
      throw new UserError(
        `the priority of "${above.model}" is ${above.priority}, which is not above that of "${one.model}", ${one.priority}`,
        `swap --${above.role} and --${one.role}, or change their priorities in the stack's config`,
      );
    }
  }
  return Object.fromEntries(ranked.map(({ model, priority }) => [model, priority]));
}

const ABOVE: Readonly<Record<Role, readonly Role[]>> = {
  high: [],
  middle: ["high"],
  low: ["high", "middle"],
};

function schedulerState(
  { scheduler, stack }: Server,
  deployed: DeployedServer | undefined,
): RunDescription["scheduler"] {
  if (stack === undefined || deployed === undefined) {
    return {
      active: false,
      says: "no stack was named, so the scheduler in the server could not be asked",
    };
  }
  const state = (scheduler ?? new Scheduler(deployed)).state();
  return state.active ? { active: true, says: state.status } : { active: false, says: state.reason };
}
