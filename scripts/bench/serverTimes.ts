import { type ModelStatistics } from "../triton/tritonApi";

/** The parts of a request's time in Triton, as its statistics API tells them apart. */
export const PARTS = ["queue", "compute_input", "compute_infer", "compute_output"] as const;
export type Part = (typeof PARTS)[number];

/**
 * Triton's statistics of a model, summed over its versions. Unlike the client's latency, they contain neither the
 * network nor the time until an idle processor wakes up.
 */
export class ServerTimes {
  public constructor(
    public readonly requests: number,
    /** Fewer than the requests if Triton batches them. */
    public readonly executions: number,
    /** How often each part was counted, and its nanoseconds in all. */
    private readonly parts: Readonly<Record<Part, { readonly count: number; readonly ns: number }>>,
  ) {}

  public static of(versions: readonly ModelStatistics[]): ServerTimes {
    const sum = (value: (version: ModelStatistics) => number): number =>
      versions.reduce((total, version) => total + value(version), 0);
    return new ServerTimes(
      sum(({ inference_stats }) => inference_stats.success.count),
      sum(({ execution_count }) => execution_count),
      byPart((part) => ({
        count: sum(({ inference_stats }) => inference_stats[part].count),
        ns: sum(({ inference_stats }) => inference_stats[part].ns),
      })),
    );
  }

  public since(before: ServerTimes): ServerTimes {
    return new ServerTimes(
      this.requests - before.requests,
      this.executions - before.executions,
      byPart((part) => ({
        count: this.parts[part].count - before.parts[part].count,
        ns: this.parts[part].ns - before.parts[part].ns,
      })),
    );
  }

  /** The mean of a part, in milliseconds per request; NaN if it was never counted. */
  public meanMs(part: Part): number {
    const { count, ns } = this.parts[part];
    return count > 0 ? ns / count / 1e6 : NaN;
  }

  /** For results.json. */
  public toJSON(): object {
    return {
      requests: this.requests,
      executions: this.executions,
      meanMs: byPart((part) => this.meanMs(part)),
    };
  }
}

export function byPart<T>(value: (part: Part) => T): Record<Part, T> {
  return Object.fromEntries(PARTS.map((part) => [part, value(part)])) as Record<Part, T>;
}
