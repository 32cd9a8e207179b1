import type { SettingsContext } from "./context";
import { ensembleStepsOf } from "./ensemble";
import { modelConfigText } from "./modelConfigText";
import { nearest } from "./nearest";
import type { Place } from "./place";
import { isDeferred, itemsOf, keyOf } from "./rules";

/*
 * Which models need which others: an ensemble needs the models of its steps, any model those that its `dependsOn` names.
 * Looked at in the raw values, so that a fault in one of them hides no fault of another.
 */

/** Steps of the ensemble that a model is; undefined for another kind of model, or if that is not known yet. */
export function stepsOf(model: unknown, context: SettingsContext): readonly string[] | undefined {
  const text = modelConfigText(model, context);
  return text === undefined ? undefined : ensembleStepsOf(text);
}

/** A model among the others. */
interface Node {
  readonly index: number;
  readonly name: string;
  /** Those of its steps that are among the models. */
  readonly steps: readonly string[];
  /** Those of its `dependsOn` that are among the models. */
  readonly dependsOn: readonly string[];
}

type Graph = ReadonlyMap<string, Node>;

function readGraph(models: readonly unknown[], context: SettingsContext): Graph {
  const names = models.map((model) => keyOf(model, "name"));
  const among = (name: unknown): name is string => typeof name === "string" && names.includes(name);
  return new Map(
    models.flatMap((model, index): [string, Node][] => {
      const name = names[index];
      // Of two with the same name, which is a fault, the first counts.
      if (typeof name !== "string" || names.indexOf(name) < index) return [];
      const steps = (stepsOf(model, context) ?? []).filter(among);
      const dependsOn = itemsOf(keyOf(model, "dependsOn")).filter(among);
      return [[name, { index, name, steps, dependsOn }]];
    }),
  );
}

/** Refuses a `dependsOn` or a step that names no model of the stack, and models that wait for each other. */
export function refuseWrongDependencies(models: readonly unknown[], at: Place): void {
  const names = models.map((model) => keyOf(model, "name"));
  models.forEach((model, index) => {
    itemsOf(keyOf(model, "dependsOn")).forEach((wanted, position) => {
      if (typeof wanted !== "string") return;
      const place = at.at(index).at("dependsOn").at(position);
      const others = names.filter(
        (name, other): name is string => typeof name === "string" && other !== index,
      );
      if (wanted === names[index]) {
        place.fault(wanted, "another model of the stack", "remove it: a model does not wait for itself");
      } else if (!names.includes(wanted) && !names.some(isDeferred)) {
        const near = nearest(wanted, others);
        place.fault(
          wanted,
          others.length === 0
            ? "another model of the stack"
            : `one of the other models: ${others.join(", ")}`,
          near === undefined ? `add the model ${wanted}, or remove it here` : `did you mean ${near}?`,
        );
      }
    });
  });
  if (!names.some(isDeferred)) refuseMissingSteps(models, at);
  const graph = readGraph(models, at.context);
  for (const node of graph.values()) {
    const circle = circleFrom(node, graph);
    if (circle !== undefined) refuseCircle(circle, models, at);
  }
}

/** Triton would refuse the ensemble, or give it up when the model of its step is removed. */
function refuseMissingSteps(models: readonly unknown[], at: Place): void {
  const names = models.map((model) => keyOf(model, "name")).filter((name) => typeof name === "string");
  models.forEach((model, index) => {
    const missing = (stepsOf(model, at.context) ?? []).filter((step) => !names.includes(step));
    const [first] = missing;
    if (first === undefined) return;
    const others = names.filter((name) => name !== keyOf(model, "name"));
    const near = missing.length === 1 ? nearest(first, others) : undefined;
    const key = configKeyOf(model);
    at.at(index)
      .at(key)
      .fault(
        keyOf(model, key),
        "an ensemble of models of the stack",
        `${near === undefined ? "" : `did you mean the model ${near}? Otherwise `}add ${missing.join(", ")} to the stack's models, or change the steps in its config.pbtxt`,
      );
  });
}

/** What an ensemble's steps are read from. */
function configKeyOf(model: unknown): "config" | "source" {
  return keyOf(model, "config") === undefined ? "source" : "config";
}

/** The models of a cycle through a model, which comes first, unless an earlier model is part of it. */
function circleFrom(start: Node, graph: Graph): readonly Node[] | undefined {
  const ways: (readonly [Node, ...Node[]])[] = [[start]];
  const seen = new Set([start]);
  for (let way; (way = ways.shift()) !== undefined;) {
    const last = way.at(-1) ?? start;
    for (const name of new Set([...last.steps, ...last.dependsOn])) {
      const next = graph.get(name);
      if (next === undefined || next.index < start.index) continue;
      // A model that depends on itself alone has been refused.
      if (next === start && (way.length > 1 || last.steps.includes(name))) return way;
      if (seen.has(next)) continue;
      seen.add(next);
      ways.push([...way, next]);
    }
  }
  return undefined;
}

function refuseCircle(circle: readonly Node[], models: readonly unknown[], at: Place): void {
  const after = (position: number): Node | undefined => circle[(position + 1) % circle.length];
  const written = [...circle, circle[0]].map((node) => node?.name).join(" → ");
  // What the stack config says is easier to change than the steps of an ensemble.
  const chosen = circle.findIndex((node, position) => {
    const next = after(position)?.name ?? "";
    return node.dependsOn.includes(next) && !node.steps.includes(next);
  });
  const node = circle[Math.max(chosen, 0)];
  if (node === undefined) return;
  const place = at.at(node.index);
  if (chosen >= 0) {
    place
      .at("dependsOn")
      .faultShown(
        `[${node.dependsOn.join(", ")}]`,
        "models that do not wait for this one",
        `break the circle ${written}: remove ${after(chosen)?.name ?? ""}`,
      );
    return;
  }
  const key = configKeyOf(models[node.index]);
  place
    .at(key)
    .fault(
      keyOf(models[node.index], key),
      "an ensemble that is not a step of itself",
      `break the circle ${written}: change the steps in its config.pbtxt`,
    );
}

/** What matters of a model for the priorities of others. */
export interface PriorityNode {
  readonly name: string;
  /** Names of the models of its steps, if it is an ensemble. */
  readonly steps: readonly string[];
  /** Its own, if it has one: a number, or else it is known later. */
  readonly priority: unknown;
}

/**
 * For each model that has no priority of its own and is a step of ensembles that have one, at its index: the ensemble
 * that it takes its priority from, which is the most urgent of them.
 */
export function priorityGivers(models: readonly PriorityNode[]): ReadonlyMap<number, number> {
  const givers = new Map<number, number>();
  const givePriority = (from: number, to: number, within: ReadonlySet<number>): void => {
    for (const name of models[to]?.steps ?? []) {
      const step = models.findIndex((model) => model.name === name);
      if (step < 0 || models[step]?.priority !== undefined || within.has(step)) continue;
      const earlier = givers.get(step);
      if (earlier === undefined || isMoreUrgent(models[from]?.priority, models[earlier]?.priority)) {
        givers.set(step, from);
      }
      givePriority(from, step, new Set([...within, step]));
    }
  };
  models.forEach(({ priority }, index) => {
    if (priority !== undefined) givePriority(index, index, new Set([index]));
  });
  return givers;
}

function isMoreUrgent(one: unknown, other: unknown): boolean {
  return typeof one === "number" && typeof other === "number" && one > other;
}
