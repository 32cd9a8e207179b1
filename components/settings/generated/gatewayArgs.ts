// Generated from the rules in components/settings by `npm run generate`; do not edit.
import type * as pulumi from "@pulumi/pulumi";

import type { SshConnectionArgs } from "./hostArgs";

/** What protects what clients and the gateway say to each other. */
export const GatewayTls = {
  /** Nothing: whoever is on the way between them reads requests, answers and tokens. */
  Off: "off",
  /** TLS with a certificate that the host makes; clients must be given it. */
  SelfSigned: "selfSigned",
  /** TLS with a certificate of your own. */
  Certificate: "certificate",
} as const;
export type GatewayTls = (typeof GatewayTls)[keyof typeof GatewayTls];

/** A token that clients prove themselves with. */
export interface ClientTokenArgs {
  /**
   * Name of the client or team, for the access log.
   * @example "nightly"
   */
  name: pulumi.Input<string>;
  /**
   * The token, which clients send as `authorization: Bearer TOKEN`, over gRPC as metadata. A secret;
   * the host gets its SHA-256 hash only.
   * @default given by `sha256`
   */
  token?: pulumi.Input<string>;
  /**
   * SHA-256 hash of a random token that the stack need not know.
   * @default made from `token`
   * @example "2c26b46b68ffc68ff99b453c1d30413413422d706483bfa0f98a5e886266e7ae"
   */
  sha256?: pulumi.Input<string>;
  /**
   * How many requests a second its clients may send together; more are refused with 429. 0: any
   * number. An integer from 0 to 1000000.
   * @default 0
   * @example 100
   */
  requestsPerSecond?: pulumi.Input<number>;
}

/** What the gateway refuses of clients, before it reaches Triton. */
export interface GatewayLimitsArgs {
  /**
   * Size of a request's body. An integer from 1 to 4096 (MiB).
   * @default 64
   */
  bodyMegabytes?: pulumi.Input<number>;
  /**
   * Size of the JSON in a request's body. Tensors can follow it in binary form. An integer from 1 to
   * 16384 (KiB).
   * @default 1024
   */
  jsonKilobytes?: pulumi.Input<number>;
  /**
   * Size of a request's headers. An integer from 1 to 64 (KiB).
   * @default 16
   */
  headerKilobytes?: pulumi.Input<number>;
  /**
   * Connections of all clients together. An integer from 1 to 100000.
   * @default 1000
   */
  connections?: pulumi.Input<number>;
  /**
   * How long a request may take to be answered. An integer from 1 to 86400 (seconds).
   * @default 300
   */
  requestSeconds?: pulumi.Input<number>;
}

/** Triton's own ports on 127.0.0.1 of the host, behind the gateway. */
export interface UpstreamPortsArgs {
  /**
   * TCP port of the HTTP API. An integer from 1 to 65535.
   * @default 18000
   */
  http?: pulumi.Input<number>;
  /**
   * TCP port of the gRPC API. An integer from 1 to 65535.
   * @default 18001
   */
  grpc?: pulumi.Input<number>;
  /**
   * TCP port of the metrics. An integer from 1 to 65535.
   * @default 18002
   */
  metrics?: pulumi.Input<number>;
}

/** What clients reach a server through. */
export interface GatewayArgs {
  /**
   * Absolute path of the host's folder: `directory` of a `TritonHost`.
   * @example "/srv/triton"
   */
  directory: pulumi.Input<string>;
  /**
   * The host, when it is not this machine.
   * @default this machine
   */
  ssh?: pulumi.Input<SshConnectionArgs>;
  /**
   * Whether `ssh` has a `proxyCommand`. Where that can change, as on an `AwsGpuHost`, it says so
   * either way, and what is on the host is kept.
   * @default it has none, and never will
   */
  proxied?: boolean;
  /**
   * What has changed on the host and has to be put right: `repairs` of a `TritonHost`.
   * @default what has changed on the host stays
   * @example "{}"
   */
  repairs?: pulumi.Input<string>;
  /**
   * Address of the host on which the gateway listens; `0.0.0.0` and `::` stand for all of them.
   * @example "0.0.0.0"
   */
  address: pulumi.Input<string>;
  /**
   * TCP port for inference over HTTP. An integer from 1 to 65535.
   * @default 8000
   */
  httpPort?: pulumi.Input<number>;
  /**
   * TCP port for inference over gRPC. An integer from 1 to 65535.
   * @default 8001
   */
  grpcPort?: pulumi.Input<number>;
  /**
   * TCP port for metrics in Prometheus format. An integer from 1 to 65535.
   * @default 8002
   */
  metricsPort?: pulumi.Input<number>;
  /**
   * Whether clients can read the metrics, at the metrics port. They tell the names of all models and
   * how busy they are.
   * @default false
   */
  metrics?: boolean;
  /**
   * What protects the connections of clients.
   * @default `certificate` where one is given, otherwise `off` on a loopback address; required on any
   * other
   */
  tls?: pulumi.Input<GatewayTls>;
  /**
   * File on the machine that deploys with the gateway's certificate and those that lead from it to its
   * authority. Needs `keyFile`.
   * @default `certificate`, or none
   * @example "tls/chain.pem"
   */
  certificateFile?: pulumi.Input<string>;
  /**
   * File on the machine that deploys with the private key of `certificateFile`. Its content is kept in
   * the stack's state, encrypted.
   * @default `key`, or none
   * @example "tls/key.pem"
   */
  keyFile?: pulumi.Input<string>;
  /**
   * As `certificateFile`, the text itself.
   * @default `certificateFile`, or none
   * @example "-----BEGIN CERTIFICATE-----…"
   */
  certificate?: pulumi.Input<string>;
  /**
   * Private key of `certificate`. A secret.
   * @default `keyFile`, or none
   */
  key?: pulumi.Input<string>;
  /**
   * File on the machine that deploys with the certificates of authorities. Only clients with a
   * certificate of theirs are let in. Needs TLS.
   * @default clients need no certificate
   * @example "tls/clients.pem"
   */
  clientCaFile?: pulumi.Input<string>;
  /**
   * As `clientCaFile`, the text itself.
   * @default clients need no certificate
   * @example "-----BEGIN CERTIFICATE-----…"
   */
  clientCa?: pulumi.Input<string>;
  /**
   * Tokens of which each request needs one, except for those to the health of the server. With none,
   * whoever reaches the ports can use the models.
   * @default []
   */
  tokens?: pulumi.Input<ClientTokenArgs[]>;
  /**
   * What the gateway refuses of clients, before it reaches Triton.
   * @default {}
   */
  limits?: pulumi.Input<GatewayLimitsArgs>;
  /**
   * Triton's own ports on 127.0.0.1 of the host, behind the gateway.
   * @default {}
   */
  upstreamPorts?: UpstreamPortsArgs;
  /**
   * Whether streams over gRPC pass where the host's HAProxy is older than 2.5, such as that of Ubuntu
   * 22.04, and cannot look into their messages: one message with a wrong shape can then end a model.
   * Newer ones look into each message, whatever this says.
   * @default false
   */
  uncheckedStreams?: pulumi.Input<boolean>;
  /**
   * Whether each request is logged on the host: who, when, what was asked, how it ended; never its
   * content.
   * @default true
   */
  accessLog?: pulumi.Input<boolean>;
}
