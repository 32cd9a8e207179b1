export { type EcrLogin, EcrRepository } from "./ecrRepository";
export { TritonImage } from "./tritonImage";
