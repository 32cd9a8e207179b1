import { AMI_PARAMETER } from "../../components/host/aws/ami";
import type { Choice } from "../../components/host/aws/choices";
import type { Account, RunningInstance } from "./account";
import { loadBalancerChecks } from "./loadBalancer";
import { ADDRESSES, quotaOf, VPCS } from "./quotas";
import type { Wanted } from "./wanted";

/** Something that would make an `up` fail. */
export interface Fault {
  readonly what: string;
  /** The command or the page that mends it. */
  readonly fix: string;
}

/** What the checks have found. */
export interface Findings {
  readonly faults: readonly Fault[];
  /** What could not be checked, and why. */
  readonly unknown: readonly string[];
  /** Choices of the lists that AWS will refuse, though not all of them. */
  readonly refused: readonly string[];
}

/** An account whose region is known. */
export type RegionalAccount = Account & { readonly region: string };

type Check = (wanted: Wanted, account: RegionalAccount) => Promise<readonly Fault[]>;

/** A check of one choice: what is wrong with it keeps nobody from another one. */
type ChoiceCheck = (choice: Choice, wanted: Wanted, account: RegionalAccount) => Promise<readonly Fault[]>;

/** Asks everything at once, and reports everything. */
export async function check(wanted: Wanted, asked: RegionalAccount): Promise<Findings> {
  const account = answeringOnce(asked);
  const unknown = new Set<string>();
  const settled = async (name: string, asked: Promise<readonly Fault[]>): Promise<readonly Fault[]> => {
    try {
      return await asked;
    } catch (error) {
      unknown.add(`${name}: ${reasonOf(error)}`);
      return [];
    }
  };
  const { loadBalancer } = wanted;
  // An instance that is there asks for nothing.
  const others = wanted.choices.length === 0 ? [] : Object.entries(CHECKS);
  const balancing = loadBalancer === undefined ? [] : loadBalancerChecks(loadBalancer, account);
  const [choices, all] = await Promise.all([
    Promise.all(
      wanted.choices.map(async (choice) => {
        const checks = Object.entries(CHOICE_CHECKS);
        return (
          await Promise.all(checks.map(([name, each]) => settled(name, each(choice, wanted, account))))
        ).flat();
      }),
    ),
    Promise.all([
      ...others.map(([name, each]) => settled(name, each(wanted, account))),
      ...balancing.map(([name, asked]) => settled(name, asked)),
    ]),
  ]);
  // Several choices have the same quota, and the same type.
  const ofChoices = [...new Map(choices.flat().map((fault) => [fault.what, fault])).values()];
  const possible = choices.some((faults) => faults.length === 0);
  return {
    faults: [...(possible ? [] : ofChoices), ...all.flat()],
    unknown: [...unknown],
    refused: possible ? ofChoices.map(({ what }) => what) : [],
  };
}

/** The same account, which is asked each question only once: choices share most of theirs. */
function answeringOnce(account: RegionalAccount): RegionalAccount {
  const answers = new Map<string, unknown>();
  const remembered = Object.entries(account).map(([name, ask]: [string, unknown]) => {
    if (typeof ask !== "function") return [name, ask];
    const once = (...words: unknown[]): unknown => {
      const question = JSON.stringify([name, ...words]);
      if (!answers.has(question)) answers.set(question, (ask as (...given: unknown[]) => unknown)(...words));
      return answers.get(question);
    };
    return [name, once];
  });
  return Object.fromEntries(remembered) as RegionalAccount;
}

/** A right that only the preflight needs must not keep anybody from deploying. */
function reasonOf(error: unknown): string {
  const { name, message } = error as Error;
  return `${name}: ${message}`.split("\n")[0] ?? name;
}

const CHOICE_CHECKS: Readonly<Record<string, ChoiceCheck>> = {
  "quota for instances": vcpuQuota,
  "where the instance type is offered": placement,
  "default subnet": defaultSubnet,
};

const CHECKS: Readonly<Record<string, Check>> = {
  network,
  "machine image": image,
  "quota for addresses": addressQuota,
  "endpoint for S3": endpoint,
  "endpoints of services": endpoints,
  "KMS key": key,
  "KMS key on spot capacity": spotGrant,
  "access to ECR": registry,
  "repository on ECR": repository,
  buckets,
  sessions,
};

