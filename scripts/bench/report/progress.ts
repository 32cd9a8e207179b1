import { Presets, SingleBar } from "cli-progress";

import { type Observer } from "../measure";

/** What a benchmark is doing: a bar on a terminal, elsewhere a line for each phase. */
export interface Progress extends Observer {
  /** @param share 0 to 1: how much of the whole is done when the phase that is said next begins */
  begin(share: number, whole: number): void;
  end(): void;
}

export function progress(stream: NodeJS.WriteStream, rounds: number): Progress {
  return stream.isTTY ? new Bar(stream, rounds) : new Lines(stream, rounds);
}

/** In thousandths, since the bar shows whole numbers. */
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

  public phase(round: number, phase: string, doing: string, share: number): void {
    const what = `round ${round + 1} of ${this.rounds}, ${phase}: ${doing}`;
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
    // A line says where it is.
  }

  public phase(round: number, phase: string): void {
    const what = `round ${round + 1} of ${this.rounds}: ${phase}`;
    if (what !== this.said) this.stream.write(`${what}\n`);
    this.said = what;
  }

  public end(): void {
    // Nothing is left open.
  }
}
