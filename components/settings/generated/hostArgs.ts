// Generated from the rules in components/settings by `npm run generate`; do not edit.
import type * as pulumi from "@pulumi/pulumi";

/** How to reach an existing machine over SSH. */
export interface SshConnectionArgs {
  /**
   * Host name or IP address.
   * @example "gpu1.example.com"
   */
  address: pulumi.Input<string>;
  /**
   * TCP port of the SSH server. An integer from 1 to 65535.
   * @default 22
   */
  port?: pulumi.Input<number>;
  /**
   * User to log in as. Must be allowed to use Docker when Triton runs in a container.
   * @default "root"
   * @example "ubuntu"
   */
  user?: pulumi.Input<string>;
  /** Private key of the user, without a passphrase. A secret. */
  privateKey: pulumi.Input<string>;
  /**
   * Public key of the machine, as in a `known_hosts` file without the host name. A machine with
   * another key is refused.
   * @example "ssh-ed25519 AAAA…"
   */
  hostKey: pulumi.Input<string>;
  /**
   * Identifies the machine where its address does not, such as the id of an instance behind an elastic
   * IP. Another name means another machine, on which everything is done anew.
   * @default its address and port
   * @example "i-0123456789abcdef0"
   */
  machine?: pulumi.Input<string>;
  /**
   * Command of this machine whose input and output lead to the SSH server, as OpenSSH's
   * `ProxyCommand`. OpenSSH's client then connects; `proxied` must be true.
   * @default a connection to `address`
   * @example "aws ssm start-session --target i-0123456789abcdef0 --document-name AWS-StartSSHSession
   * --parameters portNumber=22"
   */
  proxyCommand?: pulumi.Input<string>;
}

/** What makes a host. */
export interface TritonHostArgs {
  /**
   * Folder on the host for everything that a deployment puts there. Created with the host and deleted
   * with it. A relative path starts at the program's folder on this machine, at the user's home over
   * SSH.
   * @default ".xsched-triton"
   */
  directory?: pulumi.Input<string>;
  /**
   * The host, when it is not this machine.
   * @default this machine
   */
  ssh?: pulumi.Input<SshConnectionArgs>;
  /**
   * Whether `ssh` has a `proxyCommand`. Where that can change, as on an `AwsGpuHost`, it says so
   * either way, and what is on the host is kept.
   * @default it has none, and never will
   */
  proxied?: boolean;
}

/** What runs on a host beside the server. */
export interface HostServicesArgs {
  /**
   * Absolute path of the host's folder: `directory` of a `TritonHost`.
   * @example "/srv/triton"
   */
  directory: pulumi.Input<string>;
  /**
   * The host, when it is not this machine.
   * @default this machine
   */
  ssh?: pulumi.Input<SshConnectionArgs>;
  /**
   * Whether `ssh` has a `proxyCommand`. Where that can change, as on an `AwsGpuHost`, it says so
   * either way, and what is on the host is kept.
   * @default it has none, and never will
   */
  proxied?: boolean;
  /**
   * What has changed on the host and has to be put right: `repairs` of a `TritonHost`.
   * @default what has changed on the host stays
   * @example "{}"
   */
  repairs?: pulumi.Input<string>;
  /**
   * Whether the host is a spot instance, whose server is drained when AWS takes the instance back.
   * @default false
   */
  spot?: pulumi.Input<boolean>;
  /**
   * Whether the host reports, on port 9464 of its loopback interface, if the server is ready and what
   * the scheduler counts.
   * @default false
   */
  metrics?: pulumi.Input<boolean>;
  /**
   * Shut the host down when nobody has asked a model for this long and no work is under way on a GPU.
   * An integer from 1 to 10080 (minutes).
   * @default never
   * @example 60
   */
  idleStop?: pulumi.Input<number>;
  /**
   * Whether the server is drained before the host shuts down, whoever shuts it down: requests in
   * flight are finished, for at most 100 s.
   * @default false
   */
  drainAtShutdown?: pulumi.Input<boolean>;
  /**
   * Whether the host is to have HAProxy, for a `Gateway`. Where it is missing, it is installed from
   * the host's Debian or Ubuntu.
   * @default false
   */
  gateway?: boolean;
}

