export { plainTritonGateways } from "./gateways";
export { publicIngress } from "./ingress";
export { plainGateways, plainListeners } from "./listeners";
