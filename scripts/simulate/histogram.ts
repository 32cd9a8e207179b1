const LEAST = 1e-4;
/** A bin is 1 % wider than the one before. */
const STEP = Math.log(1.01);
const BINS = 2000;

/** How often values occur, to one per cent of each. */
export class Histogram {
  private readonly bins = new Float64Array(BINS);

  public add(value: number, weight: number): void {
    const bin = Math.max(0, Math.min(BINS - 1, Math.ceil(Math.log(value / LEAST) / STEP)));
    this.bins[bin] = (this.bins[bin] ?? 0) + weight;
  }

  public merge(other: Histogram): void {
    other.bins.forEach((weight, bin) => {
      this.bins[bin] = (this.bins[bin] ?? 0) + weight;
    });
  }

  /** The value that a share of all do not exceed. */
  public percentile(share: number): number {
    const all = this.bins.reduce((sum, weight) => sum + weight, 0);
    let below = 0;
    for (let bin = 0; bin < BINS; bin++) {
      below += this.bins[bin] ?? 0;
      if (below >= share * all) return LEAST * Math.exp(bin * STEP);
    }
    return NaN;
  }
}
