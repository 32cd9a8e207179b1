import type * as ec2 from "@pulumi/aws/ec2";
import * as pulumi from "@pulumi/pulumi";

import { currentPartition, sdk } from "../../aws";
import { NetworkEgress } from "../../settings";
import { endpointService, SESSION_SERVICES } from "./endpointServices";
import { s3GatewayEndpoint } from "./s3Endpoint";
import { ipv6SubnetRange, subnetRange } from "./subnetRanges";

/*
 * A network for an instance that nothing on the internet reaches: a private subnet in each zone that the instance may be in,
 * without a route from outside, and one way out of two.
 *
 * - A NAT gateway for IPv4 and an egress-only gateway for IPv6. What they let in is the answer to what has gone out.
 * - Endpoints, which are network interfaces of AWS's services in the network. No route leads out of it at all.
 *
 * Either is in the first zone only. From another one, an instance reaches it over AWS's own network, at the price of the traffic
 * between two zones; to have it in each would cost as much again for each, of which the one instance uses one. S3's endpoint is
 * a route, belongs to no zone, and costs nothing.
 */

/** What a network is made of. */
export interface OwnNetworkArgs {
  /** Its range of IPv4. */
  readonly cidr: string;
  readonly egress: "natGateway" | "endpoints";
  /** The zones that have a subnet, the one with the way out first. */
  readonly zones: readonly [string, ...string[]];
  /** What is reached through endpoints, beside S3 and Session Manager. */
  readonly services: readonly string[];
  /** Whether each zone has a public subnet, for a load balancer on the internet; otherwise the first alone, for the way out. */
  readonly publicSubnets: boolean;
  readonly region: pulumi.Output<string>;
  readonly tags: pulumi.Output<Record<string, string>>;
}

/** A network, and what an instance needs of it. */
export interface OwnNetwork {
  readonly vpcId: pulumi.Output<string>;
  /** The table of the private subnets, for routes to other networks. */
  readonly routeTableId: pulumi.Output<string>;
  /** The private subnets by their zones. */
  readonly subnets: pulumi.Output<Record<string, string>>;
  /** The public subnets, if each zone has one. */
  readonly publicSubnets: pulumi.Output<string[]>;
  /** Without one of these, an instance would boot and find no way to its host key. */
  readonly ways: readonly pulumi.Resource[];
}

export function ownNetwork(
  name: string,
  args: OwnNetworkArgs,
  opts: pulumi.CustomResourceOptions,
): OwnNetwork {
  const { cidr, egress, zones, region, tags } = args;
  const vpc = new sdk.ec2.Vpc(
    `${name}-vpc`,
    {
      cidrBlock: cidr,
      assignGeneratedIpv6CidrBlock: true,
      // With both, an endpoint answers to the usual name of its service.
      enableDnsSupport: true,
      enableDnsHostnames: true,
      tags,
    },
    opts,
  );
  const vpcId = vpc.id;
  // AWS gives every network a group that lets its members in, and out to everywhere. Nobody is to be a member.
  new sdk.ec2.DefaultSecurityGroup(`${name}-default-access`, { vpcId, ingress: [], egress: [], tags }, opts);
  const { id: routeTableId } = new sdk.ec2.RouteTable(`${name}-private`, { vpcId, tags }, opts);
  const subnets = zones.map((zone) => {
    const subnet = new sdk.ec2.Subnet(
      `${name}-private-${zone}`,
      {
        vpcId,
        availabilityZone: zone,
        cidrBlock: subnetRange(cidr, zone, "private"),
        ipv6CidrBlock: vpc.ipv6CidrBlock.apply((range) => ipv6SubnetRange(range, zone)),
        assignIpv6AddressOnCreation: true,
        mapPublicIpOnLaunch: false,
        tags,
      },
      opts,
    );
    const routing = new sdk.ec2.RouteTableAssociation(
      `${name}-private-${zone}`,
      { subnetId: subnet.id, routeTableId },
      opts,
    );
    return { zone, subnet, routing };
  });
  const s3 = s3GatewayEndpoint(`${name}-s3`, { vpcId, routeTableIds: [routeTableId], region }, tags, opts);
  const [first] = subnets as [(typeof subnets)[number]];
  const { ways, publicSubnets } =
    egress === NetworkEgress.NatGateway
      ? internetRoutes(name, args, { vpcId, routeTableId }, opts)
      : {
          ways: interfaceEndpoints(name, args, { vpcId, subnetId: first.subnet.id }, opts),
          publicSubnets: [],
        };
  return {
    vpcId,
    routeTableId,
    subnets: pulumi
      .all(subnets.map(({ zone, subnet }) => subnet.id.apply((id) => [zone, id] as const)))
      .apply((pairs) => Object.fromEntries(pairs)),
    publicSubnets: pulumi.all(publicSubnets),
    ways: [...subnets.map(({ routing }) => routing), s3, ...ways],
  };
}

