import { boolean, defaulted, integer, list, required, Rule, text, variants } from "./rules";
import { MonitoringSettings } from "./types";

/** https://docs.aws.amazon.com/AmazonCloudWatchLogs/latest/APIReference/API_PutRetentionPolicy.html */
export const LOG_DAYS: readonly number[] = [
  ...[1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731],
  ...[1096, 1827, 2192, 2557, 2922, 3288, 3653],
];

/** Someone who is told of an alarm. */
export const subscriber = text({
  allowed: "an email address, or an https URL that confirms subscriptions of Amazon SNS",
  example: "ops@example.com",
  refuse(given) {
    if (/^[^\s@/:]+@[A-Za-z0-9-]+(\.[A-Za-z0-9-]+)+$/.test(given) && given.length <= 254) return undefined;
    if (given.startsWith("http:")) return "use https: alarms name your machines";
    if (/^https:\/\/[A-Za-z0-9.-]+(:\d{1,5})?(\/[^\s]*)?$/.test(given) && given.length <= 2048)
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

/** What is watched on AWS; the same in the stack config and as arguments. */
export const monitoringFields = {
  notify: required(
    list(subscriber, { allowed: "a list of email addresses and https URLs, at least one", minimum: 1 }),
    "Who is told of alarms. Each gets a message from Amazon SNS first and must confirm it.",
    "pulumi config set --path 'xsched-triton:monitoring.notify[0]' you@example.com",
  ),
  diskPercent: defaulted(integer(1, 99, 85), 85, "Alarm when a disk of the host is this full."),
  gpuMemoryPercent: defaulted(
    integer(1, 100, 95),
    95,
    "Alarm when this much of a GPU's memory is taken: a model that is reloaded needs it twice for a moment.",
  ),
  notReadyMinutes: defaulted(
    integer(1, 60, 3),
    3,
    "Alarm when Triton, or one of its models, is not ready for so many minutes, or nothing is heard of the host.",
  ),
  logDays: defaulted(logDays, 30, "Days for which logs are kept."),
  dashboard: defaulted(boolean, true, "Whether to make a dashboard. CloudWatch charges for each."),
};

/** Who watches the deployment. */
export const monitoringRule: Rule<MonitoringSettings> = variants(
  "an object with the kind of monitoring and what that kind needs",
  {
    none: { description: "nobody", fields: {} },
    cloudwatch: {
      description: "Amazon CloudWatch, for a host on AWS: metrics, logs, alarms and a dashboard",
      fields: monitoringFields,
    },
  },
  "none",
);
