export { EcrRepository, type EcrRepositoryArgs } from "./ecrRepository";
export { imageRegistry } from "./imageRegistry";
export { runtimeImage } from "./runtimeImage";
export {
  type ImageBuildArgs,
  ImageVariant,
  type RegistryLoginArgs,
  TritonImage,
  type TritonImageArgs,
} from "./tritonImage";
