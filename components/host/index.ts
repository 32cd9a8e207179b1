export { sshConnection, type SshConnectionArgs } from "./connection";
export { hostCommand, type HostLocationArgs, scriptCommand } from "./hostCommand";
export { type HostLocation, TritonHost, type TritonHostArgs } from "./tritonHost";
