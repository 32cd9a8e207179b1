import * as os from "node:os";

/** The work was interrupted by a signal. */
export class Interrupted extends Error {
  /** The exit status that says so to a shell. */
  public readonly status: number;

  public constructor(signal: NodeJS.Signals) {
    super(signal);
    this.status = 128 + os.constants.signals[signal];
  }
}
