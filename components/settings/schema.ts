/* All rules, for what is generated from them: types, documentation and the plugin's schema. */
export { awsGpuHostInputs } from "./awsHostSettings";
export { awsLoadBalancerInputs } from "./awsLoadBalancerInputs";
export { eksClusterInputs, eksGpuNodesInputs } from "./eksSettings";
export { fleetFields, fleetInputs } from "./fleetSettings";
export { gatewayInputs } from "./gatewaySettings";
export { hostServicesInputs, tritonHostInputs } from "./hostSettings";
export { modelBucketInputs, modelRepositoryInputs } from "./modelSettings";
export { awsMonitoringInputs } from "./monitoringSettings";
export { ecrRepositoryInputs, tritonImageInputs } from "./runtimeSettings";
export { tritonServerInputs } from "./serverSettings";
export { NAMESPACE, stackRule, TOP_LEVEL_KEYS } from "./stackSettings";
