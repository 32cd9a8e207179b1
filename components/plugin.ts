import * as pulumi from "@pulumi/pulumi";

import * as exported from "./index";

type Component = new (
  name: string,
  args: never,
  opts?: pulumi.ComponentResourceOptions,
) => pulumi.ComponentResource;

/** Every component of the package. */
export const COMPONENTS = Object.values(exported).filter(
  (each): each is Extract<typeof each, Component> =>
    typeof each === "function" && each.prototype instanceof pulumi.ComponentResource,
);
