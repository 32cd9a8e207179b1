import { Presets, SingleBar } from "cli-progress";

import { type PhaseRun } from "../arms/arms";
import { type Observer } from "../measure";

/** Shows what a benchmark is doing: a bar on a terminal, elsewhere a line per phase. */
export interface Progress extends Observer {
  /**
   * Called before each phase.
   *
   * @param done share of the whole that is done, 0 to 1
   * @param part share of the whole that the phase takes
   */
  begin(done: number, part: number): void;
  end(): void;
}

export function progress(stream: NodeJS.WriteStream, rounds: number): Progress {
  return stream.isTTY ? new Bar(stream, rounds) : new Lines(stream, rounds);
}

/** The bar counts in thousandths, because it shows whole numbers. */
const WHOLE = 1000;

class Bar implements Progress {
  private readonly bar: SingleBar;
  private done = 0;
  private part = 0;

  public constructor(
    stream: NodeJS.WriteStream,
    private readonly rounds: number,
  ) {
    const format = "{bar} {percentage} %  {what}";
    this.bar = new SingleBar(
      { format, stream, hideCursor: true, barsize: 30, clearOnComplete: true },
      Presets.shades_classic,
    );
    this.bar.start(WHOLE, 0, { what: "" });
  }

  public begin(done: number, part: number): void {
    this.done = done;
    this.part = part;
  }

  public phase(round: number, run: PhaseRun, doing: string, share: number): void {
    const what = `round ${round + 1} of ${this.rounds}, ${title(run)}: ${doing}`;
    this.bar.update(Math.round(WHOLE * (this.done + this.part * share)), { what });
  }

  public end(): void {
    this.bar.stop();
  }
}

class Lines implements Progress {
  private said = "";

  public constructor(
    private readonly stream: NodeJS.WriteStream,
    private readonly rounds: number,
  ) {}

  public begin(): void {
    // Lines show no share.
  }

  public phase(round: number, run: PhaseRun): void {
    const what = `round ${round + 1} of ${this.rounds}: ${title(run)}`;
    if (what !== this.said) this.stream.write(`${what}\n`);
    this.said = what;
  }

  public end(): void {
    // Every line is complete.
  }
}

/** Each low model is alone in a phase of its own. */
function title({ phase, lows }: PhaseRun): string {
  return phase === "low alone" ? `${lows.join()} alone` : phase;
}
