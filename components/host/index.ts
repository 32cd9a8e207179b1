export {
  agentCommand,
  agentDigest,
  agentRemoval,
  BUILDING,
  FOLLOWING,
  GUARDING,
  resultOf,
  stopping,
} from "./agentCommand";
export {
  type AccessCommands,
  accessCommands,
  AwsGpuHost,
  type InstanceNetwork,
  type LoadBalancerPlace,
  servicesOf,
} from "./aws";
export { DIAL_ATTEMPTS as ATTEMPTS_OVER_SSH, toRemoteConnection } from "./connection";
export { hostCommand, hostIdentity, type HostLocationArgs, resolveLocation } from "./hostCommand";
export { faultOf, runWithKey } from "./hostCheck";
export { HostError } from "./hostError";
export { shellQuote } from "./shellQuote";
export { HostServices } from "./hostServices";
export { type HostLocation, type SshMachine, TritonHost } from "./tritonHost";
export { keyOf, overSsh } from "./overSsh";
export { repairWords } from "./repairs";
