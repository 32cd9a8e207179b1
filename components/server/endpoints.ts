/** Where a server answers. */
export interface Endpoints {
  /** URL of the HTTP API. */
  http: string;
  /** `host:port` of the gRPC API. */
  grpc: string;
  /** URL of the Prometheus metrics; empty if they cannot be had there. */
  metrics: string;
}

/** Ports, and the address that they are opened on. */
export interface Listener {
  readonly address: string;
  readonly httpPort: number;
  readonly grpcPort: number;
  readonly metricsPort: number;
}

/**
 * How a client reaches what listens on an address.
 *
 * @param tls whether it speaks TLS
 * @param everywhere the host's name or address, for what listens on all of its addresses
 */
export function endpointsOf(
  { address, httpPort, grpcPort, metricsPort }: Listener,
  tls = false,
  everywhere = "127.0.0.1",
): Endpoints {
  const scheme = tls ? "https" : "http";
  const host = bracketed(address === "0.0.0.0" || address === "::" ? everywhere : address);
  return {
    http: `${scheme}://${host}:${httpPort}`,
    grpc: `${host}:${grpcPort}`,
    metrics: `${scheme}://${host}:${metricsPort}/metrics`,
  };
}

/** An IPv6 address stands in brackets before a port. */
function bracketed(host: string): string {
  return host.includes(":") ? `[${host}]` : host;
}
