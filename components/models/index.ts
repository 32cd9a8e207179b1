export { type EngineArgs, EnginePrecision, type EngineShapeArgs } from "./engine";
export { modelArgs } from "./modelArgs";
export {
  type ModelArgs,
  ModelRepository,
  type ModelRepositoryArgs,
  type StoredModel,
} from "./modelRepository";
