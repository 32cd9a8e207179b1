import * as fs from "node:fs";
import * as path from "node:path";

import * as command from "@pulumi/command";
import * as pulumi from "@pulumi/pulumi";

import { sdk, tagsOf } from "../aws";
import { type Endpoints, endpointsOf } from "../server";
import {
  type AwsLoadBalancerArgs,
  awsLoadBalancerInputs,
  balancedGateway,
  balancedInstance,
  ComponentInputs,
  LoadBalancerScheme,
} from "../settings";
import { ALPN, draining, type GatewayPort, healthCheck, nameOf, SSL_POLICY } from "./listeners";

const AWAIT_TARGETS = fs.readFileSync(path.join(__dirname, "await-targets.cjs"), "utf8");

/** What AWS calls a load balancer. */
export interface LoadBalancerNames {
  /** Name by which clients reach it, in the settings. */
  domainName: string;
  /** AWS's own name of it, for a DNS record that you make. */
  dnsName: string;
  /** Hosted zone of that name, for an alias that you make. */
  zoneId: string;
}

/** What its metrics are called by: https://docs.aws.amazon.com/elasticloadbalancing/latest/network/load-balancer-cloudwatch-metrics.html */
export interface LoadBalancerMetrics {
  /** Dimension `LoadBalancer`: `net/…`. */
  loadBalancer: string;
  /** Dimension `TargetGroup` of the HTTP API: `targetgroup/…`. */
  targetGroup: string;
}

/**
 * A network load balancer with TLS before the `Gateway` of an `AwsGpuHost` that has `loadBalancer`. It passes both ports on as
 * they are, asks the gateway whether its server is ready, and lets go of an instance that is replaced only when the new one
 * is healthy, and then waits for requests in flight.
 *
 * @example
 * ```ts
 * const place = machine.loadBalancer;
 * new AwsLoadBalancer("front", {
 *   vpcId: place.vpcId, subnetIds: place.subnetIds, securityGroupId: place.securityGroupId,
 *   instanceId: machine.instanceId, region: machine.region,
 *   domainName: "triton.example.com", hostedZoneId: "Z0123456789ABCDEFGHIJ",
 * }, { dependsOn: gateway });
 * ```
 */
export class AwsLoadBalancer extends pulumi.ComponentResource {
  /** Where clients reach the server. */
  public readonly endpoints: pulumi.Output<Endpoints>;
  /** What it is called. */
  public readonly names: pulumi.Output<LoadBalancerNames>;
  /** What its metrics are called by. */
  public readonly metrics: pulumi.Output<LoadBalancerMetrics>;

