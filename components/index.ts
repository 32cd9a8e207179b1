// A program or a plugin host that imports the sources compiles them by options of its own, which may know an older
// library only.
/// <reference lib="es2023" />

// The public API of the package. Tokens of the components: xsched-triton:index:<name>.
export { type PolicyStatementArgs } from "./aws";
export {
  AwsGpuHost,
  type AwsGpuHostArgs,
  type AwsVolumeArgs,
  type HostLocation,
  HostServices,
  type HostServicesArgs,
  PublicIp,
  type SetUpStepArgs,
  type SshConnectionArgs,
  type SshMachine,
  TritonHost,
  type TritonHostArgs,
} from "./host";
export {
  EcrRepository,
  type EcrRepositoryArgs,
  type ImageBuildArgs,
  ImageVariant,
  type RegistryLoginArgs,
  TritonImage,
  type TritonImageArgs,
} from "./image";
export {
  type EngineArgs,
  EnginePrecision,
  type EngineShapeArgs,
  type ModelArgs,
  ModelBucket,
  type ModelBucketArgs,
  ModelRepository,
  type ModelRepositoryArgs,
  type StoredModel,
} from "./models";
export { AwsMonitoring, type AwsMonitoringArgs } from "./observability";
export {
  type Endpoints,
  LogLevel,
  SchedulerRequirement,
  type ServedModelArgs,
  type ServerOptionsArgs,
  TritonServer,
  type TritonServerArgs,
} from "./server";
export { TritonDeployment, type TritonDeploymentArgs } from "./tritonDeployment";
