import { createHash } from "node:crypto";

import { HOST_KEY, PRIVATE_KEY } from "../../unit/settings/context";
import { ACCOUNT, SUBNET } from "./table";

/*
 * What the providers and AWS add to what a stack asks for, as far as the program looks at it. Ids are made up, and so are
 * their likes: the replay puts those in their place that moto gives.
 */

/** Where a stack is. */
export interface Place {
  readonly partition: string;
  readonly dnsSuffix: string;
  readonly region: string;
}

export function placeOf(region: string): Place {
  if (region.startsWith("cn-")) return { partition: "aws-cn", dnsSuffix: "amazonaws.com.cn", region };
  const partition = region.startsWith("us-gov-") ? "aws-us-gov" : "aws";
  return { partition, dnsSuffix: "amazonaws.com", region };
}

type Values = Readonly<Record<string, unknown>>;

const hex = (text: string, digits: number): string =>
  createHash("sha256").update(text).digest("hex").slice(0, digits);

/** A name as Pulumi's bridge makes one: https://www.pulumi.com/docs/iac/concepts/resources/names/ */
const autonamed = (name: string): string => `${name}-${hex(name, 7)}`;

/** The name that the program gives, or else one of the provider's. */
const nameOf = (given: unknown, name: string): string =>
  typeof given === "string" ? given : autonamed(name);

interface Made {
  readonly id: string;
  /** The property that holds the physical name, if the program may leave that to the provider. */
  readonly nameProperty?: string;
  readonly outputs?: Values;
}

type Answer = (name: string, inputs: Values, place: Place) => Made;

const arn =
  (
    service: string,
    resource: (name: string) => string,
    nameProperty: string,
    id: "arn" | "name" = "name",
  ): Answer =>
  (name, inputs, { partition, region }) => {
    const called = nameOf(inputs[nameProperty], name);
    const at = service === "iam" ? "" : region;
    const own = `arn:${partition}:${service}:${at}:${ACCOUNT}:${resource(called)}`;
    return { id: id === "arn" ? own : called, nameProperty, outputs: { arn: own } };
  };

const balancing = (resource: string, { partition, region }: Place): string =>
  `arn:${partition}:elasticloadbalancing:${region}:${ACCOUNT}:${resource}`;

/** Another resource's part, which has no name of its own and is identified by that resource. */
const part =
  (property: string): Answer =>
  (_, inputs) => ({ id: String(inputs[property]) });

const identified =
  (prefix: string, outputs: (name: string, place: Place, inputs: Values) => Values = () => ({})): Answer =>
  (name, inputs, place) => ({
    id: `${prefix}-0${hex(`${prefix} ${name}`, 16)}`,
    outputs: outputs(name, place, inputs),
  });

