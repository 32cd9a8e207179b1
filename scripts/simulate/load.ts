import type { Random } from "../bench/statistics/random";

const HOUR = 3600;
export const DAY = 24 * HOUR;

export interface LoadOptions {
  /** Fleets that each have all of the urgent models below, and batch work. */
  readonly fleets: number;
  /** GPUs that the requests of each urgent model of a fleet keep busy at their peak, the most urgent first. */
  readonly peaks: readonly number[];
  /** Hours of a GPU that the batch work of a fleet takes a day. */
  readonly batchHours: number;
}

/** Work that is submitted at once. */
export interface Job {
  readonly time: number;
  /** Seconds of a GPU. */
  readonly seconds: number;
}

/** What is asked of a fleet over a day. */
export interface FleetLoad {
  /** GPUs that the requests of each urgent model keep busy at a time. */
  readonly urgent: readonly ((time: number) => number)[];
  readonly jobs: readonly Job[];
}

/** Of its peak, what a model is asked for at night. */
const NIGHT = 0.25;
const BUSIEST = 14 * HOUR;
/** Hours by which models' busiest times differ at most from that. */
const APART = 2;

const BURSTS = 6;
const BURST_FACTOR = 1.5;
const BURST_SECONDS = 1200;
const BURST_RISE_SECONDS = 180;

/** A part of the batch work is there at midnight, the rest comes through the day. */
const MIDNIGHT_PART = 0.4;

/** A day: urgent requests with a busy time and with bursts, and batch work in jobs. */
export function dayOf({ fleets, peaks, batchHours }: LoadOptions, random: Random): FleetLoad[] {
  return Array.from({ length: fleets }, () => ({
    urgent: peaks.map((peak) => urgentLoad(peak, random)),
    jobs: jobsOf(batchHours * HOUR, random),
  }));
}

function urgentLoad(peak: number, random: Random): (time: number) => number {
  const busiest = BUSIEST + (2 * random() - 1) * APART * HOUR;
  const bursts = Array.from({ length: BURSTS }, () => random() * DAY);
  return (time) => {
    const day = (1 + Math.cos((2 * Math.PI * (time - busiest)) / DAY)) / 2;
    const burst = Math.max(0, ...bursts.map((start) => burstAt(time - start)));
    return peak * (NIGHT + (1 - NIGHT) * day) * (1 + (BURST_FACTOR - 1) * burst);
  };
}

/** 0 to 1. */
function burstAt(since: number): number {
  if (since < 0 || since > BURST_SECONDS) return 0;
  return Math.min(1, since / BURST_RISE_SECONDS, (BURST_SECONDS - since) / BURST_RISE_SECONDS);
}

function jobsOf(seconds: number, random: Random): Job[] {
  const through = Array.from({ length: 24 }, (_, hour) => ({
    time: (hour + random()) * HOUR,
    seconds: (seconds * (1 - MIDNIGHT_PART)) / 24,
  }));
  return [{ time: 0, seconds: seconds * MIDNIGHT_PART }, ...through];
}
