import type * as ec2 from "@pulumi/aws/ec2";
import * as pulumi from "@pulumi/pulumi";

import { sdk } from "../../aws";
import { LoadBalancerScheme } from "../../settings";
import { HostError } from "../hostError";
import { balancedEgress, balancedIngress } from "./ingress";
import type { OwnNetwork } from "./ownNetwork";

/** Where a load balancer is, before an instance. */
export interface LoadBalancerPlace {
  /** Id of its VPC, which is the instance's. */
  readonly vpcId: string;
  /** Ids of its subnets, one a zone. */
  readonly subnetIds: string[];
  /** Id of its security group, the only one that the instance lets in as clients. */
  readonly securityGroupId: string;
}

/** Who may reach a load balancer, and where. */
export interface Balanced {
  readonly clientCidrs: readonly string[];
  readonly clientPorts: readonly number[];
}

/**
 * The security group of a load balancer. It exists before the load balancer, because one that was made without a group never
 * gets one, and before the instance, whose group names it:
 * https://docs.aws.amazon.com/elasticloadbalancing/latest/network/load-balancer-security-groups.html
 */
export function balancerGroup(
  name: string,
  wanted: pulumi.Output<Balanced>,
  vpcId: pulumi.Output<string> | undefined,
  tags: pulumi.Output<Record<string, string>>,
  opts: pulumi.CustomResourceOptions,
): ec2.SecurityGroup {
  return new sdk.ec2.SecurityGroup(
    name,
    {
      description: "Clients of the load balancer",
      vpcId,
      ingress: wanted.apply(balancedIngress),
      egress: wanted.apply(({ clientPorts }) => balancedEgress(clientPorts)),
      tags,
    },
    opts,
  );
}

/** What decides in which subnets a load balancer is. */
export interface BalancerSite {
  readonly scheme: LoadBalancerScheme;
  /** Those that its settings name. */
  readonly subnetIds: readonly string[] | undefined;
  /** The instance's own, if its settings name it. */
  readonly subnet: pulumi.Output<Subnet> | undefined;
  readonly network: OwnNetwork | undefined;
  readonly vpcId: pulumi.Output<string>;
}

/** As the provider tells of a subnet. */
export interface Subnet {
  readonly id: string;
  readonly vpcId: string;
  readonly availabilityZone: string;
}

/**
 * The subnets of a load balancer. A target in a zone where the load balancer has none gets no traffic, so that it has one
 * wherever the instance can be.
 */
export function balancerSubnets(
  { scheme, subnetIds, subnet, network, vpcId }: BalancerSite,
  opts: pulumi.InvokeOptions,
): pulumi.Output<string[]> {
  if (network !== undefined) {
    return scheme === LoadBalancerScheme.InternetFacing
      ? network.publicSubnets
      : network.subnets.apply((byZone) => Object.values(byZone));
  }
  if (subnet !== undefined) {
    if (subnetIds === undefined) return subnet.apply(({ id }) => [id]);
    const given = subnetIds.map((id) => sdk.ec2.getSubnetOutput({ id }, opts));
    return pulumi.all([subnet, pulumi.all(given)]).apply(([own, all]) => fitting(own, all));
  }
  const filters = [
    { name: "vpc-id", values: [vpcId] },
    { name: "default-for-az", values: ["true"] },
  ];
  return sdk.ec2.getSubnetsOutput({ filters }, opts).ids.apply((ids) => [...ids].sort());
}

/** The ids of subnets that a load balancer can have before an instance in another one. */
export function fitting(own: Subnet, given: readonly Subnet[]): string[] {
  const fix =
    "correct host.loadBalancer.subnetIds: aws ec2 describe-subnets --query 'Subnets[].[SubnetId,VpcId,AvailabilityZone]' --output text";
  const elsewhere = given.find(({ vpcId }) => vpcId !== own.vpcId);
  if (elsewhere !== undefined) {
    throw new HostError(
      `${elsewhere.id} is in ${elsewhere.vpcId}, and the instance's ${own.id} in ${own.vpcId}`,
      fix,
    );
  }
  const twice = given.find(({ availabilityZone: zone }, index) =>
    given.slice(0, index).some((other) => other.availabilityZone === zone),
  );
  if (twice !== undefined) {
    throw new HostError(
      `${twice.id} is the second subnet in ${twice.availabilityZone}, and a load balancer has one a zone`,
      fix,
    );
  }
  if (!given.some(({ availabilityZone: zone }) => zone === own.availabilityZone)) {
    throw new HostError(
      `no subnet of the load balancer is in ${own.availabilityZone}, the zone of the instance's ${own.id}`,
      fix,
    );
  }
  return given.map(({ id }) => id);
}
