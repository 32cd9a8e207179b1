import { type Measurement, type Plan } from "../measure";
import { type FormerRun } from "./formerRun";
import { type Summary } from "./summary";

/** How a benchmark was run, for the reports. */
export interface RunDescription {
  /** When it started, in ISO 8601. */
  readonly began: string;
  /** Triton's address and version. */
  readonly server: string;
  readonly version: string;
  /** The stack, if known. */
  readonly stack?: string;
  /** How the requests were sent. */
  readonly protocol: string;
  readonly arrivals: string;
  /** Requests per second to the high model, and to the middle one. */
  readonly rate: number;
  readonly middleRate: number;
  /** Rows per request, by model. */
  readonly batch: Readonly<Record<string, number>>;
  /** The seed of the schedules and the intervals. */
  readonly seed: number;
  /** The priorities of the arm "xsched", by model, which are the stack's own. */
  readonly priorities: Readonly<Record<string, number>>;
  /** The scheduler's status, or why it could not be asked. */
  readonly scheduler: { readonly active: boolean; readonly says: string };
  /** The machine that sent the requests. */
  readonly client: string;
}

/** The complete results of a benchmark, from which the report files are written. */
export interface Results {
  readonly run: RunDescription;
  readonly plan: Plan;
  readonly measurements: readonly Measurement[];
  readonly summary: Summary;
  /** What this run is compared with. */
  readonly former: readonly FormerRun[];
}