const RESOURCES: Readonly<Record<string, Answer>> = {
  "aws:ec2/instance:Instance": identified("i", (name, { partition, region }, inputs) => ({
    arn: `arn:${partition}:ec2:${region}:${ACCOUNT}:instance/i-0${hex(`i ${name}`, 16)}`,
    publicIp: "203.0.113.9",
    privateIp: "172.31.0.9",
    ami: inputs.ami,
    availabilityZone: inputs.availabilityZone ?? `${region}a`,
    subnetId: inputs.subnetId ?? SUBNET,
    spotInstanceRequestId: `sir-${hex(name, 8)}`,
    rootBlockDevice: inputs.rootBlockDevice,
  })),
  "aws:ec2/securityGroup:SecurityGroup": (name, inputs) => ({
    id: `sg-0${hex(name, 16)}`,
    nameProperty: "name",
    outputs: { vpcId: inputs.vpcId ?? `vpc-0${hex("default", 16)}` },
  }),
  "aws:ec2/eip:Eip": identified("eipalloc", () => ({ publicIp: "203.0.113.10" })),
  "aws:ec2/vpcEndpoint:VpcEndpoint": identified("vpce"),
  "aws:ec2/vpc:Vpc": identified("vpc", () => ({ ipv6CidrBlock: "2001:db8:1234:1a00::/56" })),
  "aws:ec2/subnet:Subnet": identified("subnet"),
  "aws:ec2/defaultSecurityGroup:DefaultSecurityGroup": identified("sg"),
  "aws:ec2/internetGateway:InternetGateway": identified("igw"),
  "aws:ec2/egressOnlyInternetGateway:EgressOnlyInternetGateway": identified("eigw"),
  "aws:ec2/natGateway:NatGateway": identified("nat"),
  "aws:ec2/routeTable:RouteTable": identified("rtb"),
  "aws:ec2/route:Route": identified("r"),
  "aws:ec2/routeTableAssociation:RouteTableAssociation": identified("rtbassoc"),
  "aws:lb/loadBalancer:LoadBalancer": (name, inputs, place) => {
    const path = `net/${nameOf(inputs.name, name)}/${hex(name, 16)}`;
    const own = balancing(`loadbalancer/${path}`, place);
    const dnsName = `${nameOf(inputs.name, name)}-${hex(name, 16)}.elb.${place.region}.${place.dnsSuffix}`;
    return {
      id: own,
      nameProperty: "name",
      outputs: { arn: own, arnSuffix: path, dnsName, zoneId: "Z26RNL4JYFTOTI" },
    };
  },
  "aws:lb/targetGroup:TargetGroup": (name, inputs, place) => {
    const path = `targetgroup/${nameOf(inputs.name, name)}/${hex(name, 16)}`;
    const own = balancing(path, place);
    return { id: own, nameProperty: "name", outputs: { arn: own, arnSuffix: path } };
  },
  "aws:lb/listener:Listener": (name, { loadBalancerArn }) => {
    const own = `${String(loadBalancerArn).replace(":loadbalancer/", ":listener/")}/${hex(name, 16)}`;
    return { id: own, outputs: { arn: own } };
  },
  "aws:lb/targetGroupAttachment:TargetGroupAttachment": (name, { targetGroupArn }) => ({
    id: `${String(targetGroupArn)}-${hex(name, 26)}`,
  }),
  "aws:acm/certificate:Certificate": (name, { domainName }, { partition, region }) => {
    const own = `arn:${partition}:acm:${region}:${ACCOUNT}:certificate/${hex(name, 8)}-0000-4000-8000-${hex(name, 12)}`;
    const proof = {
      domainName,
      resourceRecordName: `_${hex(name, 32)}.${String(domainName)}.`,
      resourceRecordType: "CNAME",
      resourceRecordValue: `_${hex(`${name} value`, 32)}.acm-validations.aws.`,
    };
    return { id: own, outputs: { arn: own, domainValidationOptions: [proof] } };
  },
  "aws:acm/certificateValidation:CertificateValidation": (_, { certificateArn }) => ({
    id: String(certificateArn),
  }),
  "aws:route53/record:Record": (_, { zoneId, name, type }) => ({
    id: `${String(zoneId)}_${String(name)}_${String(type)}`,
    outputs: { fqdn: name },
  }),
  "aws:ec2/keyPair:KeyPair": (name, inputs) => ({
    id: nameOf(inputs.keyName, name),
    nameProperty: "keyName",
  }),
  "aws:iam/role:Role": arn("iam", (name) => `role/${name}`, "name"),
  "aws:iam/instanceProfile:InstanceProfile": arn("iam", (name) => `instance-profile/${name}`, "name"),
  "aws:iam/rolePolicy:RolePolicy": (name, { role }) => ({
    id: `${String(role)}:${autonamed(name)}`,
    nameProperty: "name",
  }),
  "aws:iam/policy:Policy": arn("iam", (name) => `policy/${name}`, "name", "arn"),
  "aws:iam/rolePolicyAttachment:RolePolicyAttachment": (_, { role, policyArn }) => ({
    id: `${String(role)}/${String(policyArn)}`,
  }),
  "aws:ssm/parameter:Parameter": (name, inputs, place) => {
    const made = arn("ssm", (called) => `parameter${called}`, "name")(name, inputs, place);
    return { ...made, outputs: { ...made.outputs, region: place.region } };
  },
  "aws:kms/grant:Grant": (name, { keyId }) => ({
    id: `${String(keyId)}:${hex(name, 64)}`,
    outputs: { grantId: hex(name, 64) },
  }),
  "aws:ecr/repository:Repository": (name, inputs, place) => {
    const made = arn("ecr", (called) => `repository/${called}`, "name")(name, inputs, place);
    const { region, dnsSuffix } = place;
    const repositoryUrl = `${ACCOUNT}.dkr.ecr.${region}.${dnsSuffix}/${made.id}`;
    return { ...made, outputs: { ...made.outputs, registryId: ACCOUNT, region, repositoryUrl } };
  },
  "aws:ecr/lifecyclePolicy:LifecyclePolicy": part("repository"),
  "aws:s3/bucket:Bucket": (name, inputs, { partition }) => {
    const id = nameOf(inputs.bucket, name);
    return { id, nameProperty: "bucket", outputs: { arn: `arn:${partition}:s3:::${id}` } };
  },
  "aws:s3/bucketPublicAccessBlock:BucketPublicAccessBlock": part("bucket"),
  "aws:s3/bucketOwnershipControls:BucketOwnershipControls": part("bucket"),
  "aws:s3/bucketServerSideEncryptionConfiguration:BucketServerSideEncryptionConfiguration": part("bucket"),
  "aws:s3/bucketPolicy:BucketPolicy": part("bucket"),
  "aws:s3/bucketVersioning:BucketVersioning": part("bucket"),
  "aws:s3/bucketLifecycleConfiguration:BucketLifecycleConfiguration": part("bucket"),
  "aws:s3/bucketObjectv2:BucketObjectv2": (name, { key }) => ({
    id: String(key),
    outputs: { etag: hex(name, 32) },
  }),
  "aws:cloudwatch/logGroup:LogGroup": arn("logs", (name) => `log-group:${name}`, "name"),
  "aws:cloudwatch/metricAlarm:MetricAlarm": arn("cloudwatch", (name) => `alarm:${name}`, "name"),
  "aws:cloudwatch/compositeAlarm:CompositeAlarm": arn("cloudwatch", (name) => `alarm:${name}`, "alarmName"),
  "aws:scheduler/scheduleGroup:ScheduleGroup": arn("scheduler", (name) => `schedule-group/${name}`, "name"),
  "aws:scheduler/schedule:Schedule": (name, { groupName }) => ({
    id: `${String(groupName)}/${autonamed(name)}`,
    nameProperty: "name",
  }),
  "aws:budgets/budget:Budget": (name, _, { partition }) => ({
    id: `${ACCOUNT}:${autonamed(name)}`,
    nameProperty: "name",
    outputs: {
      accountId: ACCOUNT,
      name: autonamed(name),
      arn: `arn:${partition}:budgets::${ACCOUNT}:budget/${autonamed(name)}`,
    },
  }),
  "aws:cloudwatch/dashboard:Dashboard": (_, { dashboardName }) => ({ id: String(dashboardName) }),
  "aws:cloudwatch/eventRule:EventRule": arn("events", (name) => `rule/${name}`, "name"),
  "aws:cloudwatch/eventTarget:EventTarget": (name, { rule }) => ({
    id: `${String(rule)}-${hex(name, 7)}`,
    outputs: { targetId: `terraform-${hex(name, 26)}` },
  }),
  "aws:sns/topic:Topic": arn("sns", (name) => name, "name", "arn"),
  "aws:sns/topicSubscription:TopicSubscription": (name, { topic }) => {
    const own = `${String(topic)}:${hex(name, 8)}-0000-4000-8000-${hex(name, 12)}`;
    return { id: own, outputs: { arn: own } };
  },
};

