import { modelOf, type Queue } from "../triton/scheduler";

/** The answer of the agent's command `measure`. */
export interface Sample {
  /** The host's uptime in seconds. */
  readonly seconds: number;
  readonly server: {
    readonly running: boolean;
    readonly version: string;
    readonly http: string;
    /** Engines that are being built; absent where the host has the agent of an earlier release. */
    readonly builds?: readonly {
      readonly model: string;
      readonly version: string;
      /** Whether models come first. */
      readonly below: boolean;
    }[];
    readonly models: readonly {
      readonly name: string;
      readonly priority: number | null;
      /** In percent; null if the model is not ready, absent where the host has the agent of an earlier release. */
      readonly floor?: number | null;
      /** As the floor. */
      readonly weight?: number | null;
      readonly ready: boolean;
      readonly reason: string;
    }[];
  };
  readonly statistics: { readonly model_stats: readonly ModelStatistics[] } | null;
  /** Triton's metrics in Prometheus text format. */
  readonly metrics: string;
  readonly queues: { readonly queues: readonly Queue[] } | null;
  /** Why there are no queues. */
  readonly noQueues: string;
}

/** Triton's statistics of one version of a model. Triton may write 64-bit numbers as strings. */
interface ModelStatistics {
  readonly name: string;
  readonly inference_stats: Readonly<Record<"success" | "queue" | "compute_infer", Duration | undefined>>;
}

interface Duration {
  readonly count?: number | string;
  readonly ns?: number | string;
}

/** A model's counters, summed over its versions and queues. */
export interface Counters {
  readonly requests: number;
  readonly queueNs: number;
  readonly computeNs: number;
  /** Absent where nothing is scheduled. */
  readonly scheduler?: { readonly blockedNs: number; readonly preemptions: number };
}

export function counters({ statistics, queues }: Sample, model: string): Counters {
  const versions = (statistics?.model_stats ?? []).filter(({ name }) => name === model);
  const total = (value: (version: ModelStatistics) => number | string | undefined): number =>
    versions.reduce((sum, version) => sum + Number(value(version) ?? 0), 0);
  const own = queues?.queues.filter((queue) => modelOf(queue) === model) ?? [];
  return {
    requests: total(({ inference_stats }) => inference_stats.success?.count),
    queueNs: total(({ inference_stats }) => inference_stats.queue?.ns),
    computeNs: total(({ inference_stats }) => inference_stats.compute_infer?.ns),
    ...(own.length > 0 && {
      scheduler: {
        blockedNs: own.reduce((sum, queue) => sum + queue.blocked_ns, 0),
        preemptions: own.reduce((sum, queue) => sum + queue.preemptions, 0),
      },
    }),
  };
}

/** A model's current priority: that of its queues, if it has any, since it can change without a reload. */
export function livePriority({ queues }: Sample, model: string): number | undefined {
  return queues?.queues.find((queue) => modelOf(queue) === model)?.priority;
}

/** What a model has of its floor, in percent of the GPU's time in the last two seconds, and its floor there. */
export function liveFloor(
  { queues }: Sample,
  model: string,
): { readonly used: number; readonly floor: number } | undefined {
  const queue = queues?.queues.find((found) => modelOf(found) === model && (found.floor_percent ?? 0) > 0);
  return queue && { used: queue.used_percent ?? 0, floor: queue.floor_percent ?? 0 };
}

/** A model's current weight, as livePriority; 0: none. */
export function liveWeight({ queues }: Sample, model: string): number | undefined {
  return queues?.queues.find((queue) => modelOf(queue) === model)?.weight;
}

/** A GPU, according to Triton's metrics. */
export interface Gpu {
  readonly uuid: string;
  /** 0 to 1; absent if the driver does not report it. */
  readonly utilization?: number;
  readonly usedBytes?: number;
  readonly totalBytes?: number;
}

const GPU_METRIC =
  /^nv_gpu_(utilization|memory_used_bytes|memory_total_bytes)\{[^}]*gpu_uuid="([^"]*)"[^}]*\} (\S+)$/gm;

export function gpus({ metrics }: Sample): Gpu[] {
  const found = new Map<string, Record<string, number>>();
  for (const [, name = "", uuid = "", value = ""] of metrics.matchAll(GPU_METRIC)) {
    found.set(uuid, { ...found.get(uuid), [name]: Number(value) });
  }
  return [...found].map(([uuid, values]) => ({
    uuid,
    utilization: values.utilization,
    usedBytes: values.memory_used_bytes,
    totalBytes: values.memory_total_bytes,
  }));
}
