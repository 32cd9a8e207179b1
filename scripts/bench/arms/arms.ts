import { HIGHEST_PRIORITY } from "../../../components/priority";
import { type ModelConfig, withPriorities } from "../../triton/modelConfig";

/** The arms of the comparison. */
export const ARMS = ["standalone", "triton", "triton+priority", "xsched"] as const;
export type Arm = (typeof ARMS)[number];

/** The phases of each round: the arms, and the low model alone, as the base of its throughput. */
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

/** The meaning of each phase, for the reports. */
export const MEANING: Readonly<Record<Phase, string>> = {
  "low alone": "the low model alone, back to back",
  standalone: "the high model alone",
  triton: "both models, no priorities",
  "triton+priority": "both models, CUDA stream priorities only",
  xsched: "both models at the stack's own priorities",
};

/**
 * Where nothing should be scheduled, both models get the highest priority. Then neither waits for the other, and the core
 * does not bound what they have in flight. It does that with every queue below the highest one, even while the highest
 * one is idle (native/xsched/src/preempt/policy_hpf.cc).
 */
export const UNSCHEDULED = HIGHEST_PRIORITY;

export type Role = "high" | "low";

/**
 * A model's configuration in a setting; undefined for the stack's own.
 *
 * @param own the configuration that the stack has deployed
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
 * The phases of a round that measures these arms. Each round starts with a different one, so that drift over time (clocks,
 * temperature) affects every arm alike.
 */
export function phasesOf(round: number, arms: readonly Arm[] = ARMS): Phase[] {
  const withLow = arms.some((arm) => arm !== "standalone");
  const phases: Phase[] = PHASES.filter((phase) => (phase === "low alone" ? withLow : arms.includes(phase)));
  return phases.map((_, index) => phases[(index + round) % phases.length] ?? "standalone");
}
