// Imported as `xsched-triton/fleet`: nobody else's program loads the SDK of Kubernetes.
export type { TritonFleetArgs } from "../settings";
export { type FleetServing, TritonFleet } from "./tritonFleet";