/** Of other providers. */
function elsewhere(type: string, name: string, inputs: Values): Values {
  switch (type) {
    case "tls:index/privateKey:PrivateKey":
      return { privateKeyOpenssh: PRIVATE_KEY, publicKeyOpenssh: HOST_KEY };
    case "docker-build:index:Image":
      return { digest: `sha256:${"0".repeat(64)}` };
    case "command:local:Command": {
      const { CHOICES: choices, LAUNCH: launch } = (inputs.environment ?? {}) as Record<string, string>;
      if (choices !== undefined) {
        const [first] = JSON.parse(choices) as [object];
        return { stdout: JSON.stringify({ ...first, passedOver: [], launch }) };
      }
      if (name.endsWith("-base") || name.endsWith("-builder"))
        return { stdout: JSON.stringify({ digest: `sha256:${"1".repeat(64)}` }) };
      return { stdout: onHost(name) };
    }
    case "command:remote:Command":
      return { stdout: onHost(name) };
    default:
      return {};
  }
}

const onHost = (name: string): string =>
  name.endsWith("-directory")
    ? "/home/ubuntu/.xsched-triton"
    : `xsched-triton-result {"gpus":[],"docker":true,"version":"2.23.0","digest":"${"2".repeat(64)}"}`;

/** A resource's id, and all that it has beside what it was given. */
export function answer(
  type: string,
  name: string,
  inputs: Values,
  place: Place,
): { readonly id: string; readonly outputs: Values } {
  const known = RESOURCES[type];
  if (known === undefined) {
    if (type.startsWith("aws:")) {
      throw new Error(
        `${type}: AWS's answer is not known\n` +
          "fix: add it to test/aws/stacks/answers.ts, and what the provider calls to test/aws/replay/resources.py",
      );
    }
    return { id: `${name}-id`, outputs: elsewhere(type, name, inputs) };
  }
  const { id, nameProperty, outputs = {} } = known(name, inputs, place);
  return {
    id,
    outputs: {
      ...(nameProperty !== undefined && { [nameProperty]: inputs[nameProperty] ?? autonamed(name) }),
      ...outputs,
    },
  };
}

