import type * as ec2 from "@pulumi/aws/ec2";
import * as pulumi from "@pulumi/pulumi";

import { sdk } from "../../aws";

/** Where an endpoint for S3 is to be. */
export interface S3EndpointPlace {
  readonly vpcId: pulumi.Output<string>;
  /** The subnet whose traffic to S3 it takes. */
  readonly subnetId: pulumi.Output<string>;
  readonly region: pulumi.Output<string>;
}

/** An endpoint for S3 for a subnet that exists. */
export function s3Endpoint(
  name: string,
  { vpcId, subnetId, region }: S3EndpointPlace,
  tags: pulumi.Output<Record<string, string>>,
  opts: pulumi.CustomResourceOptions,
): ec2.VpcEndpoint {
  const invoke = { parent: opts.parent };
  const own = sdk.ec2.getRouteTablesOutput(
    { vpcId, filters: [{ name: "association.subnet-id", values: [subnetId] }] },
    invoke,
  ).ids;
  const main = sdk.ec2.getVpcOutput({ id: vpcId }, invoke).mainRouteTableId;
  // A subnet without its own route table uses the main one of its network.
  const routeTableIds = pulumi.all([own, main]).apply(([ids, id]) => (ids.length > 0 ? ids : [id]));
  return s3GatewayEndpoint(name, { vpcId, routeTableIds, region }, tags, opts);
}

/**
 * A gateway endpoint: the way from the subnets of route tables to the S3 of their region, which leaves AWS's network neither
 * for models nor for the layers of images on ECR. It costs nothing. What may be read is a matter of the instance's role.
 * https://docs.aws.amazon.com/vpc/latest/privatelink/vpc-endpoints-s3.html
 */
export function s3GatewayEndpoint(
  name: string,
  place: {
    readonly vpcId: pulumi.Output<string>;
    readonly routeTableIds: pulumi.Input<pulumi.Input<string>[]>;
    readonly region: pulumi.Output<string>;
  },
  tags: pulumi.Output<Record<string, string>>,
  opts: pulumi.CustomResourceOptions,
): ec2.VpcEndpoint {
  const { vpcId, routeTableIds, region } = place;
  return new sdk.ec2.VpcEndpoint(
    name,
    {
      vpcId,
      // Its name begins so in all parts of AWS.
      serviceName: pulumi.interpolate`com.amazonaws.${region}.s3`,
      vpcEndpointType: "Gateway",
      routeTableIds,
      tags,
    },
    opts,
  );
}
