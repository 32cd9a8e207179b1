import { random } from "../bench/statistics/random";
import { Autoscaler } from "./autoscaler";
import { Gpu, type Service, type Sharing } from "./gpu";
import { Histogram } from "./histogram";
import { type FleetLoad } from "./load";

/** A way to run the same models. */
export interface System {
  readonly name: string;
  /** Whether each urgent model has GPUs of its own, and batch work as many others as keep it busy. */
  readonly apart: boolean;
  readonly sharing: Sharing;
  /** Whether batch work that waits asks for pods, too. */
  readonly byAll: boolean;
  readonly target: number;
}

export interface ClusterOptions {
  readonly gpus: number;
  readonly seconds: number;
  readonly startSeconds: number;
  readonly service: Service;
  /** Mean of `service`. */
  readonly serviceSeconds: number;
  readonly slowdown: number;
  readonly batchYield: number;
  readonly batchWeight: number;
  /** How busy the GPUs of batch work are where it has its own. */
  readonly batchBusy: number;
  /** How many GPUs of a Deployment are simulated; the others do as they do. */
  readonly probes: number;
  readonly seed: number;
}

export interface Outcome {
  readonly system: System;
  readonly gpuHours: number;
  readonly mostGpus: number;
  /** Seconds that 99 of 100 urgent requests take at most; and of the model that is worst off. */
  readonly p99: number;
  readonly worstP99: number;
  /** Hours of a GPU that batch work got, of those submitted, and how long a job takes from when it is submitted, in hours. */
  readonly batchHours: number;
  readonly batchSubmitted: number;
  readonly jobHours: number;
  readonly longestJobHours: number;
  /** Every few minutes: hours, GPUs that are had, and GPUs that urgent requests keep busy. */
  readonly course: readonly { readonly hour: number; readonly gpus: number; readonly busy: number }[];
}

/** How often the autoscaler looks, in seconds, and over how many looks it sees. */
const LOOK_SECONDS = 15;
const LOOKS = 4;

const COURSE_SECONDS = 300;

/** Share that batch work waits while there is any: a job is a long queue. */
const JOB_SHARE = 0.99;

/** Pods that serve the same models. */
class Deployment {
  public readonly scaler: Autoscaler;
  public readonly latencies: Histogram[];
  /** Seconds of a GPU that batch work got in all pods. */
  public batchSeconds = 0;
  private readonly probes: Gpu[];
  private readonly seen: (readonly { queued: number; present: number }[])[] = [];
  private weight = 0;

  public constructor(
    private readonly loads: readonly ((time: number) => number)[],
    private readonly system: System,
    private readonly options: ClusterOptions,
    seed: number,
  ) {
    const busy = loads.reduce((sum, load) => sum + load(0), 0);
    const least = 1;
    const { target } = system;
    const { startSeconds, serviceSeconds: _, probes, ...gpu } = options;
    this.scaler = new Autoscaler({ least, target, startSeconds }, Math.max(2, Math.ceil(busy / 0.6)));
    this.latencies = loads.map(() => new Histogram());
    const gpuOptions = { ...gpu, sharing: system.sharing, models: loads.length };
    this.probes = Array.from(
      { length: probes },
      (_, index) =>
        new Gpu(gpuOptions, random(seed + index), (model, seconds) => {
          this.latencies[model]?.add(seconds, this.weight);
        }),
    );
  }

  /** Goes on for one look of the autoscaler. */
  public run(time: number, batch: boolean): void {
    const { ready } = this.scaler;
    const { serviceSeconds, probes } = this.options;
    this.weight = ready / probes;
    const rates = this.loads.map((load) => load(time) / serviceSeconds / ready);
    const before = this.probes.map(({ batchSeconds }) => batchSeconds);
    for (const probe of this.probes) probe.run(time + LOOK_SECONDS, rates, batch);
    this.probes.forEach(({ batchSeconds }, index) => {
      this.batchSeconds += (batchSeconds - (before[index] ?? 0)) * this.weight;
    });
    this.seen.push(
      this.loads.map((_, model) => ({
        queued: this.total(model, "queued"),
        present: this.total(model, "present"),
      })),
    );
    if (this.seen.length > LOOKS + 1) this.seen.shift();
  }

  public look(time: number, batchWaits: boolean, most: number): void {
    const [first, last] = [this.seen[0], this.seen.at(-1)];
    const seconds = (this.seen.length - 1) * LOOK_SECONDS * this.probes.length;
    const share = waitingShare(
      this.loads.map((_, model) => ({
        queued: (last?.[model]?.queued ?? 0) - (first?.[model]?.queued ?? 0),
        present: (last?.[model]?.present ?? 0) - (first?.[model]?.present ?? 0),
      })),
      seconds,
    );
    const batch = batchWaits && this.system.byAll ? JOB_SHARE : 0;
    this.scaler.look(time, Math.max(batch, share), most);
  }

  private total(model: number, of: "queued" | "present"): number {
    return this.probes.reduce((sum, { counters }) => sum + (counters[model]?.[of] ?? 0), 0);
  }
}

