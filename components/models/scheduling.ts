import { type ModelSettings } from "../settings";

/** What of a model a running scheduler takes (components/host/agent/agent/server/scheduling.py). All else takes a load. */
export type LiveValues = Pick<ModelSettings, "priority" | "floor" | "weight">;

/** Value of each where it says nothing. */
const NEUTRAL: LiveValues = { priority: 0, floor: 0, weight: 0 };

/** What all states of a model have in common that differ in these values alone. */
export function withoutScheduling(model: ModelSettings): ModelSettings {
  return { ...model, ...NEUTRAL };
}
