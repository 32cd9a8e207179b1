import { tagsField } from "./awsHostSettings";
import { checkCertificate, loadBalancerFields } from "./awsLoadBalancerSettings";
import {
  boolean,
  defaulted,
  integer,
  list,
  object,
  plain,
  required,
  refuseRepeats,
  type Rule,
  text,
} from "./rules";
import { portFields, refusePortClash } from "./serverSettings";

/* The arguments of an `AwsLoadBalancer`. */

const id = (what: string, prefix: string): Rule<string> =>
  text({
    allowed: `the id of ${what}`,
    example: `${prefix}-0123456789abcdef0`,
    refuse: (value) =>
      new RegExp(`^${prefix}-(?:[0-9a-f]{8}|[0-9a-f]{17})$`).test(value)
        ? undefined
        : "pass the one of an AwsGpuHost that has loadBalancer",
  });

const region = text({
  allowed: "the name of a region of AWS",
  example: "us-east-1",
  refuse: (value) => (/^[a-z]{2}(-[a-z]+)+-\d$/.test(value) ? undefined : "pass region of the AwsGpuHost"),
});

/** https://docs.aws.amazon.com/elasticloadbalancing/latest/network/edit-target-group-attributes.html#deregistration-delay */
export const LONGEST_DELAY = 3600;

/** The instance behind a load balancer. Not among what the load balancer is made of, which stays when another one takes over. */
export const balancedInstance = id("an EC2 instance", "i");

const balancerFields = {
  vpcId: required(id("a VPC", "vpc"), "VPC of the load balancer and its instance."),
  subnetIds: required(
    list(id("a subnet", "subnet"), {
      allowed: "a list of ids of subnets, at least one and none twice",
      minimum: 1,
      check: refuseRepeats,
    }),
    "Subnets of the load balancer, one a zone.",
  ),
  securityGroupId: required(
    id("a security group", "sg"),
    "Security group of the load balancer, which says who may reach it.",
  ),
  region: required(region, "Region of the instance."),
  ...portFields,
  metrics: plain(defaulted(boolean, false, "Whether clients can read the metrics, at the metrics port.")),
  tls: defaulted(
    boolean,
    true,
    "Whether the gateway has TLS, so that the load balancer speaks it as well. Which certificate the gateway has is not looked at.",
  ),
  drainSeconds: defaulted(
    integer(0, LONGEST_DELAY, 30),
    30,
    "How long requests in flight have to finish on an instance that is replaced.",
    { unit: "seconds" },
  ),
  protect: plain(defaulted(boolean, false, "Whether AWS and Pulumi refuse to delete the load balancer.")),
  tags: tagsField,
};

const A_BALANCER = "an object with the arguments of a load balancer";

/** What a load balancer is made of. */
export const balancedGateway = object({
  allowed: A_BALANCER,
  fields: { ...balancerFields, ...loadBalancerFields },
});

export const awsLoadBalancerInputs = object({
  name: "AwsLoadBalancer",
  description: "A network load balancer before the gateway of an instance.",
  allowed: A_BALANCER,
  fields: {
    ...balancerFields,
    ...loadBalancerFields,
    instanceId: required(balancedInstance, "The instance behind it, whose gateway serves."),
  },
  check(values, at, raw) {
    refusePortClash(values, at);
    checkCertificate(raw, at);
  },
});
