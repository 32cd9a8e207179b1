// Programs that import the sources compile them with their own options, which may name an older library.
/// <reference lib="es2023" />

// The public API of the package. Tokens of the components: xsched-triton:index:<name>.
export { Gateway, type GatewayAccess } from "./gateway";
export {
  AwsGpuHost,
  type HostLocation,
  HostServices,
  type InstanceNetwork,
  type LoadBalancerPlace,
  type SshMachine,
  TritonHost,
} from "./host";
export { type EcrLogin, EcrRepository, TritonImage } from "./image";
export { AwsLoadBalancer, type LoadBalancerMetrics, type LoadBalancerNames } from "./loadBalancer";
export { ModelBucket, ModelRepository, type StoredModel } from "./models";
export { AwsMonitoring } from "./observability";
export { type Endpoints, TritonServer } from "./server";
export { stackConfig } from "./settings";
export * from "./settings/generated";
export { type DeployedModel, type InstanceAccess, TritonStack } from "./tritonStack";
