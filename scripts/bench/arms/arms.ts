import { HIGHEST_PRIORITY } from "../../../components/settings/allowedValues";
import { type ModelConfig, withPriorities } from "../../triton/modelConfig";

/** What is compared. */
export const ARMS = ["standalone", "triton", "triton+priority", "xsched"] as const;
export type Arm = (typeof ARMS)[number];

/** What is measured in each round: the arms, and the low model alone, which its throughput is compared with. */
export const PHASES = ["low alone", ...ARMS] as const;
export type Phase = (typeof PHASES)[number];

/** How the two models are prioritised. */
export type Setting = "none" | "cuda" | "own";

export const SETTING: Readonly<Record<Phase, Setting>> = {
  "low alone": "none",
  standalone: "none",
  triton: "none",
  "triton+priority": "cuda",
  xsched: "own",
};

/** What each arm is, for the reports. */
export const MEANING: Readonly<Record<Phase, string>> = {
  "low alone": "the low model alone, back to back",
  standalone: "the high model alone",
  triton: "both models, no priorities",
  "triton+priority": "both models, CUDA stream priorities only",
  xsched: "both models at the stack's own priorities",
};

/**
 * Where nothing is to be scheduled, both models have the highest priority: then the core neither lets one wait for
 * the other, nor bounds what they have in flight, which it does with whatever has a lower priority than the highest
 * queue, even if that is idle (native/xsched/src/preempt/policy_hpf.cc).
 */
export const UNSCHEDULED = HIGHEST_PRIORITY;

export type Role = "high" | "low";

/**
 * The configuration of a model in a setting; undefined where it is the stack's own.
 *
 * @param own the model's configuration as the stack has deployed it
 */
export function configFor(setting: Setting, role: Role, own: ModelConfig): ModelConfig | undefined {
  switch (setting) {
    case "none":
      return withPriorities(own, "PRIORITY_DEFAULT", UNSCHEDULED);
    case "cuda":
      return withPriorities(own, role === "high" ? "PRIORITY_MAX" : "PRIORITY_MIN", UNSCHEDULED);
    case "own":
      return undefined;
  }
}

/**
 * The phases of a round. Each round begins with another one, so that what drifts over time (clocks, temperature)
 * meets every arm alike.
 */
export function phasesOf(round: number): Phase[] {
  return PHASES.map((_, index) => PHASES[(index + round) % PHASES.length] ?? "standalone");
}
