import type { Random } from "../bench/statistics/random";

/** How a GPU is shared by the models on it. */
export type Sharing =
  /** A more urgent model stops those below it at once, and they go on where they were. */
  | "priorities"
  /** All that have work get a part of it at the same time, as in Triton without a scheduler. */
  | "none";

/** How long a request takes on a GPU by itself, in seconds. */
export type Service = (random: Random) => number;

export interface GpuOptions {
  readonly sharing: Sharing;
  /** How many urgent models it serves, the most urgent first; each works on one request at a time. */
  readonly models: number;
  readonly service: Service;
  /** How much longer urgent work takes where a batch model is held back for it. */
  readonly slowdown: number;
  /** What batch work makes of the time that is left to it. */
  readonly batchYield: number;
  /** Without priorities: a batch model's part of the GPU, in parts of an urgent one's. */
  readonly batchWeight: number;
}

/** What Triton counts of a model, and what its clients see. */
export interface Counters {
  requests: number;
  /** Seconds that requests waited in the queue, and that they were in Triton. */
  queued: number;
  present: number;
}

/** Requests of a model that have come, the first of which is being worked on. */
class Queue {
  private times = new Float64Array(64);
  private head = 0;
  public length = 0;

  public push(time: number): void {
    if (this.length === this.times.length) this.grow();
    this.times[(this.head + this.length++) & (this.times.length - 1)] = time;
  }

  /** When the first came. */
  public shift(): number {
    const time = this.times[this.head] ?? NaN;
    this.head = (this.head + 1) & (this.times.length - 1);
    this.length--;
    return time;
  }

  private grow(): void {
    const wider = new Float64Array(2 * this.times.length);
    for (let index = 0; index < this.length; index++) {
      wider[index] = this.times[(this.head + index) & (this.times.length - 1)] ?? NaN;
    }
    this.times = wider;
    this.head = 0;
  }
}

/** A model on a GPU. */
class Model {
  public readonly counters: Counters = { requests: 0, queued: 0, present: 0 };
  public readonly queue = new Queue();
  /** When the next request comes. */
  public next = Infinity;
  /** What the request that is being worked on still needs, and when that began. */
  public left = 0;
  public begun = 0;
  /** Requests a second. */
  public rate = 0;

  public constructor(public readonly index: number) {}
}

/**
 * A GPU with urgent models that get requests at random, and perhaps with batch work, which never ends while it lasts.
 * Every request is simulated.
 */
export class Gpu {
  /** Seconds of a whole GPU that batch work got. */
  public batchSeconds = 0;
  private now = 0;
  private readonly models: readonly Model[];

  /** @param answered told of each request: its model, and its seconds in Triton */
  public constructor(
    private readonly options: GpuOptions,
    private readonly random: Random,
    private readonly answered: (model: number, seconds: number) => void,
  ) {
    this.models = Array.from({ length: options.models }, (_, index) => new Model(index));
  }

  /** Of each model, the most urgent first. */
  public get counters(): readonly Counters[] {
    return this.models.map(({ counters }) => counters);
  }

  /**
   * Goes on until a time.
   *
   * @param rates requests a second of each model from now on
   * @param batch whether there is batch work
   */
  public run(until: number, rates: readonly number[], batch: boolean): void {
    const { sharing, slowdown, batchYield, batchWeight } = this.options;
    const { models } = this;
    const exclusive = sharing === "priorities";
    // What is to come has no memory, so another rate can begin at any time.
    for (const model of models) {
      model.rate = rates[model.index] ?? 0;
      model.next = this.now + this.gap(model.rate);
    }
    for (;;) {
      let event = until;
      let arriving: Model | undefined;
      let first: Model | undefined;
      let working = 0;
      for (const model of models) {
        if (model.next < event) {
          event = model.next;
          arriving = model;
        }
        if (model.queue.length > 0) {
          working++;
          first ??= model;
        }
      }
      // The part of a GPU of its own that a model with work has.
      const part = exclusive
        ? 1 / (batch ? slowdown : 1)
        : 1 / Math.max(1, working + (batch ? batchWeight : 0));
      let finished: Model | undefined;
      for (const model of models) {
        if (model.queue.length === 0 || (exclusive && model !== first)) continue;
        const done = this.now + model.left / part;
        if (done < event) {
          event = done;
          finished = model;
        }
      }
      const passed = event - this.now;
      for (const model of models) {
        if (model.queue.length === 0 || (exclusive && model !== first)) continue;
        model.left -= passed * part;
      }
      if (batch) {
        this.batchSeconds += passed * (exclusive ? (working > 0 ? 0 : batchYield) : 1 - working * part);
      }
      this.now = event;
      if (finished !== undefined) this.finish(finished);
      else if (arriving !== undefined) this.arrive(arriving);
      else return;
    }
  }

  private gap(rate: number): number {
    return rate > 0 ? -Math.log(1 - this.random()) / rate : Infinity;
  }

  private arrive(model: Model): void {
    model.queue.push(this.now);
    if (model.queue.length === 1) this.begin(model);
    model.next = this.now + this.gap(model.rate);
  }

  private begin(model: Model): void {
    model.left = this.options.service(this.random);
    model.begun = this.now;
  }

  private finish(model: Model): void {
    const { counters, queue } = model;
    const came = queue.shift();
    counters.requests++;
    counters.queued += model.begun - came;
    counters.present += this.now - came;
    this.answered(model.index, this.now - came);
    if (queue.length > 0) this.begin(model);
  }
}
