import * as fs from "node:fs";
import * as path from "node:path";

import * as command from "@pulumi/command";
import * as pulumi from "@pulumi/pulumi";

import {
  currentPartition,
  policyDocument,
  sdk,
  SPOT_OPERATIONS,
  spotRole,
  tagsOf,
  useThroughServices,
} from "../../aws";
import {
  awsInstance,
  type AwsGpuHostArgs,
  awsGpuHostInputs,
  ComponentInputs,
  HostAccess,
  type KnownBy,
  LoadBalancerScheme,
  policyStatements as policyStatementsRule,
  PublicIp,
  repositoryArn as repositoryArnRule,
  type SetUpStepArgs,
  type SshConnectionArgs,
} from "../../settings";
import { HostError } from "../hostError";
import { machineCommand } from "../overSsh";
import { shellQuote } from "../shellQuote";
import { sessionTunnel } from "./access";
import { AMI_PARAMETER } from "./ami";
import { balancerGroup, balancerSubnets, type LoadBalancerPlace } from "./balancerPlace";
import { type Budget, costBudget } from "./budget";
import { type Choice, choicesOf, isToBeChosen } from "./choices";
import { chosenPlace } from "./chosenPlace";
import { ingress } from "./ingress";
import { REGISTRY_SERVICES } from "./endpointServices";
import { type OwnNetwork, ownNetwork } from "./ownNetwork";
import { instanceStatements, instanceTrust } from "./role";
import { s3Endpoint } from "./s3Endpoint";
import { runningTimes } from "./schedule";
import { userData } from "./userData";

/** Dial attempts until a new machine counts as unreachable: about 6 minutes; a first boot takes 1 to 3. */
const FIRST_BOOT_ATTEMPTS = 80;

/** Seconds for cloud-init after the SSH server has started. */
const CLOUD_INIT_SECONDS = 600;

/** The instance of each host: as a property, it would be an output of the component. */
const INSTANCES = new WeakMap<AwsGpuHost, pulumi.Resource>();

/** A network that was made for an instance. */
export interface InstanceNetwork {
  /** Id of the VPC. */
  readonly vpcId: string;
  /** Id of the route table of the private subnets, for routes to networks that you connect with this one. */
  readonly routeTableId: string;
  /** Ids of the private subnets by their zones. */
  readonly subnets: Record<string, string>;
}

/**
 * An EC2 instance with a GPU, as a host to reach over SSH. Only `adminCidrs` and `clientCidrs` can connect to it, or with
 * `access: "sessionManager"` only `clientCidrs`. Its host key is known before it boots, and its role may do only what a
 * deployment needs.
 *
 * @example
 * ```ts
 * const machine = new AwsGpuHost("machine", { instanceType: "g5.xlarge", adminCidrs: ["203.0.113.7/32"] });
 * new TritonHost("host", { ssh: machine.ssh, proxied: machine.proxied }, { deletedWith: machine.instance });
 * ```
 */
export class AwsGpuHost extends pulumi.ComponentResource {
  /** How to reach the machine; known when it is ready. */
  public readonly ssh: pulumi.Output<SshConnectionArgs>;
  /** Whether Session Manager leads to it: `proxied` of everything that gets `ssh`. */
  public readonly proxied: boolean;
  /** Command that leads to its SSH server, as OpenSSH's `ProxyCommand`. Absent where its address does. */
  public readonly proxyCommand?: pulumi.Output<string>;
  /** Address that it is reached at; with Session Manager, by clients only. */
  public readonly address: pulumi.Output<string>;
  /** Id of the instance. */
  public readonly instanceId: pulumi.Output<string>;
  /** Id of the machine image that the instance was made of. */
  public readonly amiId: pulumi.Output<string>;
  /** Name of the instance's role. */
  public readonly roleName: pulumi.Output<string>;
  /** Id of the instance's security group. */
  public readonly securityGroupId: pulumi.Output<string>;
  /** The machine's public SSH key, `ssh-ed25519 AAAA…`. */
  public readonly hostKey: pulumi.Output<string>;
  /** The private key to log in with. A secret. */
  public readonly privateKey: pulumi.Output<string>;
  /** Region of the instance. */
  public readonly region: pulumi.Output<string>;
  /** Type of the instance. */
  public readonly instanceType: pulumi.Output<string>;
  /** Availability zone of the instance. */
  public readonly zone: pulumi.Output<string>;
  /** Whether the instance is on spot capacity. */
  public readonly onSpot: pulumi.Output<boolean>;
  /** With several choices, those that AWS had no capacity for before it had the one that was taken, each with AWS's reason. */
  public readonly passedOver: pulumi.Output<string[]>;
  /** The network that was made for the instance. Absent without one. */
  public readonly network?: pulumi.Output<InstanceNetwork>;
  /** Where a load balancer is to be that is before the instance. Absent without `loadBalancer`. */
  public readonly loadBalancer?: pulumi.Output<LoadBalancerPlace>;
  /** ARN of the key that the instance's volume is encrypted with; empty where AWS does not say. */
  public readonly volumeKeyId: pulumi.Output<string>;
  /** Name of the group of schedules that start and stop the instance. Absent without `schedule`. */
  public readonly scheduleGroup?: pulumi.Output<string>;

