export { regionOf, SPOT_OPERATIONS, spotRole, startInstances, useThroughServices } from "./customerKey";
export { currentPartition } from "./partition";
export { policyDocument, type PolicyStatement } from "./policyStatement";
export { sdk } from "./sdk";
export { type Tags, tagsOf } from "./tags";
