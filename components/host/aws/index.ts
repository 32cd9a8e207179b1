export { type AccessCommands, accessCommands, sessionTunnel } from "./access";
export { AwsGpuHost, type InstanceNetwork } from "./awsGpuHost";
export type { LoadBalancerPlace } from "./balancerPlace";
export { servicesOf } from "./endpointServices";
