import { configOfFolder, type LiveValues, withoutScheduling } from "../models";
import { ensembleStepsOf, type FleetSettings, type ModelSettings } from "../settings";
import { type Item, keyOf } from "./configMapFiles";
import type { ModelFiles, ForImage } from "./modelFiles";
import { digestOf } from "./names";

/** What a model is to have in the scheduler. */
export type FollowedModel = LiveValues & Pick<ModelSettings, "name">;

/** What of a model is read here. */
type Configured = Pick<ModelFiles | ForImage, "model" | "config">;

/** Key of what the agent beside Triton follows: components/host/agent/agent/follow.py. */
export const FOLLOWED = "models.json";

/** The part of a fleet that can change while its pods serve: values of all models, and the configurations with them. */
export interface Live {
  /** Of all in the configurations that only a rollout changes. What begins to serve later finds the values in force. */
  readonly digest: string;
  readonly data: Readonly<Record<string, string>>;
  /** Where the configuration of each model is. */
  readonly configs: Readonly<Record<string, Item>>;
}

/** Whether a change is made in pods that serve. It takes the scheduler, which only pods that require it surely have. */
export function isLive({ scheduler }: Pick<FleetSettings, "scheduler">): boolean {
  return scheduler.required !== false;
}

/** @param files of the models of the settings, in their order */
export function live(
  settings: Pick<FleetSettings, "scheduler" | "models">,
  files: readonly Configured[],
): Live {
  const { models } = settings;
  const items = files.map(({ model }, index) => ({
    model,
    item: { key: keyOf(`${model}.pbtxt`, index), path: "config.pbtxt", mode: 0o444 },
  }));
  const fixed = isLive(settings)
    ? models.map((model) => configOfFolder(withoutScheduling(model)))
    : files.map(({ config }) => config);
  const data = {
    [FOLLOWED]: followedText(followed(models, files)),
    ...Object.fromEntries(items.map(({ item }, index) => [item.key, files[index]?.config ?? ""])),
  };
  return {
    digest: digestOf([items, fixed]),
    data,
    configs: Object.fromEntries(items.map(({ model, item }) => [model, item])),
  };
}

/** The text that the agent follows. */
export function followedText(models: readonly FollowedModel[]): string {
  return `${JSON.stringify({ models }, undefined, 2)}\n`;
}

/** An ensemble runs nothing itself, so no scheduler knows it. */
function followed(models: readonly ModelSettings[], files: readonly Configured[]): FollowedModel[] {
  return models
    .filter((_, index) => ensembleStepsOf(files[index]?.config ?? "") === undefined)
    .map(({ name, priority, floor, weight }) => ({ name, priority, floor, weight }));
}

/** How much a ConfigMap has to hold. */
export function bytesOf({ data }: Live): number {
  return Object.values(data).reduce((sum, text) => sum + Buffer.byteLength(text), 0);
}