/** How a deployment reaches its instance. */
export const HostAccess = {
  /** Over SSH at the instance's address, from `adminCidrs`. */
  Ssh: "ssh",
  /** Over SSH through AWS's Session Manager, without an open port. */
  SessionManager: "sessionManager",
} as const;
export type HostAccess = (typeof HostAccess)[keyof typeof HostAccess];

/** Address at which an instance is reached. */
export const PublicIp = {
  /** An address that stays when the instance stops. */
  Elastic: "elastic",
  /** Another address after each stop; the deployment after a stop needs a refresh. */
  Dynamic: "dynamic",
  /** Only the private address in the subnet, which `subnetId` must name, or in a network of its own. */
  None: "none",
} as const;
export type PublicIp = (typeof PublicIp)[keyof typeof PublicIp];

/** A root volume of type gp3. */
export interface AwsVolumeArgs {
  /**
   * Size of the volume. Triton's image takes 14 GiB, twice that while a new one arrives; the rest is
   * for models. An integer from 100 to 16384 (GiB).
   * @default 200
   */
  size?: pulumi.Input<number>;
  /**
   * Throughput of the volume, at most a quarter of `iops`. An integer from 125 to 1000 (MiB/s). Cost:
   * above 125 AWS charges extra.
   * @default 125
   * @example 250
   */
  throughput?: pulumi.Input<number>;
  /**
   * Input/output operations per second. An integer from 3000 to 16000. Cost: above 3000 AWS charges
   * extra.
   * @default 3000
   * @example 4000
   */
  iops?: pulumi.Input<number>;
}

/** Decides which other keys there are. */
export const AwsNetworkKind = {
  /** One that exists: that of `subnetId`, or the default VPC. */
  Existing: "existing",
  /**
   * One that the stack creates, with a private subnet in each of `zones`; needs `access:
   * sessionManager`.
   */
  Own: "own",
} as const;
export type AwsNetworkKind = (typeof AwsNetworkKind)[keyof typeof AwsNetworkKind];

/** How an instance in a network of its own reaches what it downloads. */
export const NetworkEgress = {
  /** Anything on the internet, through a NAT gateway, and over IPv6 through an egress-only gateway. */
  NatGateway: "natGateway",
  /** The services of AWS that it uses, through endpoints in the network, and nothing else. */
  Endpoints: "endpoints",
} as const;
export type NetworkEgress = (typeof NetworkEgress)[keyof typeof NetworkEgress];

/** The network that an instance is in. */
export interface AwsNetworkArgs {
  /**
   * Decides which other keys there are.
   * @default "existing"
   */
  kind?: AwsNetworkKind;
  /**
   * With kind own: How the instance reaches what it downloads and where it reports. With `endpoints`,
   * everything must come from AWS's services in the stack's region: Triton's image from ECR, models
   * from S3 or this machine. A change keeps the instance. Cost: list prices for us-east-1 in May 2026:
   * a NAT gateway $0.045 an hour and $0.045 per GB, and its public address $0.005 an hour, about $37 a
   * month; an endpoint $0.01 an hour and $0.01 per GB, about $7 a month, of which there are two for
   * Session Manager, two more for an image on ECR, and two more for CloudWatch. S3's endpoint is free,
   * in both cases.
   * @default "natGateway"
   * @example endpoints
   */
  egress?: NetworkEgress;
  /**
   * With kind own: IPv4 addresses of the network, apart from those of networks that it is to be
   * connected with. AWS adds a range of IPv6. A change replaces the network and the instance.
   * @default "10.90.0.0/16"
   */
  cidr?: string;
}