  public constructor(name: string, args: AwsGpuHostArgs, opts?: pulumi.ComponentResourceOptions) {
    const inputs = new ComponentInputs("AwsGpuHost", name, awsGpuHostInputs, args);
    super("xsched-triton:index:AwsGpuHost", name, {}, opts);
    const {
      policyStatements,
      managedPolicies,
      setUp,
      spot,
      protect,
      access: way,
      createS3Endpoint,
      schedule,
      loadBalancer,
    } = inputs.known;
    const publicIp = addressOf(inputs.known);
    const wanted = inputs.resolvePart(awsInstance);
    const repositoryArn = inputs.resolveOptional(repositoryArnRule, "repositoryArn");
    const statements = inputs.resolve(policyStatementsRule, policyStatements, "policyStatements");
    const child = { parent: this };
    const tags = tagsOf(name, wanted.tags);

    const own = args.kmsKeyId === undefined ? undefined : (wanted.kmsKeyId as pulumi.Output<string>);

    const hostKey = new sdk.tls.PrivateKey(`${name}-host-key`, { algorithm: "ED25519" }, child);
    const loginKey = new sdk.tls.PrivateKey(`${name}-login-key`, { algorithm: "ED25519" }, child);
    const login = new sdk.ec2.KeyPair(`${name}-login`, { publicKey: loginKey.publicKeyOpenssh, tags }, child);
    const parameter = new sdk.ssm.Parameter(
      `${name}-host-key-parameter`,
      {
        // A generated name could begin with what AWS reserves, and would make user data unknown in a preview.
        name: `/xsched-triton/${pulumi.getProject()}/${pulumi.getStack()}/${name}/ssh-host-key`,
        type: "SecureString",
        value: hostKey.privateKeyOpenssh,
        keyId: own,
        tags,
      },
      // A component that gets another name keeps its parameter, and so its instance.
      { ...child, ignoreChanges: ["name"] },
    );

    const assumeRolePolicy = currentPartition(child).apply(instanceTrust);
    const permissionsBoundary =
      args.permissionsBoundary === undefined ? undefined : wanted.permissionsBoundary;
    const role = new sdk.iam.Role(`${name}-role`, { assumeRolePolicy, permissionsBoundary, tags }, child);
    const policy = new sdk.iam.RolePolicy(
      `${name}-policy`,
      {
        role: role.name,
        policy: pulumi
          .all([parameter.arn, repositoryArn, own, statements])
          .apply(([parameterArn, repository, key, more]) =>
            policyDocument([
              ...instanceStatements(parameterArn, repository),
              ...(key === undefined ? [] : [useThroughServices(key)]),
              ...more,
            ]),
          ),
      },
      child,
    );
    const further = managedPolicies.flatMap((each, index) => {
      const called = `${name}-policy-${index + 1}`;
      const allowed = inputs.resolve(policyStatementsRule, each, "managedPolicies", index);
      const managed = new sdk.iam.Policy(called, { policy: allowed.apply(policyDocument), tags }, child);
      return [
        managed,
        new sdk.iam.RolePolicyAttachment(called, { role: role.name, policyArn: managed.arn }, child),
      ];
    });
    const profile = new sdk.iam.InstanceProfile(`${name}-profile`, { role: role.name, tags }, child);

    const subnet =
      args.subnetId === undefined
        ? undefined
        : sdk.ec2.getSubnetOutput({ id: wanted.subnetId as pulumi.Output<string> }, child);
    const registry = args.repositoryArn === undefined ? [] : REGISTRY_SERVICES;
    const network = this.ownNetwork(name, inputs.known, registry, parameter.region, tags);
    const vpcId = network?.vpcId ?? subnet?.vpcId;
    const balancer =
      loadBalancer === undefined ? undefined : balancerGroup(`${name}-clients`, wanted, vpcId, tags, child);
    const access = new sdk.ec2.SecurityGroup(
      `${name}-access`,
      {
        description: "SSH for administrators, inference for clients",
        vpcId,
        // Here and not as separate resources, so that a rule that someone adds by hand is removed again.
        ingress: pulumi.all([wanted, balancer?.id]).apply(([known, group]) => ingress(known, group)),
        egress: [
          { protocol: "-1", fromPort: 0, toPort: 0, cidrBlocks: ["0.0.0.0/0"], ipv6CidrBlocks: ["::/0"] },
        ],
        tags,
      },
      child,
    );

    // AWS itself starts a spot instance, now and after each stop.
    const grant =
      spot && own !== undefined
        ? new sdk.kms.Grant(
            `${name}-spot-key`,
            {
              keyId: own,
              granteePrincipal: parameter.arn.apply(spotRole),
              operations: [...SPOT_OPERATIONS],
            },
            child,
          )
        : undefined;
    // Without the policy or a way to AWS, the first boot would wait for its host key.
    const before = [policy, ...further, ...(grant === undefined ? [] : [grant]), ...(network?.ways ?? [])];
    const choices = wanted.apply(choicesOf);
    const place = isToBeChosen(inputs.known)
      ? chosenPlace(
          `${name}-place`,
          {
            choices,
            region: parameter.region,
            image: wanted.apply(({ ami }) => ami ?? `resolve:ssm:${AMI_PARAMETER}`),
            subnets: network?.subnets,
            launch: wanted.apply(({ ami, kmsKeyId, subnetId }) => ({
              ...{ ami, kmsKeyId, subnetId },
              publicIp: publicIp !== PublicIp.None,
              network: rangeOf(inputs.known),
            })),
            tags,
          },
          // After all that the instance needs, so that it comes next.
          { ...child, dependsOn: [...before, login, profile, access] },
        )
      : choices.apply(([only]): Choice => only);
    const instance = new sdk.ec2.Instance(
      `${name}-instance`,
      {
        ami: args.ami === undefined ? newestAmi(child) : wanted.ami,
        instanceType: place.instanceType,
        keyName: login.keyName,
        iamInstanceProfile: profile.name,
        vpcSecurityGroupIds: [access.id],
        subnetId:
          network === undefined
            ? publicIp === PublicIp.Dynamic
              ? subnet?.apply(withPublicAddresses)
              : wanted.subnetId
            : pulumi.all([network.subnets, place]).apply(([subnets, { zone = "" }]) => subnets[zone]),
        // A subnet is in one zone.
        availabilityZone:
          args.subnetId === undefined && network === undefined ? place.apply(({ zone }) => zone) : undefined,
        // Only ever to forbid one: AWS shows true as false while the instance is stopped, and a change replaces it.
        associatePublicIpAddress: publicIp === PublicIp.None ? false : undefined,
        userData: pulumi
          .all([parameter.region, parameter.name])
          .apply(([region, hostKeyParameter]) => userData({ region, hostKeyParameter })),
        metadataOptions: {
          httpEndpoint: "enabled",
          httpTokens: "required",
          // A container, behind a bridge, gets no answer.
          httpPutResponseHopLimit: 1,
          instanceMetadataTags: "disabled",
        },
        rootBlockDevice: {
          volumeType: "gp3",
          volumeSize: wanted.volume.size,
          throughput: wanted.volume.throughput,
          iops: wanted.volume.iops,
          encrypted: true,
          kmsKeyId: own,
          deleteOnTermination: true,
          tags,
        },
        instanceMarketOptions: spot ? place.apply((chosen) => (chosen.spot ? SPOT : undefined)) : undefined,
        instanceInitiatedShutdownBehavior: "stop",
        disableApiTermination: protect,
        ebsOptimized: true,
        tags,
      },
      {
        ...child,
        protect,
        dependsOn: before,
        // EC2 can change the type of an instance that is stopped, but what is on it is made for one GPU.
        replaceOnChanges: ["instanceType"],
        // A newer AMI than the one that the instance was created from is no reason to replace it.
        ignoreChanges: args.ami === undefined ? ["ami"] : [],
      },
    );

    if (spot) {
      const request = instance.spotInstanceRequestId;
      const words = ["bash", "-c", CANCEL_SPOT_REQUEST, "cancel-spot-request.sh"];
      new command.local.Command(
        `${name}-spot-request`,
        {
          delete: pulumi
            .all([parameter.region, request])
            // On demand, after all, there is no request.
            .apply(([region, id]) => (id === "" ? "true" : shellQuote([...words, region, id]))),
          triggers: [request],
          interpreter: ["/bin/bash", "-c"],
          addPreviousOutputInEnv: false,
          logging: command.local.Logging.Stderr,
        },
        child,
      );
    }

    INSTANCES.set(this, instance);
    this.instanceId = instance.id;
    this.amiId = instance.ami;
    this.instanceType = instance.instanceType;
    this.zone = instance.availabilityZone;
    this.onSpot = place.apply((chosen) => chosen.spot);
    this.passedOver = pulumi
      .output<Choice & { readonly passedOver?: readonly string[] }>(place)
      .apply(({ passedOver = [] }) => [...passedOver]);
    this.roleName = role.name;
    this.securityGroupId = access.id;
    // The account's default key for EBS may be the customer's, too.
    this.volumeKeyId = instance.rootBlockDevice.apply(keyOfVolume);
    if (createS3Endpoint) {
      const subnetId =
        args.subnetId === undefined ? instance.subnetId : (wanted.subnetId as pulumi.Output<string>);
      const place = { vpcId: access.vpcId, subnetId, region: parameter.region };
      s3Endpoint(`${name}-s3`, place, tags, child);
    }
    if (network !== undefined) {
      const { vpcId: id, routeTableId, subnets } = network;
      this.network = pulumi.output({ vpcId: id, routeTableId, subnets });
    }
    if (loadBalancer !== undefined && balancer !== undefined) {
      const { scheme, subnetIds } = loadBalancer;
      const site = { scheme, subnetIds, subnet, network, vpcId: access.vpcId };
      this.loadBalancer = pulumi.output({
        vpcId: access.vpcId,
        subnetIds: balancerSubnets(site, child),
        securityGroupId: balancer.id,
      });
    }
    if (schedule !== undefined) {
      const scheduled = { instanceId: instance.id, arn: instance.arn, volumeKeyId: this.volumeKeyId };
      this.scheduleGroup = runningTimes(name, schedule, scheduled, { permissionsBoundary, tags }, child);
    }
    if (args.budget !== undefined) {
      costBudget(`${name}-budget`, wanted.budget as pulumi.Output<Budget>, tags, child);
    }
    this.region = parameter.region;
    this.address = this.reachableAt(name, publicIp, instance, tags, protect);
    this.hostKey = hostKey.publicKeyOpenssh.apply((line) => line.trim());
    this.privateKey = pulumi.secret(loginKey.privateKeyOpenssh);
    this.proxied = way === HostAccess.SessionManager;
    if (this.proxied) {
      this.proxyCommand = pulumi
        .all([instance.id, parameter.region])
        .apply(([instanceId, region]) => sessionTunnel({ instanceId, region, profile: sdk.config.profile }));
    }
    const connection = {
      address: this.address,
      user: wanted.user,
      privateKey: this.privateKey,
      hostKey: this.hostKey,
      machine: instance.id,
      ...(this.proxyCommand !== undefined && { proxyCommand: this.proxyCommand }),
    };
    this.ssh = this.whenReady(name, pulumi.output(connection), setUp);
    this.registerOutputs({
      address: this.address,
      instanceId: this.instanceId,
      amiId: this.amiId,
      instanceType: this.instanceType,
      zone: this.zone,
      onSpot: this.onSpot,
      passedOver: this.passedOver,
      roleName: this.roleName,
      securityGroupId: this.securityGroupId,
      region: this.region,
      hostKey: this.hostKey,
      volumeKeyId: this.volumeKeyId,
      // Nothing new for an instance elsewhere.
      ...(this.network !== undefined && { network: this.network }),
      ...(this.loadBalancer !== undefined && { loadBalancer: this.loadBalancer }),
    });
  }

