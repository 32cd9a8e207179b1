import { createHash } from "node:crypto";

import type { Live } from "./live";
import type { ModelFiles } from "./modelFiles";

/** What all parts of all fleets carry. */
export const partOf = { "app.kubernetes.io/part-of": "xsched-triton" } as const;

/** What all parts of a fleet carry, but its guard. */
export function labelsOf(fleet: string): Record<string, string> {
  return { ...selectorOf(fleet), ...partOf };
}

/** What tells a fleet's pods from others of the namespace. A Deployment's can't be changed. */
export function selectorOf(fleet: string): Record<string, string> {
  return { "app.kubernetes.io/name": "triton", "app.kubernetes.io/instance": fleet };
}

/** First 10 hexadecimal digits of a SHA-256. */
export function digestOf(content: unknown): string {
  return createHash("sha256").update(JSON.stringify(content)).digest("hex").slice(0, 10);
}

/** A ConfigMap is never changed: another content has another name, so a rollout can be undone. */
export function configMapName(
  fleet: string,
  { model, digest }: Pick<ModelFiles, "model" | "digest">,
): string {
  return [fleet, readable(model), digest].filter((part) => part !== "").join("-");
}

/** A model's name, as far as a name on Kubernetes or a tag can have it; different names can look alike, or be empty. */
export function readable(model: string): string {
  return model
    .toLowerCase()
    .replaceAll(/[^a-z0-9]+/g, "-")
    .slice(0, 60)
    .replace(/^-|-$/g, "");
}

/** Only what is live in it is changed: for anything else it has another name. */
export function liveName(fleet: string, { digest }: Live): string {
  return `${fleet}-live-${digest}`;
}

/** A PriorityClass belongs to no namespace. */
export function priorityClassName(fleet: string, namespace: string): string {
  return `${namespace}-${fleet}`;
}
