import type { types } from "@pulumi/aws";

import { isIpv6 } from "../../settings";

type Rule = types.input.ec2.SecurityGroupIngress;

/** Who may reach an instance. */
export interface Access {
  /** Ranges that may connect over SSH; undefined for none. */
  readonly adminCidrs?: readonly string[] | undefined;
  /** Ranges that may reach `clientPorts`. */
  readonly clientCidrs: readonly string[];
  /** TCP ports for inference. */
  readonly clientPorts: readonly number[];
}

/** What a security group lets in: SSH for administrators and inference for clients, and nothing else. */
export function ingress({ adminCidrs = [], clientCidrs, clientPorts }: Access): Rule[] {
  return [
    ...rule("SSH", 22, adminCidrs),
    ...clientPorts.flatMap((port) => rule("inference", port, clientCidrs)),
  ];
}

function rule(description: string, port: number, ranges: readonly string[]): Rule[] {
  if (ranges.length === 0) return [];
  return [
    {
      description,
      protocol: "tcp",
      fromPort: port,
      toPort: port,
      cidrBlocks: ranges.filter((range) => !isIpv6(range)),
      ipv6CidrBlocks: ranges.filter(isIpv6),
    },
  ];
}
