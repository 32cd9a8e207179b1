export { FileProbe, SettingsContext } from "./context";
export { Fault, SettingsError } from "./fault";
export { parseSettings } from "./parseSettings";
export { readSettings } from "./readSettings";
export * from "./types";
