import { type Scheduler } from "../triton/scheduler";
import { type TritonApi } from "../triton/tritonApi";
import { type Arm, type Contender, type Phase, type PhaseRun, phasesOf, SETTING } from "./arms/arms";
import { type ArmSwitch } from "./arms/armSwitch";
import { now } from "./load/clock";
import { type LoadThread, type RunningLoad } from "./load/loadThread";
import { type ClosedLoad, type OpenLoad } from "./load/messages";
import { modelCounters, type ModelCounters } from "./schedulerCounters";
import { ServerTimes } from "./serverTimes";

/** A model with an open loop: its requests are sent on schedule, whether or not earlier ones have been answered. */
export interface OpenPlan {
  readonly model: string;
  /** Mean time between two requests, in milliseconds. */
  readonly periodMs: number;
  /** By round, when to send requests: milliseconds from the start of a phase, the same in every arm. */
  readonly schedules: readonly Float64Array[];
}

/** A model that is sent requests back to back. */
export interface ClosedPlan {
  readonly model: string;
  /** How many requests are in flight at any time. */
  readonly concurrency: number;
}

/** What to measure, and for how long. */
export interface Plan {
  readonly high: OpenPlan;
  readonly middle?: OpenPlan;
  /** At least one. */
  readonly lows: readonly ClosedPlan[];
  /** What to compare, in the order of ARMS. */
  readonly arms: readonly Arm[];
  readonly rounds: number;
  readonly warmUpMs: number;
}

/** All models, from the highest priority to the lowest. */
export function contendersOf({ high, middle, lows }: Plan): Contender[] {
  return [
    { model: high.model, role: "high" },
    ...(middle ? [{ model: middle.model, role: "middle" as const }] : []),
    ...lows.map(({ model }) => ({ model, role: "low" as const })),
  ];
}

/** One phase of one round. */
export interface Measurement {
  readonly phase: Phase;
  readonly round: number;
  /** Each absent where the model was sent no requests. */
  readonly high?: OpenLoad;
  readonly middle?: OpenLoad;
  /** By model; empty where none was sent requests. */
  readonly lows: Readonly<Record<string, LowLoad>>;
  /** Triton's own times over the phase, by model. */
  readonly server?: Readonly<Record<string, ServerTimes>>;
  /** The scheduler's counters over the phase, by model, if there is a scheduler. */
  readonly scheduler?: Readonly<Record<string, ModelCounters>>;
}

/** A low model's answers during the schedule of the phase. */
export interface LowLoad {
  readonly answers: number;
  readonly seconds: number;
  readonly perSecond: number;
  readonly failed: number;
  readonly problems: readonly string[];
}

export interface Observer {
  /** Called at the start of each phase, and regularly during it. */
  phase(round: number, run: PhaseRun, doing: string, share: number): void;
}

/** Share of an arm's time for measuring a low model alone; only its throughput is needed. */
const LOW_ALONE_SHARE = 0.5;
const LOW_ALONE_LEAST_MS = 1000;
/** How often the observer is called. */
const OBSERVE_MS = 200;

/** The planned length of a phase without switching, in milliseconds. */
export function phaseMs({ high }: Plan, phase: Phase, round: number): number {
  const whole = (high.schedules[round]?.at(-1) ?? 0) + high.periodMs;
  return phase === "low alone" ? Math.max(whole * LOW_ALONE_SHARE, LOW_ALONE_LEAST_MS) : whole;
}

export class Measuring {
  public constructor(
    private readonly plan: Plan,
    private readonly arms: ArmSwitch,
    /** By model. */
    private readonly loads: ReadonlyMap<string, LoadThread>,
    private readonly api: TritonApi,
    private readonly scheduler: Scheduler | undefined,
    private readonly observer: Observer,
    private readonly abort: AbortSignal,
  ) {}

  /** Measures every phase of every round, in turn. */
  public async *run(): AsyncGenerator<Measurement> {
    for (let round = 0; round < this.plan.rounds; round++) {
      for (const run of phasesOf(round, this.plan)) yield await this.measure(run, round);
    }
  }

