export { sshConnection, type SshConnectionArgs } from "./connection";
export { hostCommand, type HostLocationArgs, scriptCommand } from "./hostCommand";
export { type HostLocation, type SshMachine, TritonHost, type TritonHostArgs } from "./tritonHost";
