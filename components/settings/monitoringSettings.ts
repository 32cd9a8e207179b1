import { tagsField } from "./awsHostSettings";
import { hostDirectory, proxied, sshConnection } from "./hostSettings";
import { kmsKey } from "./kmsKey";
import { modelName } from "./modelName";
import { permissionsBoundary } from "./permissionsBoundary";
import {
  boolean,
  defaulted,
  integer,
  list,
  object,
  optional,
  plain,
  required,
  Rule,
  text,
  variants,
} from "./rules";

/** https://docs.aws.amazon.com/AmazonCloudWatchLogs/latest/APIReference/API_PutRetentionPolicy.html */
export const LOG_DAYS: readonly number[] = [
  ...[1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731],
  ...[1096, 1827, 2192, 2557, 2922, 3288, 3653],
];

/** Someone who is told of an alarm. */
export const subscriber = text({
  allowed: "an email address, or an https URL that confirms subscriptions of Amazon SNS",
  example: "ops@example.com",
  refuse(value) {
    if (/^[^\s@/:]+@[A-Za-z0-9-]+(\.[A-Za-z0-9-]+)+$/.test(value) && value.length <= 254) return undefined;
    if (value.startsWith("http:")) return "use https: alarms name your machines";
    if (/^https:\/\/[A-Za-z0-9.-]+(:\d{1,5})?(\/[^\s]*)?$/.test(value) && value.length <= 2048)
      return undefined;
    return "give one address, for example ops@example.com";
  },
});

const logDays: Rule<number> = {
  type: "integer",
  allowed: `one of the days that CloudWatch knows: ${LOG_DAYS.join(", ")}`,
  example: "30",
  read(value, at) {
    if (typeof value === "number" && LOG_DAYS.includes(value)) return value;
    const longer = typeof value === "number" ? LOG_DAYS.find((days) => days >= value) : undefined;
    return at.fault(value, this.allowed, longer === undefined ? "give 30" : `give ${longer}`);
  },
};

/** Each is a resource, so that they are known from the start. */
const resourceFields = {
  notify: plain(
    required(
      list(subscriber, { allowed: "a list of email addresses and https URLs, at least one", minimum: 1 }),
      "Email addresses and https URLs that are notified of alarms. Each first gets a message from Amazon SNS and must confirm it.",
      { fix: "pulumi config set --path 'xsched-triton:monitoring.notify[0]' you@example.com" },
    ),
  ),
  dashboard: plain(
    defaulted(boolean, true, "Whether to create a dashboard.", {
      cost: "CloudWatch charges for each dashboard",
    }),
  ),
};

/** Of a host and of a fleet alike. */
export const GPU_MEMORY_PERCENT = { rule: integer(1, 100, 95), usual: 95 };
export const NOT_READY_MINUTES = { rule: integer(1, 60, 3), usual: 3 };

const thresholdFields = {
  diskPercent: defaulted(integer(1, 99, 85), 85, "Alarm when a disk of the host is this full.", {
    unit: "percent",
  }),
  gpuMemoryPercent: defaulted(
    GPU_MEMORY_PERCENT.rule,
    GPU_MEMORY_PERCENT.usual,
    "Alarm when this much of a GPU's memory is in use. Reloading a model takes its memory twice for a moment.",
    { unit: "percent" },
  ),
  notReadyMinutes: defaulted(
    NOT_READY_MINUTES.rule,
    NOT_READY_MINUTES.usual,
    "Alarm when Triton or one of its models has not been ready, or the host has not been heard of, for this long.",
    { unit: "minutes" },
  ),
  logDays: defaulted(logDays, 30, "How long logs are kept.", {
    unit: "days",
    cost: "CloudWatch charges for storage",
  }),
};

/** Who watches the deployment. */
export const monitoringRule = variants({
  name: "Monitoring",
  description: "Who watches the deployment.",
  allowed: "an object with the kind of monitoring and what that kind needs",
  variants: {
    none: { description: "nobody", fields: {} },
    cloudwatch: {
      description: "Amazon CloudWatch, for a host on AWS: metrics, logs, alarms and a dashboard",
      fields: { ...resourceFields, ...thresholdFields },
    },
  },
  usual: "none",
});

/** The name or id of an AWS resource, as AWS or a component returns it. */
function resource(what: string, pattern: RegExp, component = "AwsGpuHost"): Rule<string> {
  const example = `the one of ${component}`;
  return text({
    allowed: `the name of ${what}`,
    example,
    refuse: (value) => (pattern.test(value) ? undefined : `pass ${example}`),
  });
}

