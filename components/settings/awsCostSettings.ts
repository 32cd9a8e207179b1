import { cronExpression, timeZone } from "./cron";
import type { Place } from "./place";
import {
  defaulted,
  integer,
  keyOf,
  list,
  object,
  optional,
  plain,
  refuseRepeats,
  required,
  text,
} from "./rules";

/* What a host on AWS costs: when it runs, and who is told what it has cost. */

/** Minutes that an instance must have been idle: AWS charges a minute at least, and a boot with its models takes several. */
const FEWEST_MINUTES = 10;
export const MOST_MINUTES = 7 * 24 * 60;

const COST_WHILE_STOPPED = "while it is stopped, the volume and the elastic address cost what they always do";

/** Of a host on AWS, and of what runs on it. */
export const idleStop = plain(
  optional(
    integer(FEWEST_MINUTES, MOST_MINUTES, 60),
    "Stop the instance when nobody has asked a model for this long and no work is under way on a GPU. `npm run wake` or `schedule` starts it again, with its models (docs/how-to/aws.md). Longer than an image takes to build and models take to upload. Not with `publicIp: dynamic`.",
    "never",
    { unit: "minutes", cost: COST_WHILE_STOPPED },
  ),
);

const schedule = object({
  name: "AwsSchedule",
  description: "When an instance starts and stops.",
  allowed: "an object with start, stop or both, each a cron expression of AWS",
  fields: {
    start: plain(optional(cronExpression, "When the instance starts.", "not by the clock")),
    stop: plain(
      optional(
        cronExpression,
        "When the instance stops, whether or not it is in use. Requests in flight are finished.",
        "not by the clock",
        { example: '"cron(0 19 ? * MON-FRI *)"' },
      ),
    ),
    timeZone: plain(defaulted(timeZone, "UTC", "Time zone by whose clock both are read.")),
  },
  check(_, at, raw) {
    const [start, stop] = [keyOf(raw, "start"), keyOf(raw, "stop")];
    if (start === undefined && stop === undefined) {
      at.at("stop").fault(
        undefined,
        "start, stop or both",
        'add stop: "cron(0 19 ? * MON-FRI *)", or remove schedule',
      );
    } else if (start === stop) {
      at.at("stop").fault(stop, "another time than start", "correct one of the two");
    }
  },
});

const recipient = text({
  allowed: "an email address",
  example: "ops@example.com",
  refuse: (value) =>
    /^[^\s@/:]+@[A-Za-z0-9-]+(\.[A-Za-z0-9-]+)+$/.test(value) && value.length <= 50
      ? undefined
      : "give one address of at most 50 characters, for example ops@example.com",
});

/** https://docs.aws.amazon.com/aws-cost-management/latest/APIReference/API_budgets_NotificationWithSubscribers.html */
const MOST_RECIPIENTS = 10;

const budget = object({
  name: "AwsBudget",
  description: "What a stack may cost in a month before somebody is told.",
  allowed: "an object with an amount and whom to notify",
  fields: {
    amount: required(integer(1, 10_000_000, 500), "Amount for a calendar month."),
    unit: defaulted(
      text({
        allowed: "a currency, as three capital letters",
        example: "USD",
        refuse: (value) =>
          /^[A-Z]{3}$/.test(value) ? undefined : "give the currency of the AWS account's bills, mostly USD",
      }),
      "USD",
      "Currency of the AWS account's bills.",
    ),
    notify: required(
      list(recipient, {
        allowed: `a list of 1 to ${MOST_RECIPIENTS} email addresses`,
        minimum: 1,
        check(items, at) {
          refuseRepeats(items, at);
          if (items.length <= MOST_RECIPIENTS) return;
          at.fault(
            items,
            `a list of 1 to ${MOST_RECIPIENTS} email addresses`,
            "give the address of a mailing list",
          );
        },
      }),
      "Email addresses that are notified at 80 % and at 100 % of the amount, and when AWS expects more than 100 % by the end of the month.",
      { fix: "pulumi config set --path 'xsched-triton:host.budget.notify[0]' you@example.com" },
    ),
  },
});

export const costFields = {
  schedule: plain(
    optional(
      schedule,
      "When the instance starts and stops by itself, by Amazon EventBridge Scheduler. Not with `publicIp: dynamic`.",
      "it runs until somebody stops it",
      {
        example:
          '{ start: "cron(0 7 ? * MON-FRI *)", stop: "cron(0 19 ? * MON-FRI *)", timeZone: Europe/Berlin }',
        cost: COST_WHILE_STOPPED,
      },
    ),
  ),
  budget: plain(
    optional(
      budget,
      "Whom AWS Budgets tells what everything with the stack's tags costs. Both tags must be activated for cost allocation once in the account (docs/how-to/aws.md).",
      "nobody is told",
      { example: "{ amount: 500, notify: [ops@example.com] }", cost: "free" },
    ),
  ),
};

/** Records faults between these keys and others of a host. */
export function checkStops(raw: unknown, at: Place): void {
  const stops = ["idleStop", "schedule"].filter((key) => keyOf(raw, key) !== undefined);
  if (stops.length === 0 || keyOf(raw, "publicIp") !== "dynamic") return;
  at.at("publicIp").fault(
    "dynamic",
    `elastic or none with ${stops.join(" and ")}: an instance that stops loses a dynamic address`,
    `set publicIp to elastic, whose address stays, or remove ${stops.join(" and ")}`,
  );
}