/** Routes out to the internet, by way of a public subnet for IPv4. */
function internetRoutes(
  name: string,
  { cidr, zones, publicSubnets, tags }: OwnNetworkArgs,
  {
    vpcId,
    routeTableId,
  }: { readonly vpcId: pulumi.Output<string>; readonly routeTableId: pulumi.Output<string> },
  opts: pulumi.CustomResourceOptions,
): { readonly ways: pulumi.Resource[]; readonly publicSubnets: pulumi.Output<string>[] } {
  const internet = new sdk.ec2.InternetGateway(`${name}-internet`, { vpcId, tags }, opts);
  const table = new sdk.ec2.RouteTable(`${name}-public`, { vpcId, tags }, opts);
  const route = new sdk.ec2.Route(
    `${name}-public`,
    { routeTableId: table.id, destinationCidrBlock: "0.0.0.0/0", gatewayId: internet.id },
    opts,
  );
  const made = (publicSubnets ? zones : zones.slice(0, 1)).map((zone) => {
    const subnet = new sdk.ec2.Subnet(
      `${name}-public-${zone}`,
      {
        vpcId,
        availabilityZone: zone,
        cidrBlock: subnetRange(cidr, zone, "public"),
        mapPublicIpOnLaunch: false,
        tags,
      },
      opts,
    );
    const routing = new sdk.ec2.RouteTableAssociation(
      `${name}-public-${zone}`,
      { subnetId: subnet.id, routeTableId: table.id },
      opts,
    );
    return { subnet, routing };
  });
  const [{ subnet, routing }] = made as [(typeof made)[number]];
  const address = new sdk.ec2.Eip(
    `${name}-nat-address`,
    { domain: "vpc", tags },
    { ...opts, dependsOn: internet },
  );
  const nat = new sdk.ec2.NatGateway(
    `${name}-nat`,
    { allocationId: address.id, subnetId: subnet.id, tags },
    // An address belongs to one gateway at a time.
    { ...opts, deleteBeforeReplace: true, dependsOn: [internet, route, routing] },
  );
  const egressOnly = new sdk.ec2.EgressOnlyInternetGateway(`${name}-egress`, { vpcId, tags }, opts);
  const ways = [
    new sdk.ec2.Route(
      `${name}-out`,
      { routeTableId, destinationCidrBlock: "0.0.0.0/0", natGatewayId: nat.id },
      opts,
    ),
    new sdk.ec2.Route(
      `${name}-out-ipv6`,
      { routeTableId, destinationIpv6CidrBlock: "::/0", egressOnlyGatewayId: egressOnly.id },
      opts,
    ),
  ];
  // Who is in a subnet without its route would be on the internet for nobody.
  const routed = made.map((each) =>
    pulumi.all([each.subnet.id, each.routing.id, route.id]).apply(([id]) => id),
  );
  return { ways, publicSubnets: publicSubnets ? routed : [] };
}

/** AWS's services in the network, which answer there to their usual names. */
function interfaceEndpoints(
  name: string,
  { cidr, services, region, tags }: OwnNetworkArgs,
  { vpcId, subnetId }: { readonly vpcId: pulumi.Output<string>; readonly subnetId: pulumi.Output<string> },
  opts: pulumi.CustomResourceOptions,
): ec2.VpcEndpoint[] {
  const access = new sdk.ec2.SecurityGroup(
    `${name}-endpoints`,
    {
      description: "Services of AWS for the network",
      vpcId,
      ingress: [{ description: "HTTPS", protocol: "tcp", fromPort: 443, toPort: 443, cidrBlocks: [cidr] }],
      egress: [],
      tags,
    },
    opts,
  );
  const partition = currentPartition({ parent: opts.parent });
  return [...new Set([...SESSION_SERVICES, ...services])].map(
    (service) =>
      new sdk.ec2.VpcEndpoint(
        `${name}-${service}`,
        {
          vpcId,
          serviceName: pulumi
            .all([region, partition])
            .apply(([where, part]) => endpointService(service, where, part)),
          vpcEndpointType: "Interface",
          privateDnsEnabled: true,
          subnetIds: [subnetId],
          securityGroupIds: [access.id],
          tags,
        },
        opts,
      ),
  );
}
