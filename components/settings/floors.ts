import { HIGHEST_FLOOR, HIGHEST_SUM_OF_FLOORS } from "../floor";
import { messagesOf, named, parseTextFormat, type ScalarValue, TextFormatError } from "../textFormat";
import type { SettingsContext } from "./context";
import { modelConfigText } from "./modelConfigText";
import type { Place } from "./place";
import { itemsOf, keyOf } from "./rules";

/** A model that has a floor, as far as that is known. */
interface Floored {
  readonly index: number;
  readonly name: string;
  readonly floor: number;
  /** The GPUs that its instances are bound to, by the settings or else its own configuration; undefined: it may have instances on every GPU. */
  readonly gpus: ReadonlySet<number> | undefined;
}

/**
 * Refuses floors that come to more on a GPU than there is to share out. Looked at in the raw values, so that a fault in
 * one model hides no fault of another; what is an output is left out, and to the scheduler.
 */
export function refuseTooHighFloors(models: readonly unknown[], at: Place): void {
  const floored = models.flatMap((model, index) => withFloor(model, index, at.context));
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

function withFloor(model: unknown, index: number, context: SettingsContext): Floored[] {
  const floor = keyOf(model, "floor");
  const name = keyOf(model, "name");
  // Other values have faults of their own.
  if (typeof floor !== "number" || !(floor > 0 && floor <= HIGHEST_FLOOR)) return [];
  const groups = itemsOf(keyOf(model, "instanceGroups"));
  const gpus = gpusOf(groups.length > 0 ? groups.map(given) : ownGroups(modelConfigText(model, context)));
  if (gpus?.size === 0) return [];
  return [{ index, name: typeof name === "string" ? name : `models[${index}]`, floor, gpus }];
}

/** Where the instances of a group are. */
interface Group {
  readonly onCpu: boolean;
  /** Empty: where Triton puts them. */
  readonly gpus: readonly number[];
}

/** A group of the settings. */
function given(group: unknown): Group {
  const gpus = itemsOf(keyOf(group, "gpus")).filter((gpu) => typeof gpu === "number");
  return { onCpu: keyOf(group, "kind") === "cpu", gpus };
}

/** Those of a model's own `config.pbtxt`. Of one that is malformed, rendering it says what is wrong. */
function ownGroups(text: string | undefined): Group[] {
  if (text === undefined) return [];
  try {
    return messagesOf(named(parseTextFormat(text), "instance_group")).flatMap((group) => {
      if (group.kind !== "message") return [];
      const scalars = (name: string): string[] =>
        named(group.fields, name)
          .flatMap(({ value }) => (value.kind === "list" ? value.items : [value]))
          .filter((value): value is ScalarValue => value.kind !== "message")
          .map((value) => value.text);
      return [{ onCpu: scalars("kind").at(-1) === "KIND_CPU", gpus: scalars("gpus").map(Number) }];
    });
  } catch (error) {
    if (error instanceof TextFormatError) return [];
    throw error;
  }
}

/** The GPUs of a model's instance groups; undefined if there are none, or one of them leaves the choice to Triton. */
function gpusOf(groups: readonly Group[]): ReadonlySet<number> | undefined {
  const onGpus = groups.filter(({ onCpu }) => !onCpu);
  if (groups.length === 0 || onGpus.some(({ gpus }) => gpus.length === 0)) return undefined;
  return new Set(onGpus.flatMap(({ gpus }) => gpus));
}

function isOn({ gpus }: Floored, gpu: number | undefined): boolean {
  return gpus === undefined || (gpu !== undefined && gpus.has(gpu));
}

function sumOf(models: readonly Floored[]): number {
  return models.reduce((sum, { floor }) => sum + floor, 0);
}
