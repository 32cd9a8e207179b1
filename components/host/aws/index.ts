export { type AccessCommands, accessCommands, sessionTunnel } from "./access";
export { AwsGpuHost, type InstanceNetwork } from "./awsGpuHost";
export { servicesOf } from "./endpointServices";
