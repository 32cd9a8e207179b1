export { modelAccess } from "./modelAccess";
export { ModelBucket } from "./modelBucket";
export { ModelRepository, type StoredModel } from "./modelRepository";
export { renderKnownConfigs } from "./renderedConfig";
export { travelsThroughBucket } from "./travel";