  /**
   * The instance, for the resource option `deletedWith` of everything on the machine: nothing needs to be cleaned up
   * on a machine that is deleted.
   */
  public get instance(): pulumi.Resource {
    return INSTANCES.get(this) ?? this;
  }

  /** A network for the instance, if it is to have one of its own. */
  private ownNetwork(
    name: string,
    { network, zone, zones, services, loadBalancer }: Located,
    registry: readonly string[],
    region: pulumi.Output<string>,
    tags: pulumi.Output<Record<string, string>>,
  ): OwnNetwork | undefined {
    if (network.kind !== "own") return undefined;
    const { cidr, egress } = network;
    // The checks let only names through, and at least one.
    const names = (zones ?? [zone]) as unknown as [string, ...string[]];
    const reached = [...registry, ...services];
    const publicSubnets = loadBalancer?.scheme === LoadBalancerScheme.InternetFacing;
    return ownNetwork(
      name,
      { cidr, egress, zones: names, services: reached, publicSubnets, region, tags },
      { parent: this },
    );
  }

  private reachableAt(
    name: string,
    kind: PublicIp,
    instance: {
      id: pulumi.Output<string>;
      publicIp: pulumi.Output<string>;
      privateIp: pulumi.Output<string>;
    },
    tags: pulumi.Output<Record<string, string>>,
    protect: boolean,
  ): pulumi.Output<string> {
    switch (kind) {
      case PublicIp.Elastic:
        return new sdk.ec2.Eip(
          `${name}-address`,
          { domain: "vpc", instance: instance.id, tags },
          { parent: this, protect },
        ).publicIp;
      case PublicIp.Dynamic:
        return instance.publicIp;
      case PublicIp.None:
        return instance.privateIp;
    }
  }

