export { type Endpoints, endpointsOf } from "./endpoints";
export { TritonServer } from "./tritonServer";
