export { ModelConfigError } from "./modelConfigError";
export { renderModelConfig } from "./renderModelConfig";
