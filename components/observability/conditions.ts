/*
 * What people are told of a server, whoever watches it: CloudWatch on a host, Prometheus on a fleet. Each is said here
 * once; alarms.ts and components/fleet/alarms.ts say how it is measured.
 */

/** When somebody is told. */
export interface Condition {
  readonly text: string;
  readonly threshold: number;
  /** A value that is at the threshold or above it counts, or one below it. */
  readonly counts: "atLeast" | "below";
  /** For how long, in minutes. */
  readonly minutes: number;
}

export interface Thresholds {
  readonly gpuMemoryPercent: number;
  readonly notReadyMinutes: number;
}

/** How much of a GPU's memory is taken, in percent. */
export function gpuMemory({ gpuMemoryPercent }: Pick<Thresholds, "gpuMemoryPercent">): Condition {
  return {
    text: `${gpuMemoryPercent} % of a GPU's memory are taken: the next model or reload may not fit`,
    threshold: gpuMemoryPercent,
    counts: "atLeast",
    minutes: 5,
  };
}

/**
 * Whether all is ready, 1 or 0. That nothing is known counts as well.
 *
 * @param what of it is not ready, or silent
 */
export function notReady({ notReadyMinutes }: Pick<Thresholds, "notReadyMinutes">, what: string): Condition {
  return {
    text: `${what}, for ${notReadyMinutes} min`,
    threshold: 1,
    counts: "below",
    minutes: notReadyMinutes,
  };
}
