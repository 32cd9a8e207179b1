import type { EC2Client, ServiceDetail } from "@aws-sdk/client-ec2";

import { SPOT_OPERATIONS, spotRole } from "../../components/aws/customerKey";

/** An instance that counts for a quota. */
export interface RunningInstance {
  readonly id: string;
  readonly instanceType: string;
  readonly spot: boolean;
  readonly vcpus: number;
}

/** What is asked of an account on AWS. Nothing of it changes anything there. */
export interface Account {
  /** Who asks. */
  identity(): Promise<{ account: string; arn: string }>;
  /** Zones of the region. */
  zones(): Promise<string[]>;
  /** Zones that have an instance type. */
  zonesOffering(instanceType: string): Promise<string[]>;
  vcpus(instanceType: string): Promise<number>;
  running(): Promise<RunningInstance[]>;
  /** A quota of the account. */
  quota(service: string, code: string): Promise<{ name: string; value: number }>;
  addresses(): Promise<number>;
  vpcs(): Promise<number>;
  defaultVpc(): Promise<string | undefined>;
  /** Zones in which the default VPC has a subnet that is used where none is named. */
  defaultSubnetZones(): Promise<string[]>;
  subnet(id: string): Promise<{ zone: string; vpcId: string; freeAddresses: number } | undefined>;
  /** A gateway endpoint of a VPC, by the name of its service. */
  gatewayEndpoint(vpcId: string, service: string): Promise<string | undefined>;
  /** The zones that services have interface endpoints in; none for one that has none. */
  endpointZones(services: readonly string[]): Promise<Record<string, string[]>>;
  image(id: string): Promise<{ architecture: string; state: string } | undefined>;
  /** The value of a public parameter. */
  parameter(name: string): Promise<string | undefined>;
  key(arn: string): Promise<{ state: string; symmetric: boolean } | undefined>;
  /** Whether EC2's own role for spot can get a grant of a key, which is only tried. */
  spotGrant(key: string): Promise<"possible" | "denied" | "no role">;
  /** Whether a token for ECR can be had. */
  registryLogin(): Promise<void>;
  repository(region: string, name: string): Promise<boolean>;
  /** Whether this account's user may start sessions; asked for an instance that cannot be. */
  sessions(): Promise<boolean>;
  bucket(name: string): Promise<"readable" | "denied" | "missing">;
  /** Network load balancers of the region. */
  loadBalancers(): Promise<number>;
  certificate(arn: string): Promise<{ status: string; names: readonly string[] } | undefined>;
  /** A hosted zone, by its name without the last dot. */
  hostedZone(id: string): Promise<{ name: string; private: boolean } | undefined>;
}

/** Where and as whom to ask. What is undefined comes from the environment, as for Pulumi's provider. */
export interface AccountOptions {
  readonly region?: string | undefined;
  readonly profile?: string | undefined;
}

/** An id that AWS gives to no instance. */
const NO_INSTANCE = "i-00000000000000000";

/** What the names of endpoints begin with in some part of AWS (components/host/aws/endpointServices.ts). */
const ENDPOINT_PREFIXES = ["com.amazonaws", "cn.com.amazonaws", "eu.amazonaws"];

const SSH_DOCUMENT = "AWS-StartSSHSession";

/** Names of the errors that mean: there is no such thing. */
const isMissing = (error: unknown): boolean => /NotFound|NoSuch|Malformed/.test((error as Error).name);

async function orUndefined<T>(asked: Promise<T>): Promise<T | undefined> {
  try {
    return await asked;
  } catch (error) {
    if (isMissing(error)) return undefined;
    throw error;
  }
}

