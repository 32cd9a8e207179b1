import { type Arm, type Phase, type PhaseRun, phasesOf } from "../arms/arms";
import { contendersOf, latencies, type Measurement, type Plan } from "../measure";
import { byPart, type Part, PARTS } from "../serverTimes";
import { bootstrap, type Estimate } from "../statistics/bootstrap";
import { mean, percentile, sorted } from "../statistics/percentile";
import { random } from "../statistics/random";

/** The reported percentiles, and the share of samples that each covers. */
export const PERCENTILES = { p50: 0.5, p90: 0.9, p99: 0.99 } as const;
export type Percentile = keyof typeof PERCENTILES;
const PERCENTILE_NAMES = Object.keys(PERCENTILES) as Percentile[];

type Percentiles = Readonly<Record<Percentile, Estimate>>;

/** The latency of a model with an open loop in a phase. */
export interface LatencySummary {
  /** Answered requests. */
  readonly samples: number;
  readonly failed: number;
  /** From the due time, in milliseconds. */
  readonly latencyMs: Percentiles;
  /** The same, divided by that of the model alone. */
  readonly ratio: Percentiles;
  /** How late requests were sent, in milliseconds: the load generator's own error. */
  readonly lagMs: { readonly p50: number; readonly p99: number; readonly max: number };
}

/** The results of an arm, with the latency of the high model. */
export interface ArmSummary extends LatencySummary {
  readonly arm: Arm;
  /** Empty in "standalone". */
  readonly lows: readonly LowSummary[];
  /** The low models together: the sums of their shares, since their requests differ. */
  readonly lowTotal?: { readonly ofAlone: Estimate; readonly ofBound: Estimate };
  /** The scheduler's counters, if there is a scheduler. */
  readonly scheduler?: {
    /** How often the high model made others stop. */
    readonly preemptions: number;
    /** The share of the time for which each other model was blocked. */
    readonly blockedShare: Readonly<Record<string, number>>;
  };
}

/** A low model's throughput. */
export interface LowSummary {
  readonly model: string;
  readonly perSecond: Estimate;
  /** Divided by its throughput alone. */
  readonly ofAlone: Estimate;
  /**
   * Divided by its throughput under a scheduler that never leaves the device idle and costs the models above it nothing:
   * throughput alone × (1 − mean latency of the high model alone / period), less the same of the middle model. Several low
   * models share it.
   */
  readonly ofBound: Estimate;
  readonly failed: number;
}

/** The middle model in a phase. */
export interface MiddleSummary extends LatencySummary {
  readonly phase: Phase;
  /** Its latency, divided by that with the high model only: what the low models cost it. */
  readonly behindHigh: Percentiles;
}

/** Triton's own times of a model in a phase: means per request, in milliseconds. */
export interface ServerSummary {
  readonly phase: Phase;
  readonly model: string;
  readonly requests: number;
  readonly executions: number;
  readonly partMs: Readonly<Record<Part, Estimate>>;
  /** Input, inference and output together. */
  readonly computeMs: Estimate;
  /** The same, divided by that of the model alone. */
  readonly computeRatio: Estimate;
}

export interface Summary {
  /** Each low model's throughput alone, per second. */
  readonly lowAlone: Readonly<Record<string, Estimate>>;
  readonly arms: readonly ArmSummary[];
  /** The phases with a middle model. */
  readonly middle: readonly MiddleSummary[];
  /** One entry per phase and model. */
  readonly server: readonly ServerSummary[];
}

const NO_SAMPLES = new Float64Array();
const NOTHING: Estimate = { value: NaN, low: NaN, high: NaN };

type Figures = (name: string) => Estimate;

export function summarize(plan: Plan, measurements: readonly Measurement[], seed: number): Summary {
  const runs = phasesOf(0, plan);
  const latency = estimateLatency(plan, measurements, runs, seed);
  const throughput = estimateThroughput(plan, measurements, runs, seed);
  const arms = plan.arms.map((arm): ArmSummary => {
    const own = ofPhase(measurements, arm);
    const lows = arm === "standalone" ? [] : plan.lows;
    return {
      arm,
      ...latencySummary(latency, own, "high", arm),
      lows: lows.map(({ model }) => ({
        model,
        perSecond: throughput(`${arm} ${model}`),
        ofAlone: throughput(`${arm} ${model} of alone`),
        ofBound: throughput(`${arm} ${model} of bound`),
        failed: own.reduce((sum, measured) => sum + (measured.lows[model]?.failed ?? 0), 0),
      })),
      ...(lows.length > 0 && {
        lowTotal: { ofAlone: throughput(`${arm} of alone`), ofBound: throughput(`${arm} of bound`) },
      }),
      ...schedulerSummary(plan, own),
    };
  });
  const middle = runs
    .filter((run) => run.middle)
    .map(({ phase }): MiddleSummary => {
      return {
        phase,
        ...latencySummary(latency, ofPhase(measurements, phase), "middle", phase),
        behindHigh: byPercentile((name) => latency(`${phase} middle ${name} behind high`)),
      };
    });
  return {
    lowAlone: Object.fromEntries(plan.lows.map(({ model }) => [model, throughput(`low alone ${model}`)])),
    arms,
    middle,
    server: serverSummaries(plan, measurements, runs, seed),
  };
}