  /** The same connection, known when the machine has booted and each step is done. */
  private whenReady(
    name: string,
    connection: pulumi.Output<SshConnectionArgs>,
    steps: readonly SetUpStepArgs[],
  ): pulumi.Output<SshConnectionArgs> {
    const ready = [
      { name: "ready", script: WAIT_UNTIL_READY, arguments: [String(CLOUD_INIT_SECONDS)] },
      ...steps,
    ];
    return ready.reduce((reached, { name: step, script, arguments: words = [] }, index) => {
      const done = machineCommand(
        `${name}-${step}`,
        {
          create: pulumi.output(words).apply((known) => shellQuote(["bash", "-s", "--", ...known])),
          stdin: script,
          triggers: [this.instanceId],
        },
        {
          ssh: reached,
          proxied: this.proxied,
          attempts: index === 0 ? FIRST_BOOT_ATTEMPTS : undefined,
        },
        { parent: this, deletedWith: this.instance, deleteBeforeReplace: true },
      );
      return pulumi.all([reached, done.id]).apply(([known]) => known);
    }, connection);
  }
}

/** Where an instance is. */
type Located = Pick<
  KnownBy<typeof awsGpuHostInputs>,
  "loadBalancer" | "network" | "publicIp" | "services" | "zone" | "zones"