/** AWS itself. Its clients are loaded here, so that no other command pays for them. */
export async function awsAccount({ region, profile }: AccountOptions): Promise<Account & { region: string }> {
  const [acm, ec2, ecr, elb, kms, route53, s3, quotas, ssm, sts] = await Promise.all([
    import("@aws-sdk/client-acm"),
    import("@aws-sdk/client-ec2"),
    import("@aws-sdk/client-ecr"),
    import("@aws-sdk/client-elastic-load-balancing-v2"),
    import("@aws-sdk/client-kms"),
    import("@aws-sdk/client-route-53"),
    import("@aws-sdk/client-s3"),
    import("@aws-sdk/client-service-quotas"),
    import("@aws-sdk/client-ssm"),
    import("@aws-sdk/client-sts"),
  ]);
  const config = {
    maxAttempts: 3,
    ...(region !== undefined && { region }),
    ...(profile !== undefined && { profile }),
  };
  const clients = {
    ec2: new ec2.EC2Client(config),
    kms: new kms.KMSClient(config),
    // A bucket may be in any region.
    s3: new s3.S3Client({ ...config, followRegionRedirects: true }),
    quotas: new quotas.ServiceQuotasClient(config),
    ssm: new ssm.SSMClient(config),
    sts: new sts.STSClient(config),
    ecr: new ecr.ECRClient(config),
    acm: new acm.ACMClient(config),
    elb: new elb.ElasticLoadBalancingV2Client(config),
    route53: new route53.Route53Client(config),
  };
  return {
    region: await clients.ec2.config.region(),
    async identity() {
      const { Account: account = "", Arn: arn = "" } = await clients.sts.send(
        new sts.GetCallerIdentityCommand(),
      );
      return { account, arn };
    },
    async zones() {
      const { AvailabilityZones: zones = [] } = await clients.ec2.send(
        new ec2.DescribeAvailabilityZonesCommand({ AllAvailabilityZones: false }),
      );
      return zones.map(({ ZoneName: name = "" }) => name);
    },
    zonesOffering: (instanceType) => offering(ec2, clients.ec2, instanceType),
    async vcpus(instanceType) {
      const { InstanceTypes: types = [] } = await clients.ec2.send(
        new ec2.DescribeInstanceTypesCommand({ InstanceTypes: [instanceType as never] }),
      );
      return types[0]?.VCpuInfo?.DefaultVCpus ?? 0;
    },
    async running() {
      const found: RunningInstance[] = [];
      const filters = [{ Name: "instance-state-name", Values: ["pending", "running"] }];
      for await (const page of ec2.paginateDescribeInstances({ client: clients.ec2 }, { Filters: filters })) {
        for (const instance of (page.Reservations ?? []).flatMap(
          ({ Instances: instances = [] }) => instances,
        )) {
          const { CoreCount: cores = 0, ThreadsPerCore: threads = 0 } = instance.CpuOptions ?? {};
          found.push({
            id: instance.InstanceId ?? "",
            instanceType: instance.InstanceType ?? "",
            spot: instance.InstanceLifecycle === "spot",
            vcpus: cores * threads,
          });
        }
      }
      return found;
    },
    async quota(ServiceCode, QuotaCode) {
      const wanted = { ServiceCode, QuotaCode };
      // One that was never changed may have no value of its own.
      const own = await orUndefined(clients.quotas.send(new quotas.GetServiceQuotaCommand(wanted)));
      const { Quota: quota } =
        own ?? (await clients.quotas.send(new quotas.GetAWSDefaultServiceQuotaCommand(wanted)));
      return { name: quota?.QuotaName ?? QuotaCode, value: quota?.Value ?? 0 };
    },
    async addresses() {
      const { Addresses: addresses = [] } = await clients.ec2.send(new ec2.DescribeAddressesCommand({}));
      return addresses.length;
    },
    async vpcs() {
      const found: unknown[] = [];
      for await (const { Vpcs: vpcs = [] } of ec2.paginateDescribeVpcs({ client: clients.ec2 }, {}))
        found.push(...vpcs);
      return found.length;
    },
    async defaultVpc() {
      const { Vpcs: vpcs = [] } = await clients.ec2.send(
        new ec2.DescribeVpcsCommand({ Filters: [{ Name: "is-default", Values: ["true"] }] }),
      );
      return vpcs[0]?.VpcId;
    },
    async defaultSubnetZones() {
      const { Subnets: subnets = [] } = await clients.ec2.send(
        new ec2.DescribeSubnetsCommand({ Filters: [{ Name: "default-for-az", Values: ["true"] }] }),
      );
      return subnets.map(({ AvailabilityZone: zone = "" }) => zone);
    },
    async subnet(id) {
      const found = await orUndefined(clients.ec2.send(new ec2.DescribeSubnetsCommand({ SubnetIds: [id] })));
      const subnet = found?.Subnets?.[0];
      return (
        subnet && {
          zone: subnet.AvailabilityZone ?? "",
          vpcId: subnet.VpcId ?? "",
          freeAddresses: subnet.AvailableIpAddressCount ?? 0,
        }
      );
    },
    async gatewayEndpoint(vpcId, service) {
      const { VpcEndpoints: endpoints = [] } = await clients.ec2.send(
        new ec2.DescribeVpcEndpointsCommand({
          Filters: [
            { Name: "vpc-id", Values: [vpcId] },
            { Name: "service-name", Values: [service] },
            { Name: "vpc-endpoint-type", Values: ["Gateway"] },
          ],
        }),
      );
      return endpoints[0]?.VpcEndpointId;
    },
    async endpointZones(services) {
      const region = await clients.ec2.config.region();
      const names = (service: string): string[] =>
        ENDPOINT_PREFIXES.map((prefix) => `${prefix}.${region}.${service}`);
      const details: ServiceDetail[] = [];
      let NextToken: string | undefined;
      do {
        const page = await clients.ec2.send(
          new ec2.DescribeVpcEndpointServicesCommand({
            Filters: [{ Name: "service-type", Values: ["Interface"] }],
            ...(NextToken !== undefined && { NextToken }),
          }),
        );
        details.push(...(page.ServiceDetails ?? []));
        ({ NextToken } = page);
      } while (NextToken !== undefined && NextToken !== "");
      return Object.fromEntries(
        services.map((service) => {
          const found = details.find(({ ServiceName: name = "" }) => names(service).includes(name));
          return [service, [...(found?.AvailabilityZones ?? [])].sort()];
        }),
      );
    },
    async image(id) {
      const found = await orUndefined(clients.ec2.send(new ec2.DescribeImagesCommand({ ImageIds: [id] })));
      const image = found?.Images?.[0];
      return image && { architecture: image.Architecture ?? "", state: image.State ?? "" };
    },
    async parameter(name) {
      const found = await orUndefined(clients.ssm.send(new ssm.GetParameterCommand({ Name: name })));
      return found?.Parameter?.Value;
    },
    async key(arn) {
      const found = await orUndefined(clients.kms.send(new kms.DescribeKeyCommand({ KeyId: arn })));
      const key = found?.KeyMetadata;
      return key && { state: key.KeyState ?? "", symmetric: key.KeySpec === "SYMMETRIC_DEFAULT" };
    },
    async spotGrant(key) {
      const { Arn: arn = "" } = await clients.sts.send(new sts.GetCallerIdentityCommand());
      const wanted = {
        KeyId: key,
        GranteePrincipal: spotRole(arn),
        Operations: [...SPOT_OPERATIONS],
        DryRun: true,
      };
      try {
        await clients.kms.send(new kms.CreateGrantCommand(wanted));
      } catch (error) {
        const { name } = error as Error;
        // Of a role that is not there.
        if (name === "InvalidArnException") return "no role";
        if (name === "AccessDeniedException") return "denied";
        // https://docs.aws.amazon.com/kms/latest/developerguide/testing-permissions.html
        if (name !== "DryRunOperationException") throw error;
      }
      return "possible";
    },
    async registryLogin() {
      await clients.ecr.send(new ecr.GetAuthorizationTokenCommand({}));
    },
    async repository(place, name) {
      const client = new ecr.ECRClient({ ...config, region: place });
      const wanted = new ecr.DescribeRepositoriesCommand({ repositoryNames: [name] });
      try {
        return (await orUndefined(client.send(wanted))) !== undefined;
      } finally {
        client.destroy();
      }
    },
    async sessions() {
      try {
        const wanted = {
          Target: NO_INSTANCE,
          DocumentName: SSH_DOCUMENT,
          Parameters: { portNumber: ["22"] },
        };
        await clients.ssm.send(new ssm.StartSessionCommand(wanted));
      } catch (error) {
        const { name } = error as Error;
        if (name.startsWith("AccessDenied")) return false;
        if (name !== "TargetNotConnected") throw error;
      }
      return true;
    },
    async bucket(name) {
      try {
        await clients.s3.send(new s3.HeadBucketCommand({ Bucket: name }));
        return "readable";
      } catch (error) {
        // The answer to HEAD has no body with a reason.
        const status = (error as { $metadata?: { httpStatusCode?: number } }).$metadata?.httpStatusCode;
        if (status === 403) return "denied";
        if (status === 404) return "missing";
        throw error;
      }
    },
    async loadBalancers() {
      let found = 0;
      for await (const { LoadBalancers: page = [] } of elb.paginateDescribeLoadBalancers(
        { client: clients.elb },
        {},
      )) {
        found += page.filter(({ Type: type }) => type === "network").length;
      }
      return found;
    },
    async certificate(arn) {
      const asked = clients.acm.send(new acm.DescribeCertificateCommand({ CertificateArn: arn }));
      const certificate = (await orUndefined(asked))?.Certificate;
      return (
        certificate && {
          status: certificate.Status ?? "",
          names: [...new Set([certificate.DomainName ?? "", ...(certificate.SubjectAlternativeNames ?? [])])],
        }
      );
    },
    async hostedZone(id) {
      const asked = clients.route53.send(new route53.GetHostedZoneCommand({ Id: id }));
      const zone = (await orUndefined(asked))?.HostedZone;
      return (
        zone && { name: (zone.Name ?? "").replace(/\.$/, ""), private: zone.Config?.PrivateZone === true }
      );
    },
  };
}

async function offering(
  ec2: typeof import("@aws-sdk/client-ec2"),
  client: EC2Client,
  instanceType: string,
): Promise<string[]> {
  const { InstanceTypeOfferings: offerings = [] } = await client.send(
    new ec2.DescribeInstanceTypeOfferingsCommand({
      LocationType: "availability-zone",
      Filters: [{ Name: "instance-type", Values: [instanceType] }],
    }),
  );
  return offerings.map(({ Location: zone = "" }) => zone).sort();
}