/** Who can reach a load balancer. */
export const LoadBalancerScheme = {
  /** Its network, and those that are connected with it. */
  Internal: "internal",
  /** The internet as well, at public addresses. */
  InternetFacing: "internetFacing",
} as const;
export type LoadBalancerScheme = (typeof LoadBalancerScheme)[keyof typeof LoadBalancerScheme];

/** A network load balancer before a gateway. */
export interface LoadBalancerArgs {
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
   * With `host.subnetId`: subnets of the load balancer, one a zone, one of them in the zone of the
   * instance. With `internetFacing`, public ones.
   * @default the subnet of the instance; without `host.subnetId`, those of the default VPC, or of the
   * network of its own
   * @example ["subnet-0123456789abcdef0"]
   */
  subnetIds?: string[];
}

/** When an instance starts and stops. */
export interface AwsScheduleArgs {
  /**
   * When the instance starts.
   * @default not by the clock
   * @example "cron(0 19 ? * MON-FRI *)"
   */
  start?: string;
  /**
   * When the instance stops, whether or not it is in use. Requests in flight are finished.
   * @default not by the clock
   * @example "cron(0 19 ? * MON-FRI *)"
   */
  stop?: string;
  /**
   * Time zone by whose clock both are read.
   * @default "UTC"
   * @example "Europe/Berlin"
   */
  timeZone?: string;
}

/** What a stack may cost in a month before somebody is told. */
export interface AwsBudgetArgs {
  /**
   * Amount for a calendar month. An integer from 1 to 10000000.
   * @example 500
   */
  amount: pulumi.Input<number>;
  /**
   * Currency of the AWS account's bills.
   * @default "USD"
   */
  unit?: pulumi.Input<string>;
  /**
   * Email addresses that are notified at 80 % and at 100 % of the amount, and when AWS expects more
   * than 100 % by the end of the month.
   * @example ["ops@example.com"]
   */
  notify: pulumi.Input<pulumi.Input<string>[]>;
}

/** Something that a role is allowed to do. */
export interface PolicyStatementArgs {
  /**
   * Name of the statement: letters and digits.
   * @example "ReadModels"
   */
  sid: pulumi.Input<string>;
  /**
   * What may be done.
   * @example ["s3:GetObject"]
   */
  actions: pulumi.Input<pulumi.Input<string>[]>;
  /**
   * ARNs of what it may be done to; `*` only for actions that know no resource.
   * @example ["arn:aws:s3:::my-bucket/*"]
   */
  resources: pulumi.Input<pulumi.Input<string>[]>;
  /**
   * When it may be done: operator, key and values, as in IAM.
   * @default always
   * @example { StringLike: { "s3:prefix": ["models/*"] } }
   */
  conditions?: pulumi.Input<Record<string, pulumi.Input<Record<string, pulumi.Input<string[]>>>>>;
}

/** A step that sets the machine up over SSH, before anything else is done there. */
export interface SetUpStepArgs {
  /**
   * Name of the step, unique in the host.
   * @example "metrics"
   */
  name: string;
  /**
   * Text of a Bash script. It runs again whenever the step changes, so it must be idempotent.
   * @example "apt-get install -y jq"
   */
  script: pulumi.Input<string>;
  /**
   * Arguments of the script; never a secret.
   * @default none
   * @example ["a"]
   */
  arguments?: pulumi.Input<pulumi.Input<string>[]>;
}

