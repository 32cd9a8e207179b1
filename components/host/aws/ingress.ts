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

/**
 * What the security group of an instance lets in: SSH for administrators and inference for clients, and nothing else.
 *
 * @param balancer the group of a load balancer, through which alone clients come
 */
export function ingress(access: Access, balancer?: string): Rule[] {
  const { adminCidrs = [], clientPorts } = access;
  const ssh = rule("SSH", 22, adminCidrs);
  if (balancer === undefined) return [...ssh, ...balancedIngress(access)];
  return [
    ...ssh,
    ...clientPorts.map((port) => ({
      description: "inference, through the load balancer",
      protocol: "tcp",
      fromPort: port,
      toPort: port,
      securityGroups: [balancer],
    })),
  ];
}

/** What a load balancer lets in. */
export function balancedIngress({ clientCidrs, clientPorts }: Omit<Access, "adminCidrs">): Rule[] {
  return clientPorts.flatMap((port) => rule("inference", port, clientCidrs));
}

/** What a load balancer connects to: its targets, at their ports. */
export function balancedEgress(clientPorts: readonly number[]): Rule[] {
  return clientPorts.map((port) => ({
    description: "inference and its health",
    protocol: "tcp",
    fromPort: port,
    toPort: port,
    cidrBlocks: ["0.0.0.0/0"],
  }));
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
