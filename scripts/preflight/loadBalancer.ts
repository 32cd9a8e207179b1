import type { Settings } from "../../components/settings";
import type { Fault, RegionalAccount } from "./checks";
import { BALANCERS } from "./quotas";
import type { StateResource } from "./wanted";

/** A load balancer that an `up` will ask of AWS. */
export interface WantedLoadBalancer {
  readonly domainName: string;
  readonly hostedZoneId: string | undefined;
  /** Absent where one is to be made. */
  readonly certificateArn: string | undefined;
  readonly subnetIds: readonly string[];
}

/** What is asked for that is not there yet. */
export function lackingLoadBalancer(
  { host }: Settings,
  resources: readonly StateResource[],
): WantedLoadBalancer | undefined {
  if (host.kind !== "aws" || host.loadBalancer === undefined) return undefined;
  if (resources.some(({ type }) => type === "aws:lb/loadBalancer:LoadBalancer")) return undefined;
  const { domainName, hostedZoneId, certificateArn, subnetIds = [] } = host.loadBalancer;
  return { domainName, hostedZoneId, certificateArn, subnetIds };
}

type Check = (wanted: WantedLoadBalancer, account: RegionalAccount) => Promise<readonly Fault[]>;

const CHECKS: Readonly<Record<string, Check>> = {
  "quota for load balancers": quota,
  certificate,
  "hosted zone": hostedZone,
  "subnets of the load balancer": subnets,
};

/** What is asked of AWS for a load balancer, by names of the checks. */
export function loadBalancerChecks(
  wanted: WantedLoadBalancer,
  account: RegionalAccount,
): (readonly [name: string, asked: Promise<readonly Fault[]>])[] {
  return Object.entries(CHECKS).map(([name, each]) => [name, each(wanted, account)] as const);
}

async function quota(_: WantedLoadBalancer, account: RegionalAccount): Promise<readonly Fault[]> {
  const [used, { value }] = await Promise.all([
    account.loadBalancers(),
    account.quota("elasticloadbalancing", BALANCERS),
  ]);
  if (used < value) return [];
  return [
    {
      what: `all ${value} network load balancers of the quota (${BALANCERS}) are there`,
      fix: `delete one, or: aws service-quotas request-service-quota-increase --service-code elasticloadbalancing --quota-code ${BALANCERS} --desired-value ${used + 1} --region ${account.region}`,
    },
  ];
}

async function certificate(
  { certificateArn: arn, domainName }: WantedLoadBalancer,
  account: RegionalAccount,
): Promise<readonly Fault[]> {
  if (arn === undefined) return [];
  const fix = "correct host.loadBalancer.certificateArn: aws acm list-certificates";
  const [, , , region = ""] = arn.split(":");
  if (region !== account.region) {
    return [{ what: `the certificate ${arn} is in ${region}, and the stack in ${account.region}`, fix }];
  }
  const found = await account.certificate(arn);
  if (found === undefined) return [{ what: `there is no certificate ${arn}`, fix }];
  if (!found.names.some((name) => covers(name, domainName))) {
    return [
      {
        what: `the certificate ${arn} is for ${found.names.join(", ")}, and not for ${domainName}`,
        fix: "correct host.loadBalancer.certificateArn or domainName",
      },
    ];
  }
  if (found.status === "ISSUED") return [];
  return [
    {
      what: `the certificate ${arn} is ${found.status}`,
      fix:
        found.status === "PENDING_VALIDATION"
          ? `make the DNS record that it asks for: aws acm describe-certificate --region ${region} --certificate-arn ${arn} --query Certificate.DomainValidationOptions`
          : fix,
    },
  ];
}

/** Whether a name of a certificate, maybe with a wildcard, is one of a host. */
export function covers(name: string, host: string): boolean {
  return name === host || (name.startsWith("*.") && host.slice(host.indexOf(".")) === name.slice(1));
}

async function hostedZone(
  { hostedZoneId: id, domainName, certificateArn }: WantedLoadBalancer,
  account: RegionalAccount,
): Promise<readonly Fault[]> {
  if (id === undefined) return [];
  const fix = "correct host.loadBalancer.hostedZoneId: aws route53 list-hosted-zones";
  const found = await account.hostedZone(id);
  if (found === undefined) return [{ what: `there is no hosted zone ${id}`, fix }];
  if (domainName !== found.name && !domainName.endsWith(`.${found.name}`)) {
    return [{ what: `the hosted zone ${id} is ${found.name}, which ${domainName} is not in`, fix }];
  }
  if (!found.private || certificateArn !== undefined) return [];
  return [
    {
      what: `the hosted zone ${id} is private, so that AWS finds no record in it that proves ${domainName}`,
      fix: "set host.loadBalancer.certificateArn to a certificate that you have, or hostedZoneId to a public zone",
    },
  ];
}

async function subnets(
  { subnetIds }: WantedLoadBalancer,
  account: RegionalAccount,
): Promise<readonly Fault[]> {
  const found = await Promise.all(subnetIds.map(async (id) => [id, await account.subnet(id)] as const));
  return found
    .filter(([, subnet]) => subnet === undefined)
    .map(([id]) => ({
      what: `there is no subnet ${id} in ${account.region}`,
      fix: `correct host.loadBalancer.subnetIds: aws ec2 describe-subnets --region ${account.region} --query 'Subnets[].[SubnetId,AvailabilityZone]' --output text`,
    }));
}