async function vcpuQuota(
  { instanceType, spot }: Choice,
  { replaces }: Wanted,
  account: RegionalAccount,
): Promise<readonly Fault[]> {
  const counted = quotaOf(instanceType, spot);
  if (counted === undefined) {
    throw new Error(`which quota counts ${instanceType} on spot capacity differs by its generation`);
  }
  const [needed, running, { name, value }] = await Promise.all([
    account.vcpus(instanceType),
    account.running(),
    account.quota("ec2", counted.code),
  ]);
  const mine = running.filter((each) => each.spot === spot && counted.types.test(each.instanceType));
  const used = mine.reduce((sum, { vcpus }) => sum + vcpus, 0);
  if (used + needed <= value) return [];
  return [
    {
      what: `${instanceType} needs ${needed} vCPUs, but of the ${value} of the quota "${name}" (${counted.code}), ${used} are in use${ofReplaced(mine, replaces)}`,
      fix: raise("ec2", counted.code, used + needed, account.region),
    },
  ];
}

/** The old instance serves until the new one has booted, so both count. */
function ofReplaced(running: readonly RunningInstance[], replaces: string | undefined): string {
  const old = running.find(({ id }) => id === replaces);
  return old === undefined
    ? ""
    : `, ${old.vcpus} of them by ${old.id}, which serves until the new instance has booted`;
}

function raise(service: string, code: string, value: number, region: string): string {
  return `aws service-quotas request-service-quota-increase --service-code ${service} --quota-code ${code} --desired-value ${value} --region ${region}`;
}

async function placement(
  { instanceType, zone }: Choice,
  { subnetId, keys }: Wanted,
  account: RegionalAccount,
): Promise<readonly Fault[]> {
  const offered = await account.zonesOffering(instanceType);
  if (offered.length === 0) {
    return [
      {
        what: `${instanceType} is not offered in ${account.region}`,
        fix: `choose another ${keys.type} or aws:region; where there is one: aws ec2 describe-instance-type-offerings --region REGION --filters Name=instance-type,Values=${instanceType}`,
      },
    ];
  }
  const given = zone ?? (subnetId && (await account.subnet(subnetId))?.zone);
  if (given === undefined || offered.includes(given)) return [];
  const place = zone === undefined ? `the zone of ${subnetId}, ${given},` : given;
  const zones = await account.zones();
  const known = zones.includes(given) ? "" : `, whose zones for you are ${zones.join(", ")}`;
  return [
    {
      what: `${instanceType} is not offered in ${place} of ${account.region}${known}`,
      fix:
        zone === undefined
          ? `set host.subnetId to a subnet in ${offered.join(", ")}`
          : `set ${keys.zone} to ${offered.join(", ")}, or remove it`,
    },
  ];
}

async function network(
  { subnetId, ownNetwork }: Wanted,
  account: RegionalAccount,
): Promise<readonly Fault[]> {
  const { region } = account;
  if (ownNetwork === "there") return [];
  if (ownNetwork === "new") return vpcQuota(account);
  if (subnetId !== undefined) {
    const subnet = await account.subnet(subnetId);
    if (subnet === undefined) {
      return [
        {
          what: `there is no subnet ${subnetId} in ${region}`,
          fix: `correct host.subnetId: aws ec2 describe-subnets --region ${region} --query 'Subnets[].[SubnetId,AvailabilityZone]' --output text`,
        },
      ];
    }
    return subnet.freeAddresses > 0
      ? []
      : [{ what: `${subnetId} has no free address`, fix: "set host.subnetId to another subnet" }];
  }
  if ((await account.defaultVpc()) === undefined) {
    return [
      {
        what: `there is no default VPC in ${region}, and host.subnetId is not set`,
        fix: `set host.subnetId to one of yours, or: aws ec2 create-default-vpc --region ${region}`,
      },
    ];
  }
  return [];
}

async function vpcQuota(account: RegionalAccount): Promise<readonly Fault[]> {
  const [used, { value }] = await Promise.all([account.vpcs(), account.quota("vpc", VPCS)]);
  if (used < value) return [];
  return [
    {
      what: `all ${value} networks of the quota for VPCs (${VPCS}) are there`,
      fix: `delete one, set host.subnetId to a subnet of one instead of host.network, or: ${raise("vpc", VPCS, used + 1, account.region)}`,
    },
  ];
}

