import { isIpv6, isOpenToTheWorld } from "./addressRange";
import { loadBalancerScheme } from "./allowedValues";
import { isLoopback } from "./listenAddress";
import type { Place } from "./place";
import {
  defaulted,
  itemsOf,
  keyOf,
  list,
  object,
  optional,
  plain,
  refuseRepeats,
  required,
  type Rule,
  text,
} from "./rules";

/* A load balancer before the gateway of a host on AWS. */

/** https://docs.aws.amazon.com/acm/latest/userguide/acm-certificate.html: the id of one from a public authority or imported. */
const CERTIFICATE_ARN =
  /^arn:aws[a-z-]*:acm:[a-z]{2}(?:-[a-z]+)+-[0-9]:[0-9]{12}:certificate\/[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;

const certificateArn = text({
  allowed: "the ARN of a certificate of AWS Certificate Manager, in the region of the stack",
  example: "arn:aws:acm:us-east-1:111122223333:certificate/01234567-89ab-cdef-0123-456789abcdef",
  refuse: (value) =>
    CERTIFICATE_ARN.test(value)
      ? undefined
      : "give its ARN: aws acm list-certificates --query 'CertificateSummaryList[].[DomainName,CertificateArn]' --output text",
});

/** Of the name that a certificate is made for, ACM takes 64 characters. */
const LONGEST_NAME = 64;

const domainName = text({
  allowed: `a DNS name in lower-case letters of at most ${LONGEST_NAME} characters, with a dot`,
  example: "triton.example.com",
  refuse(value) {
    if (/^[a-z]+:\/\//i.test(value) || /[:/]/.test(value))
      return "give the name alone, without https:// and a port";
    if (value.startsWith("*."))
      return "give one name; a certificate with a wildcard can be given by certificateArn";
    if (value !== value.toLowerCase()) return `write it in lower-case letters: ${value.toLowerCase()}`;
    if (value.endsWith(".")) return `remove the dot at its end: ${value.slice(0, -1)}`;
    return value.length <= LONGEST_NAME &&
      /^(?:[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z][a-z0-9-]*[a-z0-9]$/.test(value)
      ? undefined
      : "give a name such as triton.example.com";
  },
});

const hostedZoneId = text({
  allowed: "the id of a hosted zone of Route 53: Z and more capital letters and digits",
  example: "Z0123456789ABCDEFGHIJ",
  refuse: (value) =>
    /^Z[A-Z0-9]{1,31}$/.test(value)
      ? undefined
      : "give its id without /hostedzone/: aws route53 list-hosted-zones --query 'HostedZones[].[Name,Id]' --output text",
});

/** What a load balancer is, whoever makes it. */
export const loadBalancerFields = {
  scheme: plain(
    defaulted(
      loadBalancerScheme,
      "internal",
      "Who can reach it, of those in `clientCidrs`. A change replaces the load balancer.",
      { cost: "`internetFacing`: $0.005 an hour for the public address in each zone" },
    ),
  ),
  domainName: required(domainName, "Name by which clients reach it, which its certificate must have."),
  hostedZoneId: optional(
    hostedZoneId,
    "Hosted zone of Route 53 in which the stack makes a record of `domainName`, and without `certificateArn` the record that proves to AWS that the name is yours. For the latter, it must be a public zone.",
    "you make the record: a CNAME to the output `aws.loadBalancer.dnsName`",
  ),
  certificateArn: optional(
    certificateArn,
    "Certificate for `domainName`. One from Amazon is renewed by AWS, one that you have imported by you.",
    "the stack makes one, which takes `hostedZoneId`",
    { cost: "certificates for load balancers are free" },
  ),
};

/** @param subnetId the rule of a subnet's id */
export const loadBalancerRule = (subnetId: Rule<string>) =>
  object({
    name: "LoadBalancer",
    description: "A network load balancer before a gateway.",
    allowed: "an object with the load balancer's name and certificate",
    fields: {
      ...loadBalancerFields,
      subnetIds: plain(
        optional(
          list(subnetId, {
            allowed: "a list of ids of subnets, at least one and none twice",
            minimum: 1,
            check: refuseRepeats,
          }),
          "With `host.subnetId`: subnets of the load balancer, one a zone, one of them in the zone of the instance. With `internetFacing`, public ones.",
          "the subnet of the instance; without `host.subnetId`, those of the default VPC, or of the network of its own",
        ),
      ),
    },
    check(_, at, raw) {
      checkCertificate(raw, at);
    },
  });

export function checkCertificate(raw: unknown, at: Place): void {
  if (keyOf(raw, "certificateArn") !== undefined || keyOf(raw, "hostedZoneId") !== undefined) return;
  at.at("certificateArn").fault(
    undefined,
    `${certificateArn.allowed}, or hostedZoneId for the stack to make one`,
    "add certificateArn, or hostedZoneId: aws route53 list-hosted-zones --query 'HostedZones[].[Name,Id]' --output text",
  );
}

export const balancerOf = (host: unknown): unknown => keyOf(host, "loadBalancer");

/** Whether the internet reaches the load balancer of a host; looks at the raw value of the host. */
export function isInternetFacing(host: unknown): boolean {
  return keyOf(balancerOf(host), "scheme") === "internetFacing";
}

/** Records faults between a load balancer and where its instance is; looks at the raw value of the host. */
export function checkLoadBalancer(host: unknown, at: Place): void {
  const given = balancerOf(host);
  if (given === undefined) return;
  const place = at.at("loadBalancer");
  const network = keyOf(host, "network");
  const own = keyOf(network, "kind") === "own";
  const subnets = keyOf(given, "subnetIds");
  const subnet = keyOf(host, "subnetId");
  if (own && isInternetFacing(host) && keyOf(network, "egress") === "endpoints") {
    place
      .at("scheme")
      .fault(
        "internetFacing",
        "internal with network.egress: endpoints, as no route leads to the internet",
        "set network.egress to natGateway, or remove scheme",
      );
  }
  if (subnets !== undefined && (own || subnet === undefined)) {
    place
      .at("subnetIds")
      .fault(
        subnets,
        own
          ? "nothing with network.kind: own, which has subnets of its own"
          : "nothing without host.subnetId: the load balancer is in the default VPC, as the instance",
        own ? "remove subnetIds" : "remove subnetIds, or set host.subnetId to the instance's subnet",
      );
  } else if (
    subnet !== undefined &&
    subnets === undefined &&
    isInternetFacing(host) &&
    keyOf(host, "publicIp") === "none"
  ) {
    place
      .at("subnetIds")
      .fault(
        undefined,
        "public subnets with internetFacing, as publicIp: none says that the instance's own is private",
        "add subnetIds, for example [subnet-0123456789abcdef0], or remove scheme",
      );
  }
  itemsOf(keyOf(host, "clientCidrs")).forEach((range, index) => {
    if (typeof range !== "string" || !isIpv6(range)) return;
    at.at("clientCidrs")
      .at(index)
      .fault(
        range,
        "ranges of IPv4 with loadBalancer, which has no address of IPv6",
        "give the range of IPv4 that these clients have, or remove it",
      );
  });
}

/** Certificates of clients, in both of their forms. */
const CLIENT_AUTHORITIES = ["clientCa", "clientCaFile"];

/** Records faults between a load balancer and the gateway behind it; looks at the raw values of the stack config. */
export function checkBalancedGateway(raw: unknown, at: Place): void {
  const [host, gateway, server] = ["host", "gateway", "server"].map((key) => keyOf(raw, key));
  if (balancerOf(host) === undefined) return;
  const clients = keyOf(host, "clientCidrs");
  const place = at.at("host");
  if (clients === undefined || (Array.isArray(clients) && clients.length === 0)) {
    place
      .at("clientCidrs")
      .fault(
        clients,
        "the ranges that loadBalancer lets in, at least one",
        "add clientCidrs, for example [10.0.0.0/16], or remove loadBalancer",
      );
  }
  const address = keyOf(server, "address") ?? "127.0.0.1";
  if (typeof address === "string" && isLoopback(address)) {
    const path = at.at("server").at("address");
    // Where there are clients, their check says the same.
    if (!Array.isArray(clients) || clients.length === 0) {
      path.fault(
        keyOf(server, "address"),
        "an address that host.loadBalancer can reach, not a loopback one",
        "set address to 0.0.0.0, or remove host.loadBalancer",
      );
    }
  }
  for (const key of CLIENT_AUTHORITIES) {
    if (keyOf(gateway, key) === undefined) continue;
    at.at("gateway")
      .at(key)
      .faultShown(
        "(given with host.loadBalancer)",
        "nothing with host.loadBalancer: TLS of clients ends there, and with it their certificates",
        `remove ${key} and let clients show tokens, or remove host.loadBalancer`,
      );
  }
  const tokens = keyOf(gateway, "tokens");
  const named = tokens !== undefined && !(Array.isArray(tokens) && tokens.length === 0);
  if (!isInternetFacing(host) || named) return;
  itemsOf(clients).forEach((range, index) => {
    if (typeof range !== "string" || !isOpenToTheWorld(range)) return;
    place
      .at("clientCidrs")
      .at(index)
      .fault(
        range,
        "a range that you can vouch for, as without gateway.tokens whoever is in it can use the models",
        "add gateway.tokens, or give the ranges of your clients",
      );
  });
}
