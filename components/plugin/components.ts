import * as pulumi from "@pulumi/pulumi";

import * as exported from "../index";

export type Component = new (
  name: string,
  args: never,
  opts?: pulumi.ComponentResourceOptions,
) => pulumi.ComponentResource;

/** Every component of the package. */
export const COMPONENTS: Component[] = (Object.values(exported) as unknown[]).filter(
  (each): each is Component =>
    typeof each === "function" && each.prototype instanceof pulumi.ComponentResource,
);
