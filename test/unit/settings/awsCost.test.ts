import * as assert from "node:assert/strict";

import { parsed, refusal } from "./context";

const AWS = { kind: "aws", instanceType: "g4dn.xlarge", adminCidrs: ["203.0.113.7/32"] };
const CRON =
  "a cron expression of AWS: cron(…) with six fields, minutes, hours, day of month, month, day of week and year, of which one of the two days is ?";
const ZONE = "the name of a time zone in the IANA database";

/** A change to a valid host, and its only fault: path, given value, what is allowed, fix. */
const cases: readonly (readonly [
  string,
  Record<string, unknown>,
  readonly [string, string, string, string],
])[] = [
  ...(
    [
      [5, "5"],
      [20000, "20000"],
      [12.5, "12.5"],
    ] as const
  ).map(
    ([minutes, shown]) =>
      [
        `an idle time of ${minutes} minutes`,
        { idleStop: minutes },
        [
          "host.idleStop",
          shown,
          "an integer from 10 to 10080",
          "give an integer from 10 to 10080, for example 60",
        ],
      ] as const,
  ),
  [
    "an address that a stop loses",
    { idleStop: 60, publicIp: "dynamic" },
    [
      "host.publicIp",
      '"dynamic"',
      "elastic or none with idleStop: an instance that stops loses a dynamic address",
      "set publicIp to elastic, whose address stays, or remove idleStop",
    ],
  ],
  [
    "an address that a scheduled stop loses",
    { idleStop: 60, schedule: { stop: "cron(0 19 * * ? *)" }, publicIp: "dynamic" },
    [
      "host.publicIp",
      '"dynamic"',
      "elastic or none with idleStop and schedule: an instance that stops loses a dynamic address",
      "set publicIp to elastic, whose address stays, or remove idleStop and schedule",
    ],
  ],
  [
    "a schedule of nothing",
    { schedule: { timeZone: "UTC" } },
    [
      "host.schedule.stop",
      "(not set)",
      "start, stop or both",
      'add stop: "cron(0 19 ? * MON-FRI *)", or remove schedule',
    ],
  ],
  [
    "a start and a stop at once",
    { schedule: { start: "cron(0 19 ? * 2 *)", stop: "cron(0 19 ? * 2 *)" } },
    ["host.schedule.stop", '"cron(0 19 ? * 2 *)"', "another time than start", "correct one of the two"],
  ],
  ...(
    [
      ["cron(0 19 * * MON-FRI)", "add the year, and let one of the two days be ?: cron(0 19 ? * MON-FRI *)"],
      [
        "at(2026-11-29T19:00:00)",
        "give six fields, minutes, hours, day of month, month, day of week and year: cron(0 19 ? * MON-FRI *)",
      ],
      ["0 19 ? * MON-FRI *", "write cron(0 19 ? * MON-FRI *)"],
      ["cron(0  19 ? * MON-FRI *)", "write cron(0 19 ? * MON-FRI *)"],
      [
        "cron(0 19 * * MON-FRI *)",
        "let just one of day of month and day of week be ?, the one that does not matter",
      ],
      [
        "cron(0 19 ? * ? *)",
        "let just one of day of month and day of week be ?, the one that does not matter",
      ],
      [
        "cron(60 19 ? * MON *)",
        "correct the minutes, 60: numbers from 0 to 59, in lists (,), ranges (-) and steps (/), or *",
      ],
      [
        "cron(0 24 ? * MON *)",
        "correct the hours, 24: numbers from 0 to 23, in lists (,), ranges (-) and steps (/), or *",
      ],
      [
        "cron(0 19 ? * MONDAY *)",
        "correct the day of week, MONDAY: numbers from 1 to 7, or SUN to SAT, in lists (,) and ranges (-), or *",
      ],
      [
        "cron(0 19 ? * 0 *)",
        "correct the day of week, 0: numbers from 1 to 7, or SUN to SAT, in lists (,) and ranges (-), or *",
      ],
      [
        "cron(0 19 ? * MON-FRI/2 *)",
        "correct the day of week, MON-FRI/2: numbers from 1 to 7, or SUN to SAT, in lists (,) and ranges (-), or *",
      ],
    ] as const
  ).map(
    ([stop, fix]) =>
      [`the time ${stop}`, { schedule: { stop } }, ["host.schedule.stop", `"${stop}"`, CRON, fix]] as const,
  ),
  ...(
    [
      ["Berlin", "give a name with its region, for example Europe/Berlin, or UTC"],
      ["europe/berlin", "write it as the database does: Europe/Berlin"],
      ["+01:00", "give a name with its region, for example Europe/Berlin, or UTC"],
      ["", "give a name with its region, for example Europe/Berlin, or UTC"],
    ] as const
  ).map(
    ([timeZone, fix]) =>
      [
        `the time zone ${timeZone}`,
        { schedule: { stop: "cron(0 19 * * ? *)", timeZone } },
        ["host.schedule.timeZone", `"${timeZone}"`, ZONE, fix],
      ] as const,
  ),
  [
    "a budget that nobody hears of",
    { budget: { amount: 500 } },
    [
      "host.budget.notify",
      "(not set)",
      "a list of 1 to 10 email addresses",
      "pulumi config set --path 'xsched-triton:host.budget.notify[0]' you@example.com",
    ],
  ],
  [
    "a budget of nothing",
    { budget: { amount: 0, notify: ["ops@example.com"] } },
    [
      "host.budget.amount",
      "0",
      "an integer from 1 to 10000000",
      "give an integer from 1 to 10000000, for example 500",
    ],
  ],
  [
    "a budget in a currency that is none",
    { budget: { amount: 5, unit: "$", notify: ["ops@example.com"] } },
    [
      "host.budget.unit",
      '"$"',
      "a currency, as three capital letters",
      "give the currency of the AWS account's bills, mostly USD",
    ],
  ],
  [
    "a budget for a page on the web, which AWS Budgets cannot notify",
    { budget: { amount: 5, notify: ["https://pager.example.com/"] } },
    [
      "host.budget.notify[0]",
      '"https://pager.example.com/"',
      "an email address",
      "give one address of at most 50 characters, for example ops@example.com",
    ],
  ],
  [
    "a budget for more recipients than AWS Budgets takes",
    { budget: { amount: 5, notify: Array.from({ length: 11 }, (_, index) => `ops${index}@example.com`) } },
    [
      "host.budget.notify",
      "a list of 11",
      "a list of 1 to 10 email addresses",
      "give the address of a mailing list",
    ],
  ],
];