async function defaultSubnet(
  { zone }: Choice,
  { subnetId, ownNetwork }: Wanted,
  account: RegionalAccount,
): Promise<readonly Fault[]> {
  if (subnetId !== undefined || ownNetwork !== "none") return [];
  // Without a default VPC, that is the fault.
  if ((await account.defaultVpc()) === undefined) return [];
  const { region } = account;
  const zones = await account.defaultSubnetZones();
  if (zone === undefined ? zones.length > 0 : zones.includes(zone)) return [];
  return [
    {
      what: `the default VPC in ${region} has no default subnet${zone === undefined ? "" : ` in ${zone}`}`,
      fix: `aws ec2 create-default-subnet --region ${region} --availability-zone ${zone ?? `${region}a`}`,
    },
  ];
}

async function image({ ami }: Wanted, account: RegionalAccount): Promise<readonly Fault[]> {
  const { region } = account;
  const id = ami ?? (await account.parameter(AMI_PARAMETER));
  if (id === undefined) {
    return [
      {
        what: `AWS publishes no Deep Learning Base AMI in ${region}`,
        fix: `set host.ami to an image with NVIDIA's driver, or choose another aws:region`,
      },
    ];
  }
  const found = await account.image(id);
  const what =
    found === undefined
      ? `there is no AMI ${id} in ${region} that this account may use`
      : found.state !== "available"
        ? `the AMI ${id} is ${found.state}`
        : found.architecture !== "x86_64"
          ? `the AMI ${id} is for ${found.architecture}, and Triton's image for x86_64`
          : undefined;
  return what === undefined
    ? []
    : [
        {
          what,
          fix: "remove host.ami, which takes AWS's own image, or correct it: each region has its own ids",
        },
      ];
}

async function addressQuota({ address }: Wanted, account: RegionalAccount): Promise<readonly Fault[]> {
  if (address === "none") return [];
  const [used, { value }] = await Promise.all([account.addresses(), account.quota("ec2", ADDRESSES)]);
  if (used < value) return [];
  return [
    {
      what: `all ${value} elastic addresses of the quota (${ADDRESSES}) are allocated`,
      fix: `${
        address === "instance"
          ? "set host.publicIp to dynamic"
          : "set host.network.egress to endpoints, which needs none"
      }, release one, or: ${raise("ec2", ADDRESSES, used + 1, account.region)}`,
    },
  ];
}

async function endpoint(
  { s3Endpoint, subnetId }: Wanted,
  account: RegionalAccount,
): Promise<readonly Fault[]> {
  if (!s3Endpoint) return [];
  const vpc = subnetId === undefined ? await account.defaultVpc() : (await account.subnet(subnetId))?.vpcId;
  if (vpc === undefined) return [];
  const found = await account.gatewayEndpoint(vpc, `com.amazonaws.${account.region}.s3`);
  return found === undefined
    ? []
    : [
        {
          what: `${vpc} has an endpoint for S3 already, ${found}`,
          fix:
            "remove host.createS3Endpoint; if the subnet's route table lacks the endpoint: aws ec2 modify-vpc-endpoint --vpc-endpoint-id " +
            `${found} --add-route-table-ids ID`,
        },
      ];
}

async function endpoints(
  { endpoints: wanted, keys }: Wanted,
  account: RegionalAccount,
): Promise<readonly Fault[]> {
  if (wanted === undefined) return [];
  const offered = await account.endpointZones(wanted.services);
  return wanted.services.flatMap((service): Fault[] => {
    const zones = offered[service] ?? [];
    if (zones.includes(wanted.zone)) return [];
    const elsewhere =
      zones.length === 0 ? "" : `set ${keys.zone} so that it begins with one of ${zones.join(", ")}, or `;
    return [
      {
        what: `AWS has no endpoint for ${service} in ${zones.length === 0 ? account.region : wanted.zone}`,
        fix: `${elsewhere}set host.network.egress to natGateway`,
      },
    ];
  });
}

