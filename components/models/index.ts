export { type EngineArgs, EnginePrecision, type EngineShapeArgs } from "./engine";
export { modelAccess } from "./modelAccess";
export { modelArgs } from "./modelArgs";
export { ModelBucket, type ModelBucketArgs } from "./modelBucket";
export {
  type ModelArgs,
  ModelRepository,
  type ModelRepositoryArgs,
  type StoredModel,
} from "./modelRepository";
export { modelBucket } from "./stackModels";
