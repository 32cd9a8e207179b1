// Generated from the rules in components/settings by `npm run generate`; do not edit.
export * from "./hostArgs";
export * from "./imageArgs";
export * from "./modelArgs";
export * from "./serverArgs";
export * from "./gatewayArgs";
export * from "./loadBalancerArgs";
export * from "./monitoringArgs";
export * from "./stackArgs";
export * from "./fleetArgs";
export * from "./eksArgs";