describe("settings of what a host on AWS costs", () => {
  for (const [what, change, [path, value, allowed, fix]] of cases) {
    it(`refuse ${what}`, () => {
      assert.deepEqual(refusal({ host: { ...AWS, ...change } }).faults, [{ path, value, allowed, fix }]);
    });
  }

  it("take every form of AWS's cron expressions", () => {
    for (const fields of [
      "0 19 ? * MON-FRI *",
      "*/15 8-18/2 * * ? 2026-2030",
      "0,30 0 L * ? *",
      "0 0 LW 1,6,12 ? *",
      "0 0 15W JAN-MAR ? *",
      "0 0 ? * 6L *",
      "0 0 ? * FRI#2 *",
      "0 0 ? * FRI-SUN *",
    ]) {
      const { host } = parsed({ host: { ...AWS, schedule: { start: `cron(${fields})` } } });
      assert.ok(host.kind === "aws");
      assert.deepEqual(host.schedule, { start: `cron(${fields})`, stop: undefined, timeZone: "UTC" });
    }
  });

  it("take time zones as the database spells them, also those that have got another name", () => {
    for (const timeZone of [
      "UTC",
      "Europe/Berlin",
      "America/Argentina/Buenos_Aires",
      "Asia/Calcutta",
      "Asia/Kolkata",
    ]) {
      parsed({ host: { ...AWS, schedule: { stop: "cron(0 19 * * ? *)", timeZone } } });
    }
  });

  it("go with spot capacity, a private subnet and protection", () => {
    parsed({ host: { ...AWS, spot: true, idleStop: 10 } });
    parsed({
      host: { ...AWS, publicIp: "none", subnetId: "subnet-0123abcd", protect: true, idleStop: 10080 },
    });
  });

  it("ask for nothing by themselves", () => {
    const { host } = parsed({ host: AWS });
    assert.ok(host.kind === "aws");
    assert.deepEqual([host.idleStop, host.schedule, host.budget], [undefined, undefined, undefined]);
    const budget = { amount: 500, notify: ["ops@example.com"] };
    const { host: paid } = parsed({ host: { ...AWS, budget } });
    assert.ok(paid.kind === "aws");
    assert.deepEqual(paid.budget, { ...budget, unit: "USD" });
  });
});
