export { type FileProbe, type SettingsContext } from "./context";
export { type Fault, SettingsError } from "./fault";
export { parseSettings } from "./parseSettings";
export { readSettings } from "./readSettings";
export * from "./types";
