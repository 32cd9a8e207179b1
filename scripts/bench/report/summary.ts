import { type Arm, type Phase, phasesOf } from "../arms/arms";
import { latencies, type Measurement, type Plan } from "../measure";
import { byPart, type Part, PARTS } from "../serverTimes";
import { bootstrap, type Estimate } from "../statistics/bootstrap";
import { mean, percentile, sorted } from "../statistics/percentile";
import { random } from "../statistics/random";

/** The reported percentiles, and the share of samples that each covers. */
export const PERCENTILES = { p50: 0.5, p90: 0.9, p99: 0.99 } as const;
export type Percentile = keyof typeof PERCENTILES;
const PERCENTILE_NAMES = Object.keys(PERCENTILES) as Percentile[];

/** The results of an arm. */
export interface ArmSummary {
  readonly arm: Arm;
  /** Answered requests. */
  readonly samples: number;
  readonly failed: number;
  /** Latency of the high model, from the due time, in milliseconds. */
  readonly latencyMs: Readonly<Record<Percentile, Estimate>>;
  /** The same, divided by that of the high model alone. */
  readonly ratio: Readonly<Record<Percentile, Estimate>>;
  /** How late requests were sent, in milliseconds: the load generator's own error. */
  readonly lagMs: { readonly p50: number; readonly p99: number; readonly max: number };
  readonly low?: LowSummary;
  /** The scheduler's counters, if there is a scheduler. */
  readonly scheduler?: {
    readonly preemptions: number;
    readonly lowBlockedShare: number;
  };
}

/** The low model's throughput. */
export interface LowSummary {
  readonly perSecond: Estimate;
  /** Divided by its throughput alone. */
  readonly ofAlone: Estimate;
  /**
   * Divided by its throughput under a scheduler that never leaves the device idle and costs the high model nothing:
   * throughput alone × (1 − mean latency of the high model alone / period).
   */
  readonly ofBound: Estimate;
  readonly failed: number;
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
  readonly lowAlone: Estimate;
  readonly arms: readonly ArmSummary[];
  /** One entry per phase and model. */
  readonly server: readonly ServerSummary[];
}

export function summarize(plan: Plan, measurements: readonly Measurement[], seed: number): Summary {
  const { arms: chosen } = plan;
  const phases = phasesOf(0, chosen);
  const samples = Object.fromEntries(
    chosen.map((arm) => [arm, latencies(measurements, arm).map(sorted)]),
  ) as Record<string, Float64Array[]>;
  const latency = bootstrap(
    samples,
    (arms) =>
      Object.fromEntries(
        chosen.flatMap((arm) =>
          PERCENTILE_NAMES.flatMap((name) => {
            const value = percentile(arms[arm] ?? NO_SAMPLES, PERCENTILES[name]);
            const alone = percentile(arms.standalone ?? NO_SAMPLES, PERCENTILES[name]);
            return [
              [`${arm} ${name}`, value],
              [`${arm} ${name} ratio`, value / alone],
            ];
          }),
        ),
      ) as Record<string, number>,
    random(seed),
  );

  const rates = Object.fromEntries(
    phases.map((phase) => [
      phase,
      ofPhase(measurements, phase).map(({ low }) => Float64Array.of(low?.perSecond ?? NaN)),
    ]),
  ) as Record<string, Float64Array[]>;
  const free = 1 - mean(joinedSamples(samples.standalone ?? [])) / plan.periodMs;
  const throughput = withoutSingleRound(
    plan.rounds,
    bootstrap(
      rates,
      (drawn) => {
        const alone = mean(drawn["low alone"] ?? NO_SAMPLES);
        return Object.fromEntries(
          phases.flatMap((phase) => {
            const value = mean(drawn[phase] ?? NO_SAMPLES);
            return [
              [phase, value],
              [`${phase} of alone`, value / alone],
              [`${phase} of bound`, value / (alone * free)],
            ];
          }),
        );
      },
      random(seed),
    ),
  );

  const get = (from: Record<string, Estimate>, name: string): Estimate => from[name] ?? NOTHING;
  const arms = chosen.map((arm): ArmSummary => {
    const own = ofPhase(measurements, arm);
    const all = own.flatMap(({ high }) => (high ? [...high.latency] : []));
    const lag = Float64Array.from(own.flatMap(({ high }) => (high ? [...high.lag] : []))).sort();
    const seconds = own.reduce((sum, { low }) => sum + (low?.seconds ?? 0), 0);
    const counted = own.every(({ scheduler }) => scheduler !== undefined);
    return {
      arm,
      samples: all.filter((value) => !Number.isNaN(value)).length,
      failed: all.filter((value) => Number.isNaN(value)).length,
      latencyMs: byPercentile((name) => get(latency, `${arm} ${name}`)),
      ratio: byPercentile((name) => get(latency, `${arm} ${name} ratio`)),
      lagMs: { p50: percentile(lag, 0.5), p99: percentile(lag, 0.99), max: lag.at(-1) ?? NaN },
      ...(arm !== "standalone" && {
        low: {
          perSecond: get(throughput, arm),
          ofAlone: get(throughput, `${arm} of alone`),
          ofBound: get(throughput, `${arm} of bound`),
          failed: own.reduce((sum, { low }) => sum + (low?.failed ?? 0), 0),
        },
      }),
      ...(counted && {
        scheduler: {
          preemptions: own.reduce((sum, { scheduler }) => sum + (scheduler?.high.preemptions ?? 0), 0),
          lowBlockedShare:
            own.reduce((sum, { scheduler }) => sum + (scheduler?.low.blockedSeconds ?? 0), 0) / seconds,
        },
      }),
    };
  });
  return {
    lowAlone: get(throughput, "low alone"),
    arms,
    server: serverSummaries(plan, measurements, phases, seed),
  };
}

function serverSummaries(
  plan: Plan,
  measurements: readonly Measurement[],
  phases: readonly Phase[],
  seed: number,
): ServerSummary[] {
  const means: Record<string, Float64Array[]> = {};
  const rows = phases.flatMap((phase) => {
    const rounds = ofPhase(measurements, phase).map(({ server }) => server ?? {});
    return Object.keys(rounds[0] ?? {}).map((model) => {
      const times = rounds.flatMap((round) => round[model] ?? []);
      for (const part of PARTS) {
        means[`${phase} ${model} ${part}`] = times.map((of) => Float64Array.of(of.meanMs(part)));
      }
      return { phase, model, times };
    });
  });
  if (rows.length === 0) return [];
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
            const alone = compute(model === plan.high ? "standalone" : "low alone", model);
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

const NO_SAMPLES = new Float64Array();
const NOTHING: Estimate = { value: NaN, low: NaN, high: NaN };

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