/**
 * The part of their time in Triton that urgent requests wait, as the query of a fleet has it: docs/explanation/scaling.md.
 *
 * @param counted seconds that requests of each model were queued and in Triton, in all pods together
 * @param seconds of all pods together
 */
export function waitingShare(
  counted: readonly { readonly queued: number; readonly present: number }[],
  seconds: number,
): number {
  const worked = counted.map(({ queued, present }) => present - queued);
  const sum = (values: readonly number[]): number => values.reduce((all, value) => all + value, 0);
  const present = sum(counted.map((each) => each.present));
  if (present <= 0) return 0;
  const busy = worked.map((each) => Math.min(each / seconds, 0.99));
  const any = 1 - busy.reduce((none, each) => none * (1 - each), 1);
  return Math.max(0, 1 - ((any / sum(busy)) * sum(worked)) / present);
}

/** Batch work that waits or runs: the job that came first is done first. */
class Backlog {
  public readonly durations: number[] = [];
  public done = 0;
  private come = 0;
  private readonly ends: { readonly time: number; readonly at: number }[] = [];

  public constructor(private readonly jobs: FleetLoad["jobs"]) {}

  /** Submits what is due, and says whether there is work. */
  public hasWork(time: number): boolean {
    for (;;) {
      const job = this.jobs[this.ends.length + this.durations.length];
      if (job === undefined || job.time > time) return this.done < this.come;
      this.come += job.seconds;
      this.ends.push({ time: job.time, at: this.come });
    }
  }

  public work(time: number, seconds: number): void {
    this.done = Math.min(this.come, this.done + seconds);
    while (this.ends.length > 0 && this.done >= (this.ends[0]?.at ?? Infinity) - 1e-6) {
      this.durations.push(time - (this.ends.shift()?.time ?? 0));
    }
  }

  /** Durations of all jobs; of those that are not done, how long they have taken so far. */
  public all(time: number): number[] {
    return [...this.durations, ...this.ends.map((each) => time - each.time)];
  }
}

/** Simulates a day of a cluster. The same load and seed give the same outcome. */
export function simulate(system: System, loads: readonly FleetLoad[], options: ClusterOptions): Outcome {
  const { gpus, seconds, batchBusy } = options;
  const fleets = loads.map(({ urgent, jobs }, fleet) => {
    const parts = system.apart ? urgent.map((load) => [load]) : [urgent];
    const submitted = jobs.reduce((sum, job) => sum + job.seconds, 0);
    return {
      submitted,
      backlog: new Backlog(jobs),
      deployments: parts.map(
        (part, index) => new Deployment(part, system, options, options.seed + 1000 * fleet + 100 * index),
      ),
      pool: system.apart ? Math.ceil(submitted / seconds / batchBusy) : 0,
      given: 0,
    };
  });
  const deployments = fleets.flatMap((fleet) => fleet.deployments);
  const pools = fleets.reduce((sum, { pool }) => sum + pool, 0);
  const had = (): number => deployments.reduce((sum, { scaler }) => sum + scaler.pods, pools);
  let gpuSeconds = 0;
  let mostGpus = 0;
  const course: { hour: number; gpus: number; busy: number }[] = [];
  for (let time = 0; time < seconds; time += LOOK_SECONDS) {
    for (const fleet of fleets) {
      const work = fleet.backlog.hasWork(time);
      for (const deployment of fleet.deployments) deployment.run(time, work && !system.apart);
      const given = fleet.deployments.reduce((sum, { batchSeconds }) => sum + batchSeconds, 0);
      const got = system.apart ? fleet.pool * LOOK_SECONDS : given - fleet.given;
      fleet.given = given;
      if (work) fleet.backlog.work(time + LOOK_SECONDS, got);
    }
    for (const fleet of fleets) {
      const waits = fleet.backlog.hasWork(time + LOOK_SECONDS);
      for (const deployment of fleet.deployments) {
        deployment.look(time + LOOK_SECONDS, waits, deployment.scaler.pods + Math.max(0, gpus - had()));
      }
    }
    const now = had();
    gpuSeconds += now * LOOK_SECONDS;
    mostGpus = Math.max(mostGpus, now);
    if (time % COURSE_SECONDS === 0) {
      const busy = loads.reduce(
        (sum, { urgent }) => sum + urgent.reduce((part, load) => part + load(time), 0),
        0,
      );
      course.push({ hour: time / 3600, gpus: now, busy });
    }
  }
  const each = deployments.flatMap(({ latencies }) => latencies);
  const all = new Histogram();
  for (const one of each) all.merge(one);
  const jobs = fleets.flatMap(({ backlog }) => backlog.all(seconds));
  return {
    system,
    gpuHours: gpuSeconds / 3600,
    mostGpus,
    p99: all.percentile(0.99),
    worstP99: Math.max(...each.map((one) => one.percentile(0.99))),
    batchHours: fleets.reduce((sum, { backlog }) => sum + backlog.done, 0) / 3600,
    batchSubmitted: fleets.reduce((sum, { submitted }) => sum + submitted, 0) / 3600,
    jobHours: jobs.reduce((sum, job) => sum + job, 0) / jobs.length / 3600,
    longestJobHours: Math.max(...jobs) / 3600,
    course,
  };
}
