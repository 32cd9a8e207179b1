import { modelOf, type Queue } from "../triton/scheduler";

/** The XSched core's counters, summed over a model's queues. */
export class ModelCounters {
  public constructor(
    public readonly launches: number,
    public readonly blocked: number,
    /** How long its launches have waited, in seconds. */
    public readonly blockedSeconds: number,
    /** How often it made another queue stop. */
    public readonly preemptions: number,
  ) {}

  public since(before: ModelCounters): ModelCounters {
    return new ModelCounters(
      this.launches - before.launches,
      this.blocked - before.blocked,
      this.blockedSeconds - before.blockedSeconds,
      this.preemptions - before.preemptions,
    );
  }
}

export function modelCounters(queues: readonly Queue[], model: string): ModelCounters {
  const own = queues.filter((queue) => modelOf(queue) === model);
  const sum = (count: (queue: Queue) => number): number =>
    own.reduce((total, queue) => total + count(queue), 0);
  return new ModelCounters(
    sum(({ launches }) => launches),
    sum(({ blocked }) => blocked),
    sum(({ blocked_ns }) => blocked_ns / 1e9),
    sum(({ preemptions }) => preemptions),
  );
}
