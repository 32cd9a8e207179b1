import * as pulumi from "@pulumi/pulumi";
import type { ComponentResourceConstructor } from "@pulumi/pulumi/provider/experimental/provider";

import * as exported from "../index";

/** Every component of the package. */
export const COMPONENTS = (Object.values(exported) as unknown[]).filter(
  (each): each is ComponentResourceConstructor =>
    typeof each === "function" && each.prototype instanceof pulumi.ComponentResource,
);