async function key(
  { kmsKeyId }: Pick<Wanted, "kmsKeyId">,
  account: RegionalAccount,
): Promise<readonly Fault[]> {
  if (kmsKeyId === undefined) return [];
  const fix = "correct host.kmsKeyId: aws kms list-keys";
  const [, , , region = ""] = kmsKeyId.split(":");
  if (region !== account.region) {
    return [{ what: `the key ${kmsKeyId} is in ${region}, and the stack in ${account.region}`, fix }];
  }
  const found = await account.key(kmsKeyId);
  if (found === undefined) return [{ what: `there is no key ${kmsKeyId}`, fix }];
  if (!found.symmetric) return [{ what: `the key ${kmsKeyId} is not symmetric`, fix }];
  if (found.state === "Enabled") return [];
  return [
    {
      what: `the key ${kmsKeyId} is ${found.state}`,
      fix: `aws kms ${found.state === "PendingDeletion" ? "cancel-key-deletion" : "enable-key"} --region ${region} --key-id ${kmsKeyId}`,
    },
  ];
}

/** EC2 starts a spot instance in its own role, which gets a grant of the key before the launch. */
async function spotGrant({ kmsKeyId, choices }: Wanted, account: RegionalAccount): Promise<readonly Fault[]> {
  if (kmsKeyId === undefined || !choices.some(({ spot }) => spot)) return [];
  // What is wrong with the key itself comes first.
  if ((await key({ kmsKeyId }, account)).length > 0) return [];
  const answer = await account.spotGrant(kmsKeyId);
  switch (answer) {
    case "possible":
      return [];
    case "no role":
      return [
        {
          what: "EC2's own role for spot capacity, which has to get a grant of host.kmsKeyId, does not exist in this account",
          fix: "aws iam create-service-linked-role --aws-service-name spot.amazonaws.com",
        },
      ];
    case "denied":
      return [
        {
          what: `AWS lets you make no grant of the key ${kmsKeyId}: kms:CreateGrant is denied`,
          fix: "allow it to who deploys (docs/how-to/aws.md#use-a-key-of-your-own), or remove host.spot",
        },
      ];
    default:
      return answer satisfies never;
  }
}

async function registry({ registry: wanted }: Wanted, account: RegionalAccount): Promise<readonly Fault[]> {
  if (wanted === "none") return [];
  try {
    await account.registryLogin();
    return [];
  } catch (error) {
    if (!/AccessDenied|Unauthorized/.test((error as Error).name)) throw error;
    return [
      {
        what: "ECR gives no login to push the image with: ecr:GetAuthorizationToken is denied",
        fix: "let who deploys do it: https://docs.aws.amazon.com/AmazonECR/latest/userguide/image-push-iam.html",
      },
    ];
  }
}

async function repository({ registry: wanted }: Wanted, account: RegionalAccount): Promise<readonly Fault[]> {
  if (typeof wanted === "string" || (await account.repository(wanted.region, wanted.name))) return [];
  return [
    {
      what: `there is no repository ${wanted.name} on ECR in ${wanted.region}`,
      fix: `aws ecr create-repository --region ${wanted.region} --repository-name ${wanted.name}, or remove runtime.build.repository`,
    },
  ];
}

async function sessions({ sessions: wanted }: Wanted, account: RegionalAccount): Promise<readonly Fault[]> {
  if (!wanted || (await account.sessions())) return [];
  return [
    {
      what: "AWS lets this machine start no session: ssm:StartSession is denied",
      fix: "allow it on the instance and on the document AWS-StartSSHSession (docs/how-to/aws.md); if it is allowed for instances with certain tags only, run npm run up with --no-preflight",
    },
  ];
}

async function buckets({ buckets: names }: Wanted, account: RegionalAccount): Promise<readonly Fault[]> {
  const answers = await Promise.all(names.map(async (name) => [name, await account.bucket(name)] as const));
  return answers.flatMap(([name, answer]): Fault[] => {
    switch (answer) {
      case "readable":
        return [];
      case "missing":
        return [
          {
            what: `there is no bucket ${name}`,
            fix: `correct the model's source, or: aws s3 mb s3://${name}`,
          },
        ];
      case "denied":
        return [
          {
            what: `S3 denies access to the bucket ${name}, or it belongs to another account`,
            fix: `let who deploys list and read it (s3:ListBucket, s3:GetObject), or correct the model's source`,
          },
        ];
    }
  });
}
