export { type Endpoints, TritonServer } from "./tritonServer";
