// Generated from the rules in components/settings by `npm run generate`; do not edit.
import type * as pulumi from "@pulumi/pulumi";

import type { LoadBalancerScheme } from "./hostArgs";

/** A network load balancer before the gateway of an instance. */
export interface AwsLoadBalancerArgs {
  /**
   * VPC of the load balancer and its instance.
   * @example "vpc-0123456789abcdef0"
   */
  vpcId: pulumi.Input<string>;
  /**
   * Subnets of the load balancer, one a zone.
   * @example ["subnet-0123456789abcdef0"]
   */
  subnetIds: pulumi.Input<pulumi.Input<string>[]>;
  /**
   * Security group of the load balancer, which says who may reach it.
   * @example "sg-0123456789abcdef0"
   */
  securityGroupId: pulumi.Input<string>;
  /**
   * Region of the instance.
   * @example "us-east-1"
   */
  region: pulumi.Input<string>;
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
   * Whether clients can read the metrics, at the metrics port.
   * @default false
   */
  metrics?: boolean;
  /**
   * Whether the gateway has TLS, so that the load balancer speaks it as well. Which certificate the
   * gateway has is not looked at.
   * @default true
   */
  tls?: pulumi.Input<boolean>;
  /**
   * How long requests in flight have to finish on an instance that is replaced. An integer from 0 to
   * 3600 (seconds).
   * @default 30
   */
  drainSeconds?: pulumi.Input<number>;
  /**
   * Whether AWS and Pulumi refuse to delete the load balancer.
   * @default false
   */
  protect?: boolean;
  /**
   * Tags for everything that is created on AWS.
   * @default {}
   * @example { team: "inference" }
   */
  tags?: pulumi.Input<Record<string, pulumi.Input<string>>>;
  /**
   * Who can reach it, of those in `clientCidrs`. A change replaces the load balancer. Cost:
   * `internetFacing`: $0.005 an hour for the public address in each zone.
   * @default "internal"
   */
  scheme?: LoadBalancerScheme;
  /**
   * Name by which clients reach it, which its certificate must have.
   * @example "triton.example.com"
   */
  domainName: pulumi.Input<string>;
  /**
   * Hosted zone of Route 53 in which the stack makes a record of `domainName`, and without
   * `certificateArn` the record that proves to AWS that the name is yours. For the latter, it must be
   * a public zone.
   * @default you make the record: a CNAME to the output `aws.loadBalancer.dnsName`
   * @example "Z0123456789ABCDEFGHIJ"
   */
  hostedZoneId?: pulumi.Input<string>;
  /**
   * Certificate for `domainName`. One from Amazon is renewed by AWS, one that you have imported by
   * you. Cost: certificates for load balancers are free.
   * @default the stack makes one, which takes `hostedZoneId`
   * @example "arn:aws:acm:us-east-1:111122223333:certificate/01234567-89ab-cdef-0123-456789abcdef"
   */
  certificateArn?: pulumi.Input<string>;
  /**
   * The instance behind it, whose gateway serves.
   * @example "i-0123456789abcdef0"
   */
  instanceId: pulumi.Input<string>;
}
