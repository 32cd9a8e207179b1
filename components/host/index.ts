export { sshConnection, type SshConnectionArgs, toRemoteConnection } from "./connection";
export { hostCommand, hostIdentity, type HostLocationArgs, scriptCommand } from "./hostCommand";
export { type HostLocation, type SshMachine, TritonHost, type TritonHostArgs } from "./tritonHost";