/** Not among what is watched of the host, which is known before there is a load balancer. */
export const watchedLoadBalancer = object({
  name: "WatchedLoadBalancer",
  description: "What the metrics of a load balancer are called by: `metrics` of an `AwsLoadBalancer`.",
  allowed: "an object with the names of a load balancer's metrics",
  fields: {
    loadBalancer: required(
      resource("a network load balancer's metrics", /^net\/[A-Za-z0-9-]+\/[0-9a-f]+$/, "AwsLoadBalancer"),
      "Dimension `LoadBalancer`: `net/…`.",
    ),
    targetGroup: required(
      resource("a target group's metrics", /^targetgroup\/[A-Za-z0-9-]+\/[0-9a-f]+$/, "AwsLoadBalancer"),
      "Dimension `TargetGroup`: `targetgroup/…`.",
    ),
  },
});

const watchedFields = {
  instanceId: required(
    resource("an EC2 instance", /^i-[0-9a-f]{8,17}$/),
    "Id of the instance: `instanceId` of an `AwsGpuHost`.",
  ),
  region: required(resource("a region of AWS", /^[a-z]{2}(-[a-z]+)+-\d$/), "Region of the instance."),
  roleName: required(
    resource("an IAM role", /^[\w+=,.@-]{1,64}$/),
    "Name of the instance's role, which is granted the right to send metrics and logs: `roleName` of an `AwsGpuHost`.",
  ),
  spot: plain(defaulted(boolean, false, "Whether it is a spot instance, which AWS starts again itself.")),
  stops: plain(
    defaulted(
      boolean,
      false,
      "Whether the instance is stopped on purpose at times. Then nobody is told of a server that is not ready while its instance is stopped; of any other, people are told 5 minutes later.",
      { cost: "two more alarms" },
    ),
  ),
  scheduleGroup: optional(
    resource("a group of schedules", /^[\w.-]{1,64}$/),
    "Name of the group of schedules that start and stop the instance, for an alarm when they cannot: `scheduleGroup` of an `AwsGpuHost`.",
    "there is no such alarm",
    { cost: "one more alarm" },
  ),
  container: defaulted(boolean, true, "Whether Triton runs in a container."),
  gateway: defaulted(
    boolean,
    false,
    "Whether clients come through a `Gateway` on the host, whose log is sent, too.",
    { cost: "CloudWatch charges for each GB of it, unless the gateway's `accessLog` is false" },
  ),
  tritonMetrics: defaulted(
    resource("address:port", /^\S+:\d{1,5}$/),
    "127.0.0.1:8002",
    "Where Triton's metrics are on the host: `address:port`.",
  ),
  models: required(
    list(modelName, { allowed: "a list of model names" }),
    "Names of the models, for the dashboard.",
  ),
  floors: defaulted(
    list(modelName, { allowed: "a list of model names" }),
    [],
    "Those that have a floor: the dashboard shows what they get of it.",
    { cost: "two more metrics for each model of the host" },
  ),
  weights: defaulted(
    list(modelName, { allowed: "a list of model names" }),
    [],
    "Those that have a weight: the dashboard shows their shares of the GPU.",
    { cost: "two more metrics for each model of the host, if none has a floor" },
  ),
  ...thresholdFields,
  kmsKeyId: optional(
    kmsKey,
    "Key of your own that logs and messages are encrypted with. Its key policy must let CloudWatch use it (docs/how-to/aws.md).",
    "AWS's own keys",
  ),
  volumeKeyId: optional(
    resource("a key of AWS KMS, as its ARN", /^(arn:aws[a-z-]*:kms:\S+)?$/),
    "ARN of the key that the instance's volume is encrypted with: `volumeKeyId` of an `AwsGpuHost`. A restart on other hardware uses it.",
    "one of AWS's",
  ),
  permissionsBoundary: optional(
    permissionsBoundary,
    "Policy that limits what the role for restarts can be allowed (docs/reference/permissions.md).",
    "none",
  ),
  tags: tagsField,
};

/** What is watched, apart from who is notified. */
export const watchedHost = object({
  allowed: "an object with what to watch",
  fields: watchedFields,
});

export const awsMonitoringInputs = object({
  name: "AwsMonitoring",
  description: "What CloudWatch watches.",
  allowed: "an object with the arguments of a monitoring",
  fields: {
    ...watchedFields,
    directory: required(
      hostDirectory,
      "Absolute path of the host's folder: `directory` of a `HostServices` with metrics.",
    ),
    ssh: required(sshConnection, "The host."),
    loadBalancer: optional(
      watchedLoadBalancer,
      "The load balancer before the gateway, for an alarm when it finds the gateway unhealthy.",
      "there is no such alarm",
      { cost: "one more alarm" },
    ),
    proxied,
    ...resourceFields,
  },
});
