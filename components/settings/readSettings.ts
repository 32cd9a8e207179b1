import * as pulumi from "@pulumi/pulumi";

import { parseSettings } from "./parseSettings";
import { NAMESPACE } from "./schema";
import { thisMachine } from "./thisMachine";
import { Settings } from "./types";

/**
 * The settings of the stack that this Pulumi program runs for.
 *
 * @param projectDirectory absolute path of the folder that holds Pulumi.yaml
 * @throws SettingsError with every fault that was found
 */
export function readSettings(projectDirectory: string): Settings {
  const prefix = `${NAMESPACE}:`;
  const values = Object.entries(pulumi.runtime.allConfig()).filter(([key]) => key.startsWith(prefix));
  return parseSettings(
    Object.fromEntries(values.map(([key, text]) => [key.slice(prefix.length), parseValue(text)])),
    {
      stack: pulumi.getStack(),
      projectDirectory,
      secretKeys: new Set(
        values
          .map(([key]) => key)
          .filter(holdsSecret)
          .map((key) => key.slice(prefix.length)),
      ),
      files: thisMachine,
    },
  );
}

/** All of our keys hold objects or lists, which Pulumi hands over as JSON; what is none is a fault to report. */
function parseValue(text: string): unknown {
  try {
    return JSON.parse(text) as unknown;
  } catch {
    return text;
  }
}

/** The SDK exports this but keeps it out of its type declarations. */
const runtime: typeof pulumi.runtime & { readonly isConfigSecret?: (key: string) => boolean } =
  pulumi.runtime;

/** Whether the value of a key is encrypted in the stack config, or a part of it is. */
function holdsSecret(key: string): boolean {
  return runtime.isConfigSecret?.(key) ?? true;
}