  /** @param opts `dependsOn` the gateway: the instance is a target from when that serves */
  public constructor(name: string, args: AwsLoadBalancerArgs, opts?: pulumi.ComponentResourceOptions) {
    const inputs = new ComponentInputs("AwsLoadBalancer", name, awsLoadBalancerInputs, args);
    super("xsched-triton:index:AwsLoadBalancer", name, {}, opts);
    const { scheme, protect, metrics } = inputs.known;
    const wanted = inputs.resolvePart(balancedGateway);
    // By itself: while it is unknown, as in the preview of a replacement, the load balancer stays known.
    const instanceId = inputs.resolve(balancedInstance, inputs.known.instanceId, "instanceId");
    const child = { parent: this };
    const tags = tagsOf(name, wanted.tags);

    const balancer = new sdk.lb.LoadBalancer(
      `${name}-nlb`,
      {
        ...nameOf(`${name}-nlb`),
        loadBalancerType: "network",
        internal: scheme === LoadBalancerScheme.Internal,
        ipAddressType: "ipv4",
        subnets: wanted.subnetIds.apply((ids) => [...ids]),
        // Only at its creation: one without a group never gets one.
        securityGroups: [wanted.securityGroupId],
        // The instance is in one zone, and clients come by the addresses of all.
        enableCrossZoneLoadBalancing: true,
        enableDeletionProtection: protect,
        tags,
      },
      { ...child, protect },
    );
    const zoneId =
      args.hostedZoneId === undefined ? undefined : (wanted.hostedZoneId as pulumi.Output<string>);
    const certificateArn =
      args.certificateArn === undefined
        ? this.certificate(name, wanted.domainName, zoneId, tags)
        : (wanted.certificateArn as pulumi.Output<string>);
    if (zoneId !== undefined) {
      new sdk.route53.Record(
        `${name}-alias`,
        {
          zoneId,
          name: wanted.domainName,
          type: "A",
          aliases: [{ name: balancer.dnsName, zoneId: balancer.zoneId, evaluateTargetHealth: false }],
        },
        child,
      );
    }

    const ports: readonly (readonly [GatewayPort["name"], pulumi.Output<number>])[] = [
      ["http", wanted.httpPort],
      ["grpc", wanted.grpcPort],
      ...(metrics ? [["metrics", wanted.metricsPort] as const] : []),
    ];
    const drain = wanted.drainSeconds.apply(draining);
    const listeners = ports.map(([what, port]) => {
      const group = new sdk.lb.TargetGroup(
        `${name}-${what}`,
        {
          ...nameOf(`${name}-${what}`),
          vpcId: wanted.vpcId,
          targetType: "instance",
          protocol: wanted.tls.apply((tls) => (tls ? "TLS" : "TCP")),
          port,
          healthCheck: pulumi
            .all([wanted.httpPort, wanted.tls])
            .apply(([http, tls]) => healthCheck(http, tls)),
          connectionTermination: drain.connectionTermination,
          deregistrationDelay: drain.deregistrationDelay,
          targetHealthStates: drain.targetHealthStates,
          tags,
        },
        child,
      );
      const listener = new sdk.lb.Listener(
        `${name}-${what}`,
        {
          loadBalancerArn: balancer.arn,
          protocol: "TLS",
          port,
          certificateArn,
          sslPolicy: SSL_POLICY,
          alpnPolicy: ALPN[what],
          defaultActions: [{ type: "forward", targetGroupArn: group.arn }],
          tags,
        },
        child,
      );
      return { what, port, group, listener };
    });

    const waits = {
      environment: {
        GROUPS: pulumi.all(listeners.map(({ group }) => group.arn)).apply((arns) => JSON.stringify(arns)),
        INSTANCE: instanceId,
        DELAY_SECONDS: drain.deregistrationDelay.apply(String),
        AWS_REGION: wanted.region,
        ...(sdk.config.profile !== undefined && { AWS_PROFILE: sdk.config.profile }),
      },
      // Not among the words, which an error repeats.
      stdin: AWAIT_TARGETS,
      triggers: [instanceId],
      addPreviousOutputInEnv: false,
      logging: command.local.Logging.Stderr,
    };
    // What depends on something is deleted before it: a target that is given up is first deregistered, then drained here,
    // and then its instance terminated.
    const drained = new command.local.Command(
      `${name}-drained`,
      { ...waits, create: "true", update: "true", delete: "node - drained" },
      child,
    );
    const targets = listeners.map(
      ({ what, port, group, listener }) =>
        new sdk.lb.TargetGroupAttachment(
          `${name}-${what}`,
          { targetGroupArn: group.arn, targetId: instanceId, port },
          { ...child, dependsOn: [drained, listener] },
        ),
    );
    // Nothing is deleted before all that is new is there.
    new command.local.Command(
      `${name}-healthy`,
      { ...waits, create: "node - healthy" },
      { ...child, dependsOn: targets },
    );

    const [{ group: first }] = listeners as [(typeof listeners)[number]];
    this.endpoints = wanted.apply((known) => {
      const all = endpointsOf({ ...known, address: known.domainName }, true);
      return metrics ? all : { ...all, metrics: "" };
    });
    this.names = pulumi
      .all([wanted.domainName, balancer.dnsName, balancer.zoneId])
      .apply(([domainName, dnsName, zone]) => ({ domainName, dnsName, zoneId: zone }));
    this.metrics = pulumi
      .all([balancer.arnSuffix, first.arnSuffix])
      .apply(([loadBalancer, targetGroup]) => ({ loadBalancer, targetGroup }));
    this.registerOutputs({ endpoints: this.endpoints, names: this.names, metrics: this.metrics });
  }

  /** A certificate that AWS issues when the record is there that it asks for; AWS renews it for as long as that stays. */
  private certificate(
    name: string,
    domainName: pulumi.Output<string>,
    zoneId: pulumi.Output<string> | undefined,
    tags: pulumi.Output<Record<string, string>>,
  ): pulumi.Output<string> {
    if (zoneId === undefined) throw new Error("a certificate without a hosted zone passed the checks");
    const child = { parent: this };
    const certificate = new sdk.acm.Certificate(
      `${name}-certificate`,
      { domainName, validationMethod: "DNS", tags },
      child,
    );
    const proof = certificate.domainValidationOptions.apply(([only]) => {
      const { resourceRecordName = "", resourceRecordType = "CNAME", resourceRecordValue = "" } = only ?? {};
      return { resourceRecordName, resourceRecordType, resourceRecordValue };
    });
    const record = new sdk.route53.Record(
      `${name}-proof`,
      {
        zoneId,
        name: proof.resourceRecordName,
        type: proof.resourceRecordType,
        records: [proof.resourceRecordValue],
        ttl: 300,
        // AWS asks for the same record for each certificate of a name in an account.
        allowOverwrite: true,
      },
      child,
    );
    return new sdk.acm.CertificateValidation(
      `${name}-certificate`,
      { certificateArn: certificate.arn, validationRecordFqdns: [record.fqdn] },
      child,
    ).certificateArn;
  }
}
