export { type AccessCommands, accessCommands } from "./access";
export { AwsGpuHost } from "./awsGpuHost";
