import { type Fault, OWN_TAGS } from "../components/settings";
import type { Resource } from "./resource";

/** Types that can have tags, except those that belong to a tagged resource. */
export const TAGGED: ReadonlySet<string> = new Set([
  "aws:acm/certificate:Certificate",
  "aws:budgets/budget:Budget",
  "aws:cloudwatch/compositeAlarm:CompositeAlarm",
  "aws:cloudwatch/eventRule:EventRule",
  "aws:cloudwatch/logGroup:LogGroup",
  "aws:cloudwatch/metricAlarm:MetricAlarm",
  "aws:ebs/volume:Volume",
  "aws:ec2/defaultSecurityGroup:DefaultSecurityGroup",
  "aws:ec2/egressOnlyInternetGateway:EgressOnlyInternetGateway",
  "aws:ec2/eip:Eip",
  "aws:ec2/instance:Instance",
  "aws:ec2/internetGateway:InternetGateway",
  "aws:ec2/keyPair:KeyPair",
  "aws:ec2/launchTemplate:LaunchTemplate",
  "aws:ec2/managedPrefixList:ManagedPrefixList",
  "aws:ec2/natGateway:NatGateway",
  "aws:ec2/routeTable:RouteTable",
  "aws:ec2/securityGroup:SecurityGroup",
  "aws:ec2/spotFleetRequest:SpotFleetRequest",
  "aws:ec2/spotInstanceRequest:SpotInstanceRequest",
  "aws:ec2/subnet:Subnet",
  "aws:ec2/vpc:Vpc",
  "aws:ec2/vpcEndpoint:VpcEndpoint",
  "aws:ecr/repository:Repository",
  "aws:eks/accessEntry:AccessEntry",
  "aws:eks/cluster:Cluster",
  "aws:eks/podIdentityAssociation:PodIdentityAssociation",
  "aws:iam/instanceProfile:InstanceProfile",
  "aws:iam/policy:Policy",
  "aws:iam/role:Role",
  "aws:lb/listener:Listener",
  "aws:lb/loadBalancer:LoadBalancer",
  "aws:lb/targetGroup:TargetGroup",
  "aws:s3/bucket:Bucket",
  "aws:s3/bucketV2:BucketV2",
  "aws:scheduler/scheduleGroup:ScheduleGroup",
  "aws:sns/topic:Topic",
  "aws:ssm/parameter:Parameter",
]);

/** Resources that nobody could trace back to their stack. */
export function missingTags({ type, props }: Resource): readonly Fault[] {
  const tags = props.field("tags");
  if (!TAGGED.has(type) || tags.isUnknown) return [];
  const missing = OWN_TAGS.filter((tag) => !tags.field(tag).isUnknown && tags.field(tag).text === "");
  if (missing.length === 0) return [];
  return [
    tags.fault(
      `tags of project and stack on every resource: ${OWN_TAGS.join(", ")}`,
      `add ${missing.join(", ")}`,
      `without ${missing.join(", ")}`,
    ),
  ];
}
