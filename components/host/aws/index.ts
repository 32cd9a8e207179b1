export { type AccessCommands, accessCommands, sessionTunnel } from "./access";
export { AwsGpuHost } from "./awsGpuHost";