/** Figures by `phase role percentile`, followed by `ratio` or `behind high`. */
function estimateLatency(
  plan: Plan,
  measurements: readonly Measurement[],
  runs: readonly PhaseRun[],
  seed: number,
): Figures {
  const rows = runs.flatMap((run) =>
    (["high", "middle"] as const)
      // What the middle model does to the high one is no arm of the comparison.
      .filter((role) => run[role] && !(role === "high" && run.phase === "middle behind high"))
      .map((role) => ({ phase: run.phase, role })),
  );
  const samples: Record<string, Float64Array[]> = Object.fromEntries(
    rows.map(({ phase, role }) => [`${phase} ${role}`, latencies(measurements, phase, role).map(sorted)]),
  );
  const estimates = bootstrap(
    samples,
    (drawn) =>
      Object.fromEntries(
        rows.flatMap(({ phase, role }) =>
          PERCENTILE_NAMES.flatMap((name) => {
            const of = (other: string): number =>
              percentile(drawn[`${other} ${role}`] ?? NO_SAMPLES, PERCENTILES[name]);
            const figure = `${phase} ${role} ${name}`;
            const alone = of(role === "high" ? "standalone" : "middle alone");
            return [
              [figure, of(phase)],
              [`${figure} ratio`, of(phase) / alone],
              ...(role === "middle"
                ? [[`${figure} behind high`, of(phase) / of("middle behind high")] as const]
                : []),
            ];
          }),
        ),
      ) as Record<string, number>,
    random(seed),
  );
  return (name) => estimates[name] ?? NOTHING;
}

/** Figures by `phase model`, followed by `of alone` or `of bound`; `phase of alone` and `phase of bound` are sums. */
function estimateThroughput(
  plan: Plan,
  measurements: readonly Measurement[],
  runs: readonly PhaseRun[],
  seed: number,
): Figures {
  const withLows = runs.filter(({ lows }) => lows.length > 0);
  if (withLows.length === 0) return () => NOTHING;
  const rates: Record<string, Float64Array[]> = Object.fromEntries(
    withLows.flatMap(({ phase, lows }) =>
      lows.map((model) => [
        `${phase} ${model}`,
        ofPhase(measurements, phase).flatMap((measured) => {
          const low = measured.lows[model];
          return low ? [Float64Array.of(low.perSecond)] : [];
        }),
      ]),
    ),
  );
  const share = (phase: Phase, role: "high" | "middle", periodMs: number): number =>
    mean(joinedSamples(latencies(measurements, phase, role).map(sorted))) / periodMs;
  const free =
    1 -
    share("standalone", "high", plan.high.periodMs) -
    (plan.middle ? share("middle alone", "middle", plan.middle.periodMs) : 0);
  const estimates = withoutSingleRound(
    plan.rounds,
    bootstrap(
      rates,
      (drawn) =>
        Object.fromEntries(
          withLows.flatMap(({ phase, lows }) => {
            const rate = (of: Phase, model: string): number => mean(drawn[`${of} ${model}`] ?? NO_SAMPLES);
            const shares = lows.map((model) => rate(phase, model) / rate("low alone", model));
            const total = shares.reduce((sum, ofAlone) => sum + ofAlone, 0);
            return [
              ...lows.flatMap((model, index) => {
                const ofAlone = shares[index] ?? NaN;
                return [
                  [`${phase} ${model}`, rate(phase, model)],
                  [`${phase} ${model} of alone`, ofAlone],
                  [`${phase} ${model} of bound`, ofAlone / free],
                ];
              }),
              [`${phase} of alone`, total],
              [`${phase} of bound`, total / free],
            ];
          }),
        ) as Record<string, number>,
      random(seed),
    ),
  );
  return (name) => estimates[name] ?? NOTHING;
}

function latencySummary(
  latency: Figures,
  measurements: readonly Measurement[],
  role: "high" | "middle",
  phase: Phase,
): LatencySummary {
  const loads = measurements.flatMap((measured) => measured[role] ?? []);
  const all = loads.flatMap((load) => [...load.latency]);
  const lag = Float64Array.from(loads.flatMap((load) => [...load.lag])).sort();
  return {
    samples: all.filter((value) => !Number.isNaN(value)).length,
    failed: all.filter((value) => Number.isNaN(value)).length,
    latencyMs: byPercentile((name) => latency(`${phase} ${role} ${name}`)),
    ratio: byPercentile((name) => latency(`${phase} ${role} ${name} ratio`)),
    lagMs: { p50: percentile(lag, 0.5), p99: percentile(lag, 0.99), max: lag.at(-1) ?? NaN },
  };
}

