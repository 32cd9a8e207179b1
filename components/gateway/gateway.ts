import * as fs from "node:fs";

import * as pulumi from "@pulumi/pulumi";

import { agentCommand, agentDigest, hostCommand, resolveLocation, resultOf, stopping } from "../host";
import { type Endpoints, endpointsOf } from "../server";
import {
  ComponentInputs,
  type GatewayArgs,
  gatewayInputs,
  gatewayOptions,
  gatewayPlace,
  GatewayTls,
} from "../settings";
import { renderGatewayRequest } from "./gatewayRequest";

/** What a client needs beside the address. */
export interface GatewayAccess {
  /** What protects the connection. */
  tls: GatewayTls;
  /** Names of the tokens, one of which each request needs; with none, no request needs one. */
  tokens: string[];
  /** Whether a client needs a certificate. */
  clientCertificates: boolean;
  /** The certificate that the host has made, for clients to trust; empty if it has not. */
  certificate: string;
}

/** What the agent answers. */
interface Answer {
  readonly certificate?: string;
}

/**
 * What clients reach a `TritonServer` through: HAProxy on the same host. It lets inference, health and metadata through,
 * and nothing that changes what the server runs; it has TLS, tokens and limits. A change does not touch the server, and
 * drops no connection.
 *
 * @example
 * ```ts
 * const server = new TritonServer("server", {
 *   directory: host.directory, models: repository.models, gateway: true,
 *   httpPort: 18000, grpcPort: 18001, metricsPort: 18002,
 * });
 * new Gateway("gateway", {
 *   directory: host.directory, address: "0.0.0.0", tls: "selfSigned",
 *   tokens: [{ name: "batch", token: config.requireSecret("batchToken") }],
 * }, { dependsOn: server });
 * ```
 */
export class Gateway extends pulumi.ComponentResource {
  /** Where clients reach the server. */
  public readonly endpoints: pulumi.Output<Endpoints>;
  /** What a client needs beside the address. */
  public readonly access: pulumi.Output<GatewayAccess>;

  public constructor(name: string, args: GatewayArgs, opts?: pulumi.ComponentResourceOptions) {
    const inputs = new ComponentInputs("Gateway", name, gatewayInputs, args);
    const { certificate, certificateFile, keyFile, clientCa, clientCaFile, tokens } = inputs.known;
    const usual = (certificate ?? certificateFile) === undefined ? GatewayTls.Off : GatewayTls.Certificate;
    const place = inputs
      .resolvePart(gatewayPlace)
      .apply(({ tls = usual, ...others }) => ({ tls, ...others }));
    // What whoever checks a stack needs to see of it.
    super(
      "xsched-triton:index:Gateway",
      name,
      { address: place.address, tls: place.tls, metrics: place.metrics },
      opts,
    );
    const location = resolveLocation(inputs, inputs.known);
    const address = pulumi.unsecret(pulumi.output(location.ssh).apply((ssh) => ssh?.address));
    const stdin = pulumi
      .all([inputs.resolvePart(gatewayOptions), place, address])
      .apply(([options, { tls }, machine]) =>
        renderGatewayRequest({
          options,
          tls,
          names: machine === undefined ? [] : [machine],
          read: (file) => fs.readFileSync(file, "utf8"),
        }),
      );
    const command = hostCommand(
      `${name}-gateway`,
      {
        ...location,
        part: "gateway",
        run: agentCommand(location, "gateway", agentDigest()),
        remove: stopping(location, "remove-gateway"),
        // A key from a file is as secret as one from the stack config.
        stdin: keyFile === undefined ? stdin : pulumi.secret(stdin),
      },
      { parent: this },
    );
    // Public, whatever the command was told.
    const answer = pulumi.unsecret(command.stdout).apply((text) => resultOf(text) as Answer);
    this.endpoints = pulumi.all([place, address, answer]).apply(([known, machine]) => {
      const endpoints = endpointsOf(known, known.tls !== "off", machine);
      return known.metrics ? endpoints : { ...endpoints, metrics: "" };
    });
    const names = pulumi.output(tokens).apply((known) => known.map((token) => token.name));
    this.access = pulumi
      .all([place, pulumi.unsecret(names), answer])
      .apply(([{ tls }, tokenNames, { certificate: made = "" }]) => ({
        tls,
        tokens: tokenNames,
        clientCertificates: (clientCa ?? clientCaFile) !== undefined,
        certificate: made,
      }));
    this.registerOutputs({ endpoints: this.endpoints, access: this.access });
  }
}
