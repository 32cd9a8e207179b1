// Imported as `xsched-triton/fleet`: nobody else's program loads the SDK of Kubernetes.
export type { EksClusterArgs, EksGpuNodesArgs, TritonFleetArgs } from "../settings";
export { EksCluster, EksGpuNodes } from "./eks";
export { type FleetServing, TritonFleet } from "./tritonFleet";
