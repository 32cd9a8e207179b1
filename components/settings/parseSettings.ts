import { SettingsContext } from "./context";
import { Fault, SettingsError } from "./fault";
import { INVALID, Place } from "./place";
import { settingsRule } from "./schema";
import { Settings } from "./types";

/**
 * Checks all values of the stack config together and makes typed settings of them.
 *
 * @param raw the top-level keys and their values, as they came out of JSON or YAML
 * @throws SettingsError with every fault that was found
 */
export function parseSettings(raw: unknown, context: SettingsContext): Settings {
  const faults: Fault[] = [];
  const settings = settingsRule.read(raw, new Place(context, faults));
  if (settings === INVALID || faults.length > 0) {
    throw new SettingsError(context.stack, faults);
  }
  return settings;
}
