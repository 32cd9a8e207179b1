export { EksCluster } from "./eksCluster";
export { EksGpuNodes } from "./gpuNodes";