/** An EC2 instance with a GPU, as a host. */
export interface AwsGpuHostArgs {
  /**
   * EC2 instance type with NVIDIA GPUs: p3dn, g4dn, p4d, p4de, g5 for Triton 22.06; g4dn, p4d, p4de,
   * g5, g6, g6e, g6f, gr6, gr6f, p5, p5e, p5en, p6-b200, p6-b300, g7, g7e for 26.09. Changing it
   * replaces the instance and everything on it. One of `instanceType` and `instanceTypes` is required.
   * Cost: by the hour.
   * @default the first of `instanceTypes` that AWS has capacity for
   * @example "g4dn.xlarge"
   */
  instanceType?: pulumi.Input<string>;
  /**
   * Instance types to choose from, the preferred one first: the first that AWS has capacity for is
   * taken, and kept as long as it is in the list. Instead of `instanceType`. Cost: by the hour, at the
   * price of the type that is taken.
   * @default `instanceType` alone
   * @example [g5.xlarge, g4dn.xlarge]
   */
  instanceTypes?: string[];
  /**
   * How this machine reaches the instance. `sessionManager` needs the AWS CLI and its Session Manager
   * plugin here, and the right to start sessions (docs/how-to/aws.md). A change keeps the instance and
   * what it serves. Cost: free; in a private subnet, the endpoints that it needs.
   * @default "ssh"
   * @example sessionManager
   */
  access?: HostAccess;
  /**
   * IP address ranges that may connect over SSH. The machine that deploys must be in one of them.
   * Required with `access: ssh`, and only there.
   * @default none, with `access: sessionManager`
   * @example ["203.0.113.7/32"]
   */
  adminCidrs?: pulumi.Input<pulumi.Input<string>[]>;
  /**
   * Whether `adminCidrs` may include the whole internet.
   * @default false
   */
  allowPublicSsh?: pulumi.Input<boolean>;
  /**
   * IP address ranges that may reach the ports of the gateway, which `server.address` must let in.
   * With none, Triton is reached through a tunnel only.
   * @default []
   * @example ["203.0.113.0/24"]
   */
  clientCidrs?: pulumi.Input<pulumi.Input<string>[]>;
  /**
   * Whether to use spare capacity. AWS can stop the instance at two minutes' notice and starts it
   * again when there is capacity. Cost: usually about half of the on-demand price.
   * @default false
   */
  spot?: boolean;
  /**
   * With `spot`: whether the instance is launched on demand if no choice has spare capacity. An
   * instance that is on demand stays so until it is replaced. Cost: the on-demand price.
   * @default false
   */
  onDemandFallback?: boolean;
  /**
   * Whether AWS and Pulumi refuse to terminate or replace the instance. Not with `spot`.
   * @default false
   */
  protect?: boolean;
  /**
   * Address at which the instance is reached. Cost: a public IPv4 address costs about $4 a month.
   * @default `elastic`, or `none` in a network of its own
   */
  publicIp?: PublicIp;
  /**
   * The root volume, which is encrypted and of type gp3.
   * @default {}
   */
  volume?: pulumi.Input<AwsVolumeArgs>;
  /**
   * Key of your own for all that the stack stores on AWS: the root volume, the parameter with the host
   * key, the models' bucket, the image's repository, logs and the alarms' topic. Its key policy must
   * let CloudWatch use it (docs/how-to/aws.md). Another key replaces the instance and the repository.
   * Cost: KMS charges for each key and for requests.
   * @default AWS's own keys; for the volume, the account's default key for EBS
   * @example "arn:aws:kms:us-east-1:111122223333:key/01234567-89ab-cdef-0123-456789abcdef"
   */
  kmsKeyId?: pulumi.Input<string>;
  /**
   * The network of the instance (docs/how-to/aws.md). Another kind replaces the instance.
   * @default {"kind":"existing"}
   * @example { kind: own }
   */
  network?: AwsNetworkArgs;
  /**
   * Policy that limits what the roles that the stack makes can be allowed
   * (docs/reference/permissions.md). A change is made in place. Cost: free.
   * @default none
   * @example "arn:aws:iam::111122223333:policy/xsched-triton-boundary"
   */
  permissionsBoundary?: pulumi.Input<string>;
  /**
   * A network load balancer with a DNS name and a certificate, through which alone clients reach the
   * gateway (docs/how-to/aws.md). It needs `clientCidrs`, which it lets in, and a gateway. A change
   * keeps the instance and what it serves. Cost: list prices for us-east-1 in May 2026: $0.0225 an
   * hour, about $16 a month, and $0.006 for each capacity unit an hour.
   * @default clients reach the gateway at the instance's address
   */
  loadBalancer?: LoadBalancerArgs;
  /**
   * Subnet of the instance.
   * @default one of the default VPC
   * @example "subnet-0123456789abcdef0"
   */
  subnetId?: pulumi.Input<string>;
  /**
   * Whether to create a gateway endpoint for S3 for the instance's subnet, which a subnet without
   * access to the internet needs. Its route table must not have one already. Cost: free.
   * @default false
   */
  createS3Endpoint?: boolean;
  /**
   * Availability zone, for when others are short of capacity. Not with `subnetId`.
   * @default any
   * @example "us-east-1a"
   */
  zone?: pulumi.Input<string>;
  /**
   * Availability zones to choose from, the preferred one first. With several instance types, the first
   * type is tried in each zone before the second. Instead of `zone`; not with `subnetId`.
   * @default `zone` alone, or any
   * @example [us-east-1a, us-east-1b]
   */
  zones?: string[];
  /**
   * Machine image: Debian or Ubuntu with an NVIDIA driver that Triton's release runs on (515 or newer
   * for 22.06, 580 for 26.09), Docker, NVIDIA's container toolkit, cloud-init and the AWS CLI.
   * Changing it replaces the instance.
   * @default AWS's Deep Learning Base AMI with Ubuntu 22.04, the newest when the instance is created
   * @example "ami-0123456789abcdef0"
   */
  ami?: pulumi.Input<string>;
  /**
   * User of the machine image that may use sudo and Docker.
   * @default "ubuntu"
   * @example "root"
   */
  user?: pulumi.Input<string>;
  /**
   * Tags for everything that is created on AWS.
   * @default {}
   * @example { team: "inference" }
   */
  tags?: pulumi.Input<Record<string, pulumi.Input<string>>>;
  /**
   * When the instance starts and stops by itself, by Amazon EventBridge Scheduler. Not with `publicIp:
   * dynamic`. Cost: while it is stopped, the volume and the elastic address cost what they always do.
   * @default it runs until somebody stops it
   * @example { start: "cron(0 7 ? * MON-FRI *)", stop: "cron(0 19 ? * MON-FRI *)", timeZone:
   * Europe/Berlin }
   */
  schedule?: AwsScheduleArgs;
  /**
   * Whom AWS Budgets tells what everything with the stack's tags costs. Both tags must be activated
   * for cost allocation once in the account (docs/how-to/aws.md). Cost: free.
   * @default nobody is told
   * @example { amount: 500, notify: [ops@example.com] }
   */
  budget?: AwsBudgetArgs;
  /**
   * TCP ports for `clientCidrs`.
   * @default [8000,8001]
   * @example [8000]
   */
  clientPorts?: pulumi.Input<pulumi.Input<number>[]>;
  /**
   * ARN of the one ECR repository that the instance may pull from.
   * @default none
   * @example "arn:aws:ecr:us-east-1:111122223333:repository/triton"
   */
  repositoryArn?: pulumi.Input<string>;
  /**
   * What else the instance's role may do, in its inline policy. IAM takes 10,240 characters of inline
   * policies for a role, without white space.
   * @default []
   */
  policyStatements?: pulumi.Input<PolicyStatementArgs[]>;
  /**
   * What else the instance's role may do, in managed policies: one for each list of statements, of at
   * most 6,144 characters. A role has at most 10 of them, unless the account's quota is higher.
   * @default []
   */
  managedPolicies?: PolicyStatementArgs[][];
  /**
   * In a network of its own with `egress: endpoints`: the services of AWS that the instance reaches
   * beside S3, Session Manager and the ECR of `repositoryArn`, by the names of their endpoints. Cost:
   * by the hour, for each.
   * @default []
   * @example [logs, monitoring]
   */
  services?: string[];
  /**
   * What else is set up on the machine over SSH, in this order, before it counts as ready.
   * @default []
   */
  setUp?: SetUpStepArgs[];
}