>;

/** In a network of its own, an instance has a private address alone. */
function addressOf({ network, publicIp }: Located): PublicIp {
  return publicIp ?? (network.kind === "own" ? PublicIp.None : PublicIp.Elastic);
}

/** The range of a network of its own. */
function rangeOf({ network }: Located): string | undefined {
  return network.kind === "own" ? network.cidr : undefined;
}

/** Where nothing is known of the volume, as in tests of a program, nor is its key. */
function keyOfVolume(volume: { readonly kmsKeyId?: string } | undefined): string {
  return volume?.kmsKeyId ?? "";
}

/** The id of a subnet that gives its instances public addresses. */
function withPublicAddresses(subnet: { id: string; mapPublicIpOnLaunch: boolean }): string {
  if (subnet.mapPublicIpOnLaunch) return subnet.id;
  throw new HostError(
    `publicIp is dynamic, but ${subnet.id} gives its instances no public addresses`,
    "set publicIp to elastic or none, or choose a subnet that gives them",
  );
}

/** AWS stops the instance when it takes it back, and starts it when there is capacity again. */
const SPOT = {
  marketType: "spot",
  spotOptions: { spotInstanceType: "persistent", instanceInterruptionBehavior: "stop" },
};

const CANCEL_SPOT_REQUEST = fs.readFileSync(path.join(__dirname, "cancel-spot-request.sh"), "utf8");

const WAIT_UNTIL_READY = fs.readFileSync(path.join(__dirname, "wait-until-ready.sh"), "utf8");

function newestAmi(opts: pulumi.InvokeOptions): pulumi.Output<string> {
  // Any parameter counts as a secret, also a public one.
  return pulumi.unsecret(sdk.ssm.getParameterOutput({ name: AMI_PARAMETER }, opts).insecureValue);
}
