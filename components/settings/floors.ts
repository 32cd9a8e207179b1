import { HIGHEST_FLOOR, HIGHEST_SUM_OF_FLOORS } from "../floor";
import type { Place } from "./place";
import { itemsOf, keyOf } from "./rules";

/** A model that has a floor, as far as that is known. */
interface Floored {
  readonly index: number;
  readonly name: string;
  readonly floor: number;
  /** The GPUs that its instances are bound to; undefined: it may have instances on every GPU. */
  readonly gpus: ReadonlySet<number> | undefined;
}

/**
 * Refuses floors that come to more on a GPU than there is to share out. Looked at in the raw values, so that a fault in
 * one model hides no fault of another; what is an output is left out, and to the scheduler.
 */
export function refuseTooHighFloors(models: readonly unknown[], at: Place): void {
  const floored = models.flatMap((model, index) => withFloor(model, index));
  // What is on every GPU counts on each of those that are named, so that these have the highest sums.
  const named = new Set(floored.flatMap(({ gpus }) => [...(gpus ?? [])]));
  const gpus = named.size === 0 ? [undefined] : [...named].sort((one, other) => one - other);
  const full = gpus
    .map((gpu) => ({ gpu, on: floored.filter((model) => isOn(model, gpu)) }))
    .find(({ on }) => sumOf(on) > HIGHEST_SUM_OF_FLOORS);
  const last = full?.on.at(-1);
  if (full === undefined || last === undefined) return;
  const where = full.gpu === undefined ? "every GPU" : `GPU ${full.gpu}`;
  const each = full.on.map(({ name, floor }) => `${name} (${floor})`);
  at.at(last.index)
    .at("floor")
    .fault(
      last.floor,
      `floors that come to at most ${HIGHEST_SUM_OF_FLOORS} on a GPU`,
      `lower some of those on ${where} by ${sumOf(full.on) - HIGHEST_SUM_OF_FLOORS} together: ${each.join(", ")}`,
    );
}

function withFloor(model: unknown, index: number): Floored[] {
  const floor = keyOf(model, "floor");
  const name = keyOf(model, "name");
  // Other values have faults of their own.
  if (typeof floor !== "number" || !(floor > 0 && floor <= HIGHEST_FLOOR)) return [];
  const gpus = gpusOf(model);
  if (gpus?.size === 0) return [];
  return [{ index, name: typeof name === "string" ? name : `models[${index}]`, floor, gpus }];
}

/** The GPUs of a model's instance groups; undefined if any of them leaves the choice to Triton. */
function gpusOf(model: unknown): ReadonlySet<number> | undefined {
  const groups = keyOf(model, "instanceGroups");
  const found = new Set<number>();
  if (!Array.isArray(groups) || groups.length === 0) return undefined;
  for (const group of itemsOf(groups)) {
    if (keyOf(group, "kind") === "cpu") continue;
    const gpus = itemsOf(keyOf(group, "gpus")).filter((gpu) => typeof gpu === "number");
    if (gpus.length === 0) return undefined;
    for (const gpu of gpus) found.add(gpu);
  }
  return found;
}

function isOn({ gpus }: Floored, gpu: number | undefined): boolean {
  return gpus === undefined || (gpu !== undefined && gpus.has(gpu));
}

function sumOf(models: readonly Floored[]): number {
  return models.reduce((sum, { floor }) => sum + floor, 0);
}
