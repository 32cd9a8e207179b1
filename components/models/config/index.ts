export { modelDependencies } from "./modelDependencies";
export { ModelConfigError } from "./modelConfigError";
export { renderModelConfig } from "./renderModelConfig";
export { TENSORRT_FILE } from "./tensorRt";
