export { attempt, type FolderItem, gather, readModelFolder } from "./modelFolder";
export { type ModelAccess, modelAccess } from "./modelAccess";
export { ModelBucket } from "./modelBucket";
export { ModelRepository, type StoredModel } from "./modelRepository";
export { configOfFolder, renderKnownConfigs } from "./renderedConfig";
export { type LiveValues, withoutScheduling } from "./scheduling";
export { travelsThroughBucket } from "./travel";
