export { type Endpoints, endpointsOf } from "./endpoints";
export { ownFlags } from "./startOptions";
export { TritonServer } from "./tritonServer";
