export { type AccessCommands, accessCommands, AwsGpuHost } from "./aws";
export { toRemoteConnection } from "./connection";
export {
  hostCommand,
  hostIdentity,
  type HostLocationArgs,
  removalCommand,
  resolveLocation,
  scriptCommand,
} from "./hostCommand";
export { HostServices } from "./hostServices";
export { type HostLocation, type SshMachine, TritonHost } from "./tritonHost";
