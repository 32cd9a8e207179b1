import * as pulumi from "@pulumi/pulumi";

import { SettingsContext } from "./context";
import { Fault, SettingsError } from "./fault";
import { INVALID, Place } from "./place";
import { NAMESPACE, Settings, stackRule } from "./stackSettings";
import { inform, thisMachine } from "./thisMachine";

/**
 * The stack config of the running Pulumi program, checked: the arguments of a `TritonStack`.
 *
 * @param projectDirectory absolute path of the folder that relative paths start at: the one of the program
 * @throws SettingsError with every fault that was found
 */
export function stackConfig(projectDirectory = process.cwd()): Settings {
  const prefix = `${NAMESPACE}:`;
  const values = Object.entries(pulumi.runtime.allConfig()).filter(([key]) => key.startsWith(prefix));
  return readSettings(
    Object.fromEntries(values.map(([key, text]) => [key.slice(prefix.length), parseValue(text)])),
    {
      origin: "config",
      stack: pulumi.getStack(),
      projectDirectory,
      secretKeys: new Set(
        values
          .map(([key]) => key)
          .filter(isEncrypted)
          .map((key) => key.slice(prefix.length)),
      ),
      files: thisMachine,
      inform,
    },
  );
}

/**
 * Checks all values of the stack config together and turns them into typed settings.
 *
 * @param raw the top-level keys and their values, as parsed from JSON or YAML
 * @throws SettingsError with every fault that was found
 */
export function readSettings(raw: unknown, context: SettingsContext): Settings {
  const faults: Fault[] = [];
  const settings = stackRule.read(raw, new Place(context, faults));
  if (settings === INVALID || faults.length > 0) {
    throw new SettingsError(context.stack, faults);
  }
  STACK_CONFIGS.add(settings);
  return settings;
}

const STACK_CONFIGS = new WeakSet();

/** Whether the arguments of a component are a stack config. */
export function isStackConfig(args: object): boolean {
  return STACK_CONFIGS.has(args);
}

/** All of our keys hold objects or lists, which Pulumi hands over as JSON; anything else is a fault to report. */
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
function isEncrypted(key: string): boolean {
  return runtime.isConfigSecret?.(key) ?? true;
}