/** What a function of the provider answers. */
export function answerCall(token: string, inputs: Values, place: Place): Values {
  switch (token) {
    case "aws:index/getPartition:getPartition":
      return {
        partition: place.partition,
        dnsSuffix: place.dnsSuffix,
        reverseDnsPrefix: place.dnsSuffix.split(".").reverse().join("."),
      };
    case "aws:ec2/getSubnet:getSubnet":
      return {
        ...{ id: inputs.id, vpcId: `vpc-0${hex("own", 16)}`, mapPublicIpOnLaunch: true },
        availabilityZone: `${place.region}a`,
      };
    case "aws:ec2/getSubnets:getSubnets":
      return { ids: ["a", "b"].map((zone) => `subnet-0${hex(zone, 16)}`) };
    case "aws:ec2/getVpc:getVpc":
      return { id: inputs.id, mainRouteTableId: `rtb-0${hex("main", 16)}` };
    case "aws:ec2/getRouteTables:getRouteTables":
      return { ids: [] };
    case "aws:ssm/getParameter:getParameter":
      return { name: inputs.name, insecureValue: "ami-0123456789abcdef0" };
    case "aws:ecr/getAuthorizationToken:getAuthorizationToken":
      return { userName: "AWS", password: "password" };
    default:
      if (!token.startsWith("aws:")) return inputs;
      throw new Error(
        `${token}: AWS's answer is not known\n` +
          "fix: add it to test/aws/stacks/answers.ts, and what the provider calls to test/aws/replay/resources.py",
      );
  }
}
