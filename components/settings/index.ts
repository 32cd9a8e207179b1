export { isIpv6, isOpenToTheWorld, isPrivateAddress } from "./addressRange";
export { ArgumentsError } from "./argumentsError";
export { awsGpuHostInputs, awsInstance, OWN_TAGS, policyStatements, repositoryArn } from "./awsHostSettings";
export {
  familyOf,
  GPU_FAMILIES,
  gpuFamily,
  isGpuType,
  otherAccelerator,
  releasesOn,
} from "./awsInstanceTypes";
export {
  awsLoadBalancerInputs,
  balancedGateway,
  balancedInstance,
  LONGEST_DELAY,
} from "./awsLoadBalancerInputs";
export { type EcrLocation, ecrLocation } from "./ecrLocation";
export { ComponentInputs } from "./componentInputs";
export { type FileProbe, type SettingsContext } from "./context";
export { eksClusterInputs, eksGpuNodesInputs, type EksGpuNodesSettings, modelReader } from "./eksSettings";
export { type EngineSettings } from "./engineSettings";
export { ensembleSteps, ensembleStepsOf, NOT_FOR_ENSEMBLES } from "./ensemble";
export { type Fault, listFaults, SettingsError, show } from "./fault";
export { type FleetMonitoring, SCHEDULER_METRICS_PORT } from "./fleetMonitoring";
export { type FleetScaling, isUrgent } from "./fleetScaling";
export { fleetInputs, fleetNameFault, type FleetSettings } from "./fleetSettings";
export { gatewayInputs, gatewayOptions, type GatewayOptions, gatewayPlace } from "./gatewaySettings";
export * from "./generated";
export {
  hostDirectory,
  hostRepairs,
  hostServices,
  hostServicesInputs,
  sshConnection,
  tritonHostDirectory,
  tritonHostInputs,
} from "./hostSettings";
export {
  bucketName,
  type DynamicBatching,
  givePriorities,
  type InstanceGroup,
  modelBucketInputs,
  modelRepositoryInputs,
  modelRule,
  type ModelSettings,
  servedModel,
  takesPriority,
  type VersionPolicy,
  type WarmupInput,
  type WarmupSample,
} from "./modelSettings";
export { isLoopback } from "./listenAddress";
export { leavesModelFolder, MOVE_INSIDE } from "./modelFile";
export { isVersion, MAX_VERSION } from "./modelSource";
export { nearest } from "./nearest";
export { awsMonitoringInputs, watchedHost, watchedLoadBalancer } from "./monitoringSettings";
export { unixLines } from "./pem";
export { type KnownBy } from "./rules";
export { reject } from "./rejection";
export {
  ecrRepositoryInputs,
  image,
  imageBuild,
  imageByDigest,
  registryLogin,
  tritonImageInputs,
  usualVariant,
} from "./runtimeSettings";
export { placesByPolicy, placesOf } from "./modelPlaces";
export { type S3Location, s3Location } from "./s3Location";
export { serverOptions, type ServerOptions, tritonServerInputs } from "./serverSettings";
export { type ImageSignature, imageSignature, publicKey } from "./signatureSettings";
export { isStackConfig, readSettings, stackConfig } from "./stackConfig";
export { type KnownSettings, type Settings, stackRule } from "./stackSettings";
export { inform, thisMachine } from "./thisMachine";
