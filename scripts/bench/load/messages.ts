import { type Target } from "../protocol/connection";

/** The options of a load's thread. */
export interface LoadThreadOptions {
  readonly target: Target;
  /** Two 32-bit counters: of the answers to this task so far, and of the failed ones among them. */
  readonly answered: SharedArrayBuffer;
}

/** The tasks of a load's thread; it does one at a time. */
export type Task =
  | { readonly kind: "start" }
  | { readonly kind: "open"; readonly start: number; readonly times: Float64Array }
  | { readonly kind: "closed"; readonly concurrency: number }
  | { readonly kind: "stop" };

/** The thread's answer when a task is done. */
export type Done =
  | { readonly kind: "start" }
  | { readonly kind: "open"; readonly load: OpenLoad }
  | { readonly kind: "closed"; readonly load: ClosedLoad };

/** The result of an open load, with one entry per request sent. */
export interface OpenLoad {
  /** When the request was due, in milliseconds from the start. */
  readonly intended: Float64Array;
  /** How many milliseconds late it was sent. */
  readonly lag: Float64Array;
  /** Milliseconds from the due time to the complete answer; NaN if the request failed. */
  readonly latency: Float64Array;
  /** The reasons for failures, each once. */
  readonly problems: readonly string[];
}

/** The result of a closed load, with one entry per answer. */
export interface ClosedLoad {
  /** When the answer was complete, by `now()`. */
  readonly ends: Float64Array;
  /** Milliseconds from sending to the complete answer. */
  readonly latency: Float64Array;
  readonly failed: number;
  /** The reasons for failures, each once. */
  readonly problems: readonly string[];
}
