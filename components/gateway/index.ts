export { Gateway, type GatewayAccess } from "./gateway";
