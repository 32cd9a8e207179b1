import { type Scheduler } from "../triton/scheduler";
import { type TritonApi } from "../triton/tritonApi";
import { type Arm, type Phase, phasesOf, SETTING } from "./arms/arms";
import { type ArmSwitch } from "./arms/armSwitch";
import { now } from "./load/clock";
import { type LoadThread, type RunningLoad } from "./load/loadThread";
import { type ClosedLoad, type OpenLoad } from "./load/messages";
import { modelCounters, type ModelCounters } from "./schedulerCounters";
import { ServerTimes } from "./serverTimes";

/** What to measure, and for how long. */
export interface Plan {
  readonly high: string;
  readonly low: string;
  /** What to compare, in the order of ARMS. */
  readonly arms: readonly Arm[];
  readonly rounds: number;
  /** By round, when to send requests: milliseconds from the start of a phase, the same in every arm. */
  readonly schedules: readonly Float64Array[];
  /** Mean time between two requests, in milliseconds. */
  readonly periodMs: number;
  readonly warmUpMs: number;
  /** How many low requests are in flight at any time. */
  readonly lowConcurrency: number;
}

/** One phase of one round. */
export interface Measurement {
  readonly phase: Phase;
  readonly round: number;
  /** Absent in "low alone". */
  readonly high?: OpenLoad;
  /** Absent in "standalone". */
  readonly low?: LowLoad;
  /** Triton's own times over the phase, by model. */
  readonly server?: Readonly<Record<string, ServerTimes>>;
  /** The scheduler's counters over the phase, if there is a scheduler. */
  readonly scheduler?: Readonly<Record<"high" | "low", ModelCounters>>;
}

/** The low model's answers during the high model's schedule. */
export interface LowLoad {
  readonly answers: number;
  readonly seconds: number;
  readonly perSecond: number;
  readonly failed: number;
  readonly problems: readonly string[];
}

export interface Observer {
  /** Called at the start of each phase, and regularly during it. */
  phase(round: number, phase: Phase, doing: string, share: number): void;
}

/** Share of an arm's time for measuring the low model alone; only its throughput is needed. */
const LOW_ALONE_SHARE = 0.5;
const LOW_ALONE_LEAST_MS = 1000;
/** How often the observer is called. */
const OBSERVE_MS = 200;

/** The planned length of a phase without switching, in milliseconds. */
export function phaseMs(plan: Plan, phase: Phase, round: number): number {
  const whole = (plan.schedules[round]?.at(-1) ?? 0) + plan.periodMs;
  return phase === "low alone" ? Math.max(whole * LOW_ALONE_SHARE, LOW_ALONE_LEAST_MS) : whole;
}

export class Measuring {
  public constructor(
    private readonly plan: Plan,
    private readonly arms: ArmSwitch,
    private readonly loads: Readonly<Record<"high" | "low", LoadThread>>,
    private readonly api: TritonApi,
    private readonly scheduler: Scheduler | undefined,
    private readonly observer: Observer,
    private readonly abort: AbortSignal,
  ) {}

  /** Measures every phase of every round, in turn. */
  public async *run(): AsyncGenerator<Measurement> {
    for (let round = 0; round < this.plan.rounds; round++) {
      for (const phase of phasesOf(round, this.plan.arms)) yield await this.measure(phase, round);
    }
  }

  private async measure(phase: Phase, round: number): Promise<Measurement> {
    const { high, low } = this.loads;
    const { lowConcurrency } = this.plan;
    const withHigh = phase !== "low alone";
    const withLow = phase !== "standalone";
    const observe = (doing: string, share: number): void => {
      this.observer.phase(round, phase, doing, share);
    };

    this.abort.throwIfAborted();
    observe("loading", 0);
    await this.arms.use(SETTING[phase]);

    const warming = [...(withHigh ? [high.closed(1)] : []), ...(withLow ? [low.closed(lowConcurrency)] : [])];
    await this.during(this.plan.warmUpMs, warming, () => {
      observe("warm-up", 0);
    });
    this.arms.useQueues();

    const before = this.counters();
    const serverBefore = await this.serverTimes(withHigh, withLow);
    const ms = phaseMs(this.plan, phase, round);
    const running = withLow ? low.closed(lowConcurrency) : undefined;
    const began = now();
    const observing = setInterval(() => {
      observe("measuring", Math.min((now() - began) / ms, 1));
    }, OBSERVE_MS);
    let start = began;
    let answers: OpenLoad | undefined;
    let background: ClosedLoad | undefined;
    try {
      if (withHigh) {
        const times = this.plan.schedules[round] ?? new Float64Array();
        ({ start, load: answers } = await high.open(times, this.abort));
      } else {
        await sleep(ms, this.abort);
      }
    } finally {
      clearInterval(observing);
      background = await running?.stop();
    }
    this.abort.throwIfAborted();
    observe("measuring", 1);
    const after = this.counters();
    const serverAfter = await this.serverTimes(withHigh, withLow);
    await this.arms.check();
    return {
      phase,
      round,
      ...(answers && { high: answers }),
      ...(background && { low: within(background, start, start + ms) }),
      server: Object.fromEntries(
        Object.entries(serverAfter).map(([model, times]) => [
          model,
          times.since(serverBefore[model] ?? ServerTimes.of([])),
        ]),
      ),
      ...(before &&
        after && { scheduler: { high: after.high.since(before.high), low: after.low.since(before.low) } }),
    };
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

  /** Triton's statistics of the models that a phase uses. */
  private async serverTimes(withHigh: boolean, withLow: boolean): Promise<Record<string, ServerTimes>> {
    const models = [...(withHigh ? [this.plan.high] : []), ...(withLow ? [this.plan.low] : [])];
    const times: Record<string, ServerTimes> = {};
    for (const model of models) times[model] = ServerTimes.of(await this.api.statistics(model));
    return times;
  }

  private counters(): Record<"high" | "low", ModelCounters> | undefined {
    const queues = this.scheduler?.queues();
    return (
      queues && {
        high: modelCounters(queues, this.plan.high),
        low: modelCounters(queues, this.plan.low),
      }
    );
  }
}

/** The throughput between two moments; answers before or after do not count. */
export function within(load: ClosedLoad, from: number, to: number): LowLoad {
  const answers = load.ends.filter((end) => end >= from && end < to).length;
  const seconds = (to - from) / 1000;
  return { answers, seconds, perSecond: answers / seconds, failed: load.failed, problems: load.problems };
}

/** The high model's latencies in an arm, one array per round; NaN for failed requests. */
export function latencies(measurements: readonly Measurement[], arm: Arm): Float64Array[] {
  return measurements
    .filter(({ phase, high }) => phase === arm && high !== undefined)
    .map(({ high }) => high?.latency ?? new Float64Array());
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
