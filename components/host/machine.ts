import * as pulumi from "@pulumi/pulumi";

import type { PolicyStatementArgs } from "../aws";
import type { Settings } from "../settings";
import { type AccessCommands, accessCommands, AwsGpuHost, PublicIp } from "./aws";
import type { SshConnectionArgs } from "./connection";

/** The machine of a stack, before anything is put on it. */
export interface Machine {
  /** How to reach it; undefined for this machine. */
  readonly ssh: pulumi.Input<SshConnectionArgs> | undefined;
  /** What was made for it on AWS. */
  readonly aws: AwsGpuHost | undefined;
  /** How a person gets to what was made on AWS. */
  readonly access: pulumi.Output<MachineAccess> | undefined;
  /** The private key that `ssh` uses, where the stack has made it; a secret. */
  readonly privateKey: pulumi.Output<string> | undefined;
}

/** A machine on AWS for a person: what it is, and commands to copy. */
export interface MachineAccess extends AccessCommands {
  readonly instanceId: string;
  readonly region: string;
  readonly amiId: string;
  readonly roleName: string;
  readonly address: string;
}

const notOnAws = { aws: undefined, access: undefined, privateKey: undefined };

const PUBLIC_IPS = { elastic: PublicIp.Elastic, dynamic: PublicIp.Dynamic, none: PublicIp.None } as const;

/**
 * The machine of the stack config; one on AWS is made.
 *
 * @param repositoryArn the repository on ECR that it pulls from
 * @param policyStatements what else its role may do
 */
export function hostMachine(
  name: string,
  { host, server }: Pick<Settings, "host" | "server">,
  repositoryArn?: pulumi.Input<string>,
  policyStatements: PolicyStatementArgs[] = [],
): Machine {
  switch (host.kind) {
    case "local":
      return { ssh: undefined, ...notOnAws };
    case "ssh": {
      const { address, port, user, privateKey, hostKey } = host;
      return { ssh: { address, port, user, privateKey, hostKey }, ...notOnAws };
    }
    case "aws": {
      const aws = new AwsGpuHost(name, {
        instanceType: host.instanceType,
        adminCidrs: [...host.adminCidrs],
        allowPublicSsh: host.allowPublicSsh,
        clientCidrs: [...host.clientCidrs],
        clientPorts: [server.httpPort, server.grpcPort],
        spot: host.spot,
        protect: host.protect,
        publicIp: PUBLIC_IPS[host.publicIp],
        volume: host.volume,
        subnetId: host.subnetId,
        createS3Endpoint: host.createS3Endpoint,
        zone: host.zone,
        ami: host.ami,
        user: host.user,
        tags: host.tags,
        repositoryArn,
        policyStatements,
      });
      return { ssh: aws.ssh, aws, access: accessTo(aws, host.user, server), privateKey: aws.privateKey };
    }
    default:
      return host satisfies never;
  }
}

function accessTo(
  { instanceId, region, amiId, roleName, address, hostKey }: AwsGpuHost,
  user: string,
  { httpPort, grpcPort, metricsPort }: Settings["server"],
): pulumi.Output<MachineAccess> {
  const ports = [httpPort, grpcPort, metricsPort];
  return pulumi
    .output({ instanceId, region, amiId, roleName, address, hostKey })
    .apply(({ hostKey: key, ...known }) => ({
      ...known,
      ...accessCommands({ ...known, user, hostKey: key, ports }),
    }));
}
