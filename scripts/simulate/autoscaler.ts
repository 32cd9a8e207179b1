/** How Kubernetes' autoscaler is set for a fleet; times in seconds. components/fleet/scaling.ts */
export interface AutoscalerOptions {
  readonly least: number;
  /** Share of its time that an urgent request waits. */
  readonly target: number;
  /** From when a pod is asked for to when it serves. */
  readonly startSeconds: number;
}

/** Differences that it leaves alone. */
const TOLERANCE = 0.1;
const STABLE_SECONDS = 300;
const DOWN_SECONDS = 60;
const UP_SECONDS = 300;

/**
 * The number of pods of a Deployment, as `HorizontalPodAutoscaler` keeps it with a fleet's settings: at most twice as many
 * or two more in a minute, a tenth or one less when fewer have been enough for five minutes.
 */
export class Autoscaler {
  private starting: number[] = [];
  private recommended: { readonly time: number; readonly pods: number }[] = [];
  private changes: { readonly time: number; readonly by: number }[] = [];

  public constructor(
    private readonly options: AutoscalerOptions,
    /** Pods that serve. */
    public ready: number,
  ) {}

  /** All pods, each with a GPU. */
  public get pods(): number {
    return this.ready + this.starting.length;
  }

  /**
   * Looks once.
   *
   * @param share of their time that requests waited
   * @param most pods that the cluster has room for
   */
  public look(time: number, share: number, most: number): void {
    const { least, target, startSeconds } = this.options;
    const waiting = this.starting.filter((since) => since > time - startSeconds);
    this.ready += this.starting.length - waiting.length;
    this.starting = waiting;

    const ratio = share / target;
    const wanted = Math.abs(ratio - 1) <= TOLERANCE ? this.pods : Math.ceil(this.ready * ratio);
    this.recommended = this.recommended.filter((each) => each.time > time - STABLE_SECONDS);
    this.recommended.push({ time, pods: Math.max(least, wanted) });
    this.changes = this.changes.filter((each) => each.time > time - UP_SECONDS);

    const stable = Math.max(...this.recommended.map(({ pods }) => pods));
    if (wanted > this.pods) {
      const before = this.pods - this.changed(time - UP_SECONDS, (by) => by > 0);
      const pods = Math.min(wanted, Math.max(before + 4, 2 * before), most);
      if (pods > this.pods) this.add(time, pods - this.pods);
    } else if (stable < this.pods) {
      const before = this.pods - this.changed(time - DOWN_SECONDS, (by) => by < 0);
      const pods = Math.max(stable, Math.min(before - 1, Math.floor(0.9 * before)), least);
      if (pods < this.pods) this.remove(time, this.pods - pods);
    }
  }

  private changed(since: number, which: (by: number) => boolean): number {
    return this.changes
      .filter((each) => each.time > since && which(each.by))
      .reduce((sum, { by }) => sum + by, 0);
  }

  private add(time: number, pods: number): void {
    for (let pod = 0; pod < pods; pod++) this.starting.push(time);
    this.changes.push({ time, by: pods });
  }

  private remove(time: number, pods: number): void {
    // Those that do not serve yet go first.
    const unready = Math.min(pods, this.starting.length);
    this.starting.length -= unready;
    this.ready -= pods - unready;
    this.changes.push({ time, by: -pods });
  }
}
