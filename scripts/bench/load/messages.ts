import { type Target } from "../protocol/connection";

/** What the thread of a load is made for. */
export interface LoadThreadOptions {
  readonly target: Target;
  /** One 32-bit counter: answers so far in this task. */
  readonly answered: SharedArrayBuffer;
}

/** What a load's thread is told to do; it does one thing at a time. */
export type Task =
  | { readonly kind: "start" }
  | { readonly kind: "open"; readonly start: number; readonly times: Float64Array }
  | { readonly kind: "closed"; readonly concurrency: number }
  | { readonly kind: "stop" };

/** What it answers when it has done it. */
export type Done =
  | { readonly kind: "start" }
  | { readonly kind: "open"; readonly load: OpenLoad }
  | { readonly kind: "closed"; readonly load: ClosedLoad };

/** What became of an open load: one entry for each arrival that was sent. */
export interface OpenLoad {
  /** When it was meant to be sent, in milliseconds from the start. */
  readonly intended: Float64Array;
  /** Milliseconds by which it was sent later than that. */
  readonly lag: Float64Array;
  /** Milliseconds from the intended time to the whole answer; NaN for one that failed. */
  readonly latency: Float64Array;
  /** Why requests failed, each reason once. */
  readonly problems: readonly string[];
}

/** What became of a closed load: one entry for each answer. */
export interface ClosedLoad {
  /** When the answer was there, by `now()`. */
  readonly ends: Float64Array;
  /** Milliseconds from sending to the whole answer. */
  readonly latency: Float64Array;
  readonly failed: number;
  /** Why requests failed, each reason once. */
  readonly problems: readonly string[];
}
