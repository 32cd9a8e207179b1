export { AwsGpuHost, type AwsGpuHostArgs, type AwsVolumeArgs, PublicIp, type SetUpStepArgs } from "./aws";
export { type SshConnectionArgs, toRemoteConnection } from "./connection";
export {
  hostCommand,
  hostIdentity,
  type HostLocationArgs,
  removalCommand,
  scriptCommand,
} from "./hostCommand";
export { hostMachine, type Machine } from "./machine";
export { HostServices, type HostServicesArgs } from "./hostServices";
export { readyDirectory } from "./stackServices";
export { type HostLocation, type SshMachine, TritonHost, type TritonHostArgs } from "./tritonHost";
