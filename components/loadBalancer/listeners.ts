import { LONGEST_DELAY } from "../settings";

/*
 * What a network load balancer does with the ports of a gateway, in the terms of the provider.
 *
 * Why a network load balancer, and not an application load balancer: docs/reference/aws.md#the-load-balancer.
 */

/** AWS takes names of at most 32 letters, digits and hyphens; Pulumi adds eight to a resource's. */
const FITTING_NAME = /^[a-z0-9][a-z0-9-]{0,23}$/i;

/** What a resource is called in AWS: by Pulumi, after its own name, or else by the provider. Its tags say whose it is. */
export function nameOf(resource: string): { namePrefix?: string } {
  return FITTING_NAME.test(resource) ? {} : { namePrefix: "triton" };
}

/** A port of a gateway. */
export interface GatewayPort {
  /** Ends the names of its resources. */
  readonly name: "http" | "grpc" | "metrics";
  readonly port: number;
}

/**
 * What clients and the load balancer agree on by TLS: each port of the gateway speaks one version of HTTP, whatever is
 * offered, and clients of gRPC require that it is negotiated.
 * https://docs.aws.amazon.com/elasticloadbalancing/latest/network/create-listener.html
 */
export const ALPN: Readonly<Record<GatewayPort["name"], string>> = {
  http: "HTTP1Only",
  grpc: "HTTP2Only",
  metrics: "HTTP1Only",
};

/** TLS 1.2 and 1.3: https://docs.aws.amazon.com/elasticloadbalancing/latest/network/describe-ssl-policies.html */
export const SSL_POLICY = "ELBSecurityPolicy-TLS13-1-2-2021-06";

/** Seconds between two checks; twice the same makes a target healthy or unhealthy. */
const CHECK_SECONDS = 10;
const CHECKS = 2;

/** How a target is checked: whether the gateway's server is ready, which no token is needed for, whatever the port is for. */
export function healthCheck(httpPort: number, tls: boolean) {
  return {
    // AWS does not look at the certificate.
    protocol: tls ? "HTTPS" : "HTTP",
    port: String(httpPort),
    path: "/v2/health/ready",
    matcher: "200",
    interval: CHECK_SECONDS,
    timeout: 6,
    healthyThreshold: CHECKS,
    unhealthyThreshold: CHECKS,
  };
}

/** What a target group is told beside its ports. */
export function draining(drainSeconds: number) {
  const deregistrationDelay = Math.min(drainSeconds, LONGEST_DELAY);
  return {
    // The instance behind the connections that are left is about to be terminated, and would leave their clients waiting.
    connectionTermination: true,
    deregistrationDelay,
    // A server that is told to stop is not ready, but still answers what it has begun.
    targetHealthStates: [
      { enableUnhealthyConnectionTermination: false, unhealthyDrainingInterval: deregistrationDelay },
    ],
  };
}
