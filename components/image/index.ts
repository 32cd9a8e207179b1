export { runtimeImage } from "./runtimeImage";
export {
  type ImageBuildArgs,
  ImageVariant,
  type RegistryLoginArgs,
  TritonImage,
  type TritonImageArgs,
} from "./tritonImage";
