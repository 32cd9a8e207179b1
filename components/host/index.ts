export { agentCommand, agentDigest, agentRemoval, resultOf, stopping } from "./agentCommand";
export { type AccessCommands, accessCommands, AwsGpuHost } from "./aws";
export { toRemoteConnection } from "./connection";
export { hostCommand, hostIdentity, type HostLocationArgs, resolveLocation } from "./hostCommand";
export { HostServices } from "./hostServices";
export { type HostLocation, type SshMachine, TritonHost } from "./tritonHost";
export { repairWords } from "./repairs";
