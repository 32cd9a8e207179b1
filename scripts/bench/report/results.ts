import { type Measurement, type Plan } from "../measure";
import { type Summary } from "./summary";

/** How a benchmark was run, as the reports say it. */
export interface RunDescription {
  /** When it began, in ISO 8601. */
  readonly began: string;
  /** Where Triton was asked, and its version. */
  readonly server: string;
  readonly version: string;
  /** The stack, if it was known. */
  readonly stack?: string;
  /** How the requests were sent. */
  readonly protocol: string;
  readonly arrivals: string;
  /** Requests a second to the high model. */
  readonly rate: number;
  /** Random numbers of schedules and intervals come from it. */
  readonly seed: number;
  /** The priorities of the arm "xsched", which are the stack's own. */
  readonly priorities: { readonly high: number; readonly low: number };
  /** What the scheduler says of itself, or why it could not be asked. */
  readonly scheduler: { readonly active: boolean; readonly says: string };
  /** The machine that sent the requests. */
  readonly client: string;
}

/** All of a benchmark: what the report files are made from. */
export interface Results {
  readonly run: RunDescription;
  readonly plan: Plan;
  readonly measurements: readonly Measurement[];
  readonly summary: Summary;
}