  private async measure(run: PhaseRun, round: number): Promise<Measurement> {
    const { phase } = run;
    const open = {
      ...(run.high && { high: this.plan.high }),
      ...(run.middle && this.plan.middle && { middle: this.plan.middle }),
    };
    const closed = this.plan.lows.filter(({ model }) => run.lows.includes(model));
    const models = [...Object.values(open), ...closed].map(({ model }) => model);
    const observe = (doing: string, share: number): void => {
      this.observer.phase(round, run, doing, share);
    };
    const background = (): Map<string, RunningLoad> =>
      new Map(closed.map(({ model, concurrency }) => [model, this.load(model).closed(concurrency)]));

    this.abort.throwIfAborted();
    observe("loading", 0);
    await this.arms.use(SETTING[phase]);

    const warming = [
      ...Object.values(open).map(({ model }) => this.load(model).closed(1)),
      ...background().values(),
    ];
    await this.during(this.plan.warmUpMs, warming, () => {
      observe("warm-up", 0);
    });
    this.arms.useQueues();

    const before = this.counters();
    const serverBefore = await this.serverTimes(models);
    const ms = phaseMs(this.plan, phase, round);
    const running = background();
    const began = now();
    const observing = setInterval(() => {
      observe("measuring", Math.min((now() - began) / ms, 1));
    }, OBSERVE_MS);
    const send = async (plan: OpenPlan | undefined): Promise<{ start: number; load: OpenLoad } | undefined> =>
      plan && this.load(plan.model).open(plan.schedules[round] ?? new Float64Array(), this.abort);
    let start = began;
    let high: OpenLoad | undefined;
    let middle: OpenLoad | undefined;
    let stopped: (readonly [string, ClosedLoad])[];
    try {
      if (run.high || run.middle) {
        const [ofHigh, ofMiddle] = await Promise.all([send(open.high), send(open.middle)]);
        start = (ofHigh ?? ofMiddle)?.start ?? began;
        high = ofHigh?.load;
        middle = ofMiddle?.load;
      } else {
        await sleep(ms, this.abort);
      }
    } finally {
      clearInterval(observing);
      stopped = await Promise.all(
        [...running].map(async ([model, load]) => [model, await load.stop()] as const),
      );
    }
    this.abort.throwIfAborted();
    observe("measuring", 1);
    const after = this.counters();
    const serverAfter = await this.serverTimes(models);
    await this.arms.check();
    return {
      phase,
      round,
      ...(high && { high }),
      ...(middle && { middle }),
      lows: Object.fromEntries(stopped.map(([model, load]) => [model, within(load, start, start + ms)])),
      server: difference(serverAfter, serverBefore),
      ...(before && after && { scheduler: difference(after, before) }),
    };
  }

  private load(model: string): LoadThread {
    const thread = this.loads.get(model);
    if (thread === undefined) throw new Error(`no load on ${model} was started`);
    return thread;
  }

  /** Lets loads run for a time. */
  private async during(ms: number, running: readonly RunningLoad[], tick: () => void): Promise<void> {
    const observing = setInterval(tick, OBSERVE_MS);
    try {
      await sleep(ms, this.abort);
    } finally {
      clearInterval(observing);
      await Promise.all(running.map((load) => load.stop()));
    }
    this.abort.throwIfAborted();
  }

  private async serverTimes(models: readonly string[]): Promise<Record<string, ServerTimes>> {
    const times: Record<string, ServerTimes> = {};
    for (const model of models) times[model] = ServerTimes.of(await this.api.statistics(model));
    return times;
  }

  private counters(): Record<string, ModelCounters> | undefined {
    const queues = this.scheduler?.queues();
    return (
      queues &&
      Object.fromEntries(contendersOf(this.plan).map(({ model }) => [model, modelCounters(queues, model)]))
    );
  }
}

/** What was counted between two moments, by model. */
function difference<Counted extends { since(before: Counted): Counted }>(
  after: Readonly<Record<string, Counted>>,
  before: Readonly<Record<string, Counted>>,
): Record<string, Counted> {
  return Object.fromEntries(
    Object.entries(after).flatMap(([model, counted]) => {
      const earlier = before[model];
      return earlier ? [[model, counted.since(earlier)]] : [];
    }),
  );
}

/** The throughput between two moments; answers before or after do not count. */
export function within(load: ClosedLoad, from: number, to: number): LowLoad {
  const answers = load.ends.filter((end) => end >= from && end < to).length;
  const seconds = (to - from) / 1000;
  return { answers, seconds, perSecond: answers / seconds, failed: load.failed, problems: load.problems };
}

/** An open loop's latencies in a phase, one array per round; NaN for failed requests. */
export function latencies(
  measurements: readonly Measurement[],
  phase: Phase,
  role: "high" | "middle" = "high",
): Float64Array[] {
  return measurements.flatMap((measurement) => {
    const load = measurement.phase === phase ? measurement[role] : undefined;
    return load ? [load.latency] : [];
  });
}

function sleep(ms: number, abort: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const wake = (): void => {
      clearTimeout(timer);
      abort.removeEventListener("abort", wake);
      resolve();
    };
    const timer = setTimeout(wake, ms);
    abort.addEventListener("abort", wake);
    if (abort.aborted) wake();
  });
}
