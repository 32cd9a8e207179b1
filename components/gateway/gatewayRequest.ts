import { createHash } from "node:crypto";

import type { Unwrap } from "@pulumi/pulumi";

import { type GatewayOptions, type GatewayTls, unixLines } from "../settings";

/** What a gateway does, with all that it reads from elsewhere. */
export interface GatewayRequest {
  readonly options: Unwrap<GatewayOptions>;
  readonly tls: GatewayTls;
  /** Further names and addresses of the host, for a certificate that it makes itself. */
  readonly names: readonly string[];
  /** The text of a file. */
  readonly read: (file: string) => string;
}

/** Standard input of the agent's command `gateway`: components/host/agent/README.md. */
export function renderGatewayRequest({ options, tls, names, read }: GatewayRequest): string {
  const {
    address,
    httpPort,
    grpcPort,
    metricsPort,
    metrics,
    limits,
    upstreamPorts,
    accessLog,
    uncheckedStreams,
  } = options;
  const textOf = (inline: string | undefined, file: string | undefined): string =>
    inline ?? (file === undefined ? "" : unixLines(read(file)));
  return JSON.stringify({
    address,
    httpPort,
    grpcPort,
    metricsPort: metrics ? metricsPort : null,
    upstream: upstreamPorts,
    tls:
      tls === "certificate"
        ? {
            mode: tls,
            certificate: textOf(options.certificate, options.certificateFile),
            key: textOf(options.key, options.keyFile),
          }
        : { mode: tls },
    names,
    clientCa: textOf(options.clientCa, options.clientCaFile),
    tokens: options.tokens.map(({ name, token, sha256, requestsPerSecond }) => ({
      name,
      sha256: sha256 ?? hashOf(token ?? ""),
      requestsPerSecond,
    })),
    limits,
    accessLog,
    uncheckedStreams,
  });
}

/** The host needs to recognize a token, not to know it. */
function hashOf(token: string): string {
  return createHash("sha256").update(token).digest("hex");
}
