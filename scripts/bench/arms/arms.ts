import { HIGHEST_PRIORITY } from "../../../components/priority";
import { type ModelConfig, withPriorities } from "../../triton/modelConfig";

/** The arms of the comparison. */
export const ARMS = ["standalone", "triton", "triton+priority", "xsched"] as const;
export type Arm = (typeof ARMS)[number];

/** What a round measures: the arms, and what the low models and the middle one are compared with. */
export const PHASES = ["low alone", "middle alone", "middle behind high", ...ARMS] as const;
export type Phase = (typeof PHASES)[number];

/** How the models are prioritised. */
export type Setting = "none" | "cuda" | "own";

export const SETTING: Readonly<Record<Phase, Setting>> = {
  "low alone": "none",
  "middle alone": "none",
  "middle behind high": "own",
  standalone: "none",
  triton: "none",
  "triton+priority": "cuda",
  xsched: "own",
};

/** The meaning of each phase, for the reports. */
export const MEANING: Readonly<Record<Phase, string>> = {
  "low alone": "one low model alone, back to back",
  "middle alone": "the middle model alone",
  "middle behind high": "the high and the middle model at the stack's own priorities, no low model",
  standalone: "the high model alone",
  triton: "all models, no priorities",
  "triton+priority": "all models, CUDA stream priorities only",
  xsched: "all models at the stack's own priorities",
};

/**
 * Where nothing should be scheduled, all models get the highest priority. Then none waits for another, and the core does
 * not bound what they have in flight. It does that with every queue below the highest one, even while the highest one is
 * idle (native/xsched/src/preempt/policy_hpf.cc).
 */
export const UNSCHEDULED = HIGHEST_PRIORITY;

export type Role = "high" | "middle" | "low";

/** A model of the comparison. */
export interface Contender {
  readonly model: string;
  readonly role: Role;
}

const CUDA: Readonly<Record<Role, string>> = {
  high: "PRIORITY_MAX",
  middle: "PRIORITY_DEFAULT",
  low: "PRIORITY_MIN",
};

/**
 * A parameter that only the benchmark's configurations have. If a configuration differs from the loaded one in nothing but
 * its instance groups, which Triton spells out, Triton (r23.05 and later) only replaces the instances; its TensorRT backend
 * then executes one that it has deleted, and the server ends (seen with r24.10). Any other difference makes it load the
 * whole model.
 */
const MARK = "xsched_benchmark";

/**
 * A model's configuration in a setting; undefined for the stack's own.
 *
 * @param own the configuration that the stack has deployed
 */
export function configFor(setting: Setting, role: Role, own: ModelConfig): ModelConfig | undefined {
  switch (setting) {
    case "none":
      return marked(withPriorities(own, "PRIORITY_DEFAULT", UNSCHEDULED), setting);
    case "cuda":
      return marked(withPriorities(own, CUDA[role], UNSCHEDULED), setting);
    case "own":
      return undefined;
  }
}

function marked(config: ModelConfig, setting: Setting): ModelConfig {
  return { ...config, parameters: { ...config.parameters, [MARK]: { string_value: setting } } };
}

/** A configuration without what only the benchmark sets, but for the priorities. */
export function unmarked(config: ModelConfig): ModelConfig {
  const { [MARK]: _, ...parameters } = config.parameters ?? {};
  return { ...config, parameters };
}

/** A phase, with the models that are sent requests in it. */
export interface PhaseRun {
  readonly phase: Phase;
  readonly high: boolean;
  readonly middle: boolean;
  readonly lows: readonly string[];
}

/** What is compared. */
export interface Comparison {
  readonly arms: readonly Arm[];
  readonly middle?: unknown;
  readonly lows: readonly { readonly model: string }[];
}

/**
 * The phases of a round. Each round starts with a different one, so that drift over time (clocks, temperature) affects
 * every arm alike.
 */
export function phasesOf(round: number, comparison: Comparison): PhaseRun[] {
  const runs = PHASES.flatMap((phase) => runsOf(phase, comparison));
  return runs.map((_, index) => runs[(index + round) % runs.length]).filter((run) => run !== undefined);
}

/** A phase's runs: none if nothing is compared with it, one for each low model if they are measured alone. */
function runsOf(phase: Phase, { arms, middle, lows }: Comparison): PhaseRun[] {
  const withMiddle = middle !== undefined;
  const contended = arms.some((arm) => arm !== "standalone");
  switch (phase) {
    case "low alone":
      return contended ? lows.map(({ model }) => ({ phase, high: false, middle: false, lows: [model] })) : [];
    case "middle alone":
      return withMiddle && contended ? [{ phase, high: false, middle: true, lows: [] }] : [];
    case "middle behind high":
      return withMiddle && arms.includes("xsched") ? [{ phase, high: true, middle: true, lows: [] }] : [];
    case "standalone":
      return arms.includes(phase) ? [{ phase, high: true, middle: false, lows: [] }] : [];
    case "triton":
    case "triton+priority":
    case "xsched":
      return arms.includes(phase)
        ? [{ phase, high: true, middle: withMiddle, lows: lows.map(({ model }) => model) }]
        : [];
  }
}