function schedulerSummary(
  plan: Plan,
  measurements: readonly Measurement[],
): Pick<ArmSummary, "scheduler"> | undefined {
  const counted = measurements.flatMap(({ scheduler }) => (scheduler ? [scheduler] : []));
  if (counted.length === 0 || counted.length < measurements.length) return undefined;
  const seconds = measurements.reduce((sum, { lows }) => sum + (Object.values(lows)[0]?.seconds ?? 0), 0);
  const others = contendersOf(plan).filter(({ role }) => role !== "high");
  return {
    scheduler: {
      preemptions: counted.reduce((sum, of) => sum + (of[plan.high.model]?.preemptions ?? 0), 0),
      blockedShare: Object.fromEntries(
        others.map(({ model }) => [
          model,
          counted.reduce((sum, of) => sum + (of[model]?.blockedSeconds ?? 0), 0) / seconds,
        ]),
      ),
    },
  };
}

function serverSummaries(
  plan: Plan,
  measurements: readonly Measurement[],
  runs: readonly PhaseRun[],
  seed: number,
): ServerSummary[] {
  const roles = new Map(contendersOf(plan).map(({ model, role }) => [model, role]));
  const means: Record<string, Float64Array[]> = {};
  const rows = runs.flatMap(({ phase, high, middle, lows }) => {
    const models = [...roles.keys()].filter((model) => {
      const role = roles.get(model);
      return role === "high" ? high : role === "middle" ? middle : lows.includes(model);
    });
    return models.flatMap((model) => {
      const times = ofPhase(measurements, phase).flatMap(({ server }) => server?.[model] ?? []);
      if (times.length === 0) return [];
      for (const part of PARTS) {
        means[`${phase} ${model} ${part}`] = times.map((of) => Float64Array.of(of.meanMs(part)));
      }
      return [{ phase, model, times }];
    });
  });
  if (rows.length === 0) return [];
  const alonePhase = (model: string): Phase => {
    const role = roles.get(model);
    return role === "high" ? "standalone" : role === "middle" ? "middle alone" : "low alone";
  };
  const estimates = withoutSingleRound(
    plan.rounds,
    bootstrap(
      means,
      (drawn) => {
        const part = (phase: Phase, model: string, name: Part): number =>
          mean(drawn[`${phase} ${model} ${name}`] ?? NO_SAMPLES);
        const compute = (phase: Phase, model: string): number =>
          part(phase, model, "compute_input") +
          part(phase, model, "compute_infer") +
          part(phase, model, "compute_output");
        return Object.fromEntries(
          rows.flatMap(({ phase, model }) => {
            const alone = compute(alonePhase(model), model);
            return [
              ...PARTS.map((name) => [`${phase} ${model} ${name}`, part(phase, model, name)]),
              [`${phase} ${model} compute`, compute(phase, model)],
              [`${phase} ${model} ratio`, compute(phase, model) / alone],
            ];
          }),
        ) as Record<string, number>;
      },
      random(seed),
    ),
  );
  return rows.map(({ phase, model, times }) => {
    const figure = (name: string): Estimate => estimates[`${phase} ${model} ${name}`] ?? NOTHING;
    return {
      phase,
      model,
      requests: times.reduce((sum, { requests }) => sum + requests, 0),
      executions: times.reduce((sum, { executions }) => sum + executions, 0),
      partMs: byPart(figure),
      computeMs: figure("compute"),
      computeRatio: figure("ratio"),
    };
  });
}

/** A single round has one figure, which says nothing about its variation. */
function withoutSingleRound(rounds: number, estimates: Record<string, Estimate>): Record<string, Estimate> {
  if (rounds > 1) return estimates;
  return Object.fromEntries(
    Object.entries(estimates).map(([name, { value }]) => [name, { value, low: NaN, high: NaN }]),
  );
}

function ofPhase(measurements: readonly Measurement[], phase: Phase): Measurement[] {
  return measurements.filter((measurement) => measurement.phase === phase);
}

function joinedSamples(rounds: readonly Float64Array[]): Float64Array {
  return Float64Array.from(rounds.flatMap((round) => [...round]));
}

function byPercentile<T>(value: (name: Percentile) => T): Record<Percentile, T> {
  return Object.fromEntries(PERCENTILE_NAMES.map((name) => [name, value(name)])) as Record<Percentile, T>;
}
