export { modelDependencies } from "./modelDependencies";
export { ModelConfigError } from "./modelConfigError";
export { refuseMissingCode } from "./pythonCode";
export { renderModelConfig } from "./renderModelConfig";
export { refuseTakenForVersion } from "./takenForVersion";
export { TENSORRT_FILE } from "./tensorRt";
export { refuseUnknownToTriton } from "./unknownToTriton";
