import * as assert from "node:assert/strict";

import { costsOf, limitIn } from "../../../components/host/aws/budget";
import { scheduleStatements, scheduleTrust } from "../../../components/host/aws/schedule";
import {
  alarms,
  notServingAlarm,
  scheduleAlarm,
  stoppedAlarm,
} from "../../../components/observability/alarms";
import type { AwsGpuHostArgs, AwsMonitoringArgs } from "../../../components/settings";
import { alarmed, entered, type Series, states, told } from "../../aws/cloudWatch";
import { HOST_KEY, PRIVATE_KEY } from "../settings/context";
import { PARTITION, type Recording, record } from "./mocks";

const INSTANCE = "i-0123456789abcdef0";
const ARN = `arn:aws:ec2:eu-central-1:111122223333:instance/${INSTANCE}`;
const GROUP = "arn:aws:scheduler:eu-central-1:111122223333:schedule-group/gpu-schedule-1";
const KEY = "arn:aws:kms:eu-central-1:111122223333:key/01234567-89ab-cdef-0123-456789abcdef";
const START = "cron(0 7 ? * MON-FRI *)";
const STOP = "cron(0 19 ? * MON-FRI *)";
const TOPIC = "arn:aws:sns:eu-central-1:111122223333:alarms";
const TAGS = { team: "inference", "xsched-triton:project": "project", "xsched-triton:stack": "stack" };

const OUTPUTS: Readonly<Record<string, Record<string, unknown>>> = {
  "tls:index/privateKey:PrivateKey": { privateKeyOpenssh: PRIVATE_KEY, publicKeyOpenssh: HOST_KEY },
  "aws:ssm/parameter:Parameter": { arn: "arn:aws:ssm:parameter", region: "eu-central-1" },
  "aws:ec2/instance:Instance": { id: INSTANCE, arn: ARN, publicIp: "", privateIp: "10.0.0.1" },
  "aws:ec2/eip:Eip": { publicIp: "203.0.113.9" },
  "aws:scheduler/scheduleGroup:ScheduleGroup": { arn: GROUP, name: "gpu-schedule-1" },
  "aws:iam/role:Role": { name: "role", arn: "arn:aws:iam::111122223333:role/role" },
};

function host(
  args: Partial<AwsGpuHostArgs>,
  volumeKeyId?: string,
  partition?: typeof PARTITION,
): Promise<Recording> {
  return record(
    false,
    ({ type }) => ({
      ...OUTPUTS[type],
      ...(type === "aws:ec2/instance:Instance" && { rootBlockDevice: { kmsKeyId: volumeKeyId } }),
    }),
    async () => {
      const { AwsGpuHost } = await import("../../../components");
      const required = {
        instanceType: "g5.xlarge",
        adminCidrs: ["203.0.113.7/32"],
        tags: { team: "inference" },
      };
      new AwsGpuHost("gpu", { ...required, ...args });
    },
    partition,
  );
}

describe("the schedule of an instance", () => {
  let made: Recording;

  before(async () => {
    made = await host({ schedule: { start: START, stop: STOP, timeZone: "Europe/Berlin" } });
  });

  it("lets EC2 start and stop this instance, by the clock of the time zone", () => {
    assert.deepEqual(made.names("aws:scheduler/schedule:"), ["gpu-start", "gpu-stop"]);
    for (const [name, expression, operation] of [
      ["gpu-start", START, "startInstances"],
      ["gpu-stop", STOP, "stopInstances"],
    ] as const) {
      const { scheduleExpression, scheduleExpressionTimezone, groupName, flexibleTimeWindow, target } =
        made.inputs("aws:scheduler/schedule:Schedule", name);
      assert.deepEqual(
        [scheduleExpression, scheduleExpressionTimezone, groupName, flexibleTimeWindow],
        [expression, "Europe/Berlin", "gpu-schedule-1", { mode: "OFF" }],
      );
      const { arn, input, roleArn } = target as Record<string, string>;
      assert.equal(arn, `arn:aws:scheduler:::aws-sdk:ec2:${operation}`);
      assert.deepEqual(JSON.parse(input ?? ""), { InstanceIds: [INSTANCE] });
      assert.equal(roleArn, "arn:aws:iam::111122223333:role/role");
    }
  });

  it("has a role that only its own schedules may take, for this one instance", () => {
    const { assumeRolePolicy } = made.inputs("aws:iam/role:Role", "gpu-schedule-role");
    assert.equal(assumeRolePolicy, scheduleTrust(GROUP));
    const [trust] = (JSON.parse(scheduleTrust(GROUP)) as { Statement: Record<string, unknown>[] }).Statement;
    assert.deepEqual(trust?.Principal, { Service: "scheduler.amazonaws.com" });
    assert.deepEqual(trust.Condition, {
      StringEquals: { "aws:SourceAccount": "111122223333", "aws:SourceArn": GROUP },
    });
    const { policy } = made.inputs("aws:iam/rolePolicy:RolePolicy", "gpu-schedule-policy");
    const { Statement: statements } = JSON.parse(policy as string) as { Statement: object[] };
    assert.deepEqual(statements, [
      {
        Sid: "ThisInstance",
        Effect: "Allow",
        Action: ["ec2:StartInstances", "ec2:StopInstances"],
        Resource: [ARN],
      },
    ]);
  });

  it("may do only what it is to do", () => {
    const only = scheduleStatements({ stop: STOP, timeZone: "UTC" }, ARN, KEY);
    assert.deepEqual(only, [{ sid: "ThisInstance", actions: ["ec2:StopInstances"], resources: [ARN] }]);
    const starts = scheduleStatements({ start: START, timeZone: "UTC" }, ARN, KEY);
    // EC2 needs the key of the volume to start an instance.
    assert.deepEqual(
      starts.map(({ sid }) => sid),
      ["ThisInstance", "GrantVolumeKey", "UseVolumeKey"],
    );
    assert.deepEqual(starts[1]?.resources, [KEY]);
  });

  it("keeps its role within the boundary of all others", async () => {
    const permissionsBoundary = "arn:aws:iam::111122223333:policy/boundary";
    const bound = await host({ schedule: { stop: STOP }, permissionsBoundary });
    for (const name of ["gpu-role", "gpu-schedule-role"]) {
      assert.equal(bound.inputs("aws:iam/role:Role", name).permissionsBoundary, permissionsBoundary, name);
    }
  });

  it("makes one schedule where there is one time", async () => {
    const one = await host({ schedule: { stop: STOP } });
    assert.deepEqual(one.names("aws:scheduler/schedule:"), ["gpu-stop"]);
    assert.equal(one.inputs("aws:scheduler/schedule:Schedule").scheduleExpressionTimezone, "UTC");
  });

  it("gives the instance itself no right", () => {
    const { policy } = made.inputs("aws:iam/rolePolicy:RolePolicy", "gpu-policy");
    assert.doesNotMatch(policy as string, /ec2:|scheduler:|budgets:|cloudwatch:/);
    // A shutdown from within stops an instance and does not terminate it.
    assert.equal(made.inputs("aws:ec2/instance:Instance").instanceInitiatedShutdownBehavior, "stop");
  });
});

describe("the budget of a stack", () => {
  it("counts what carries both of the stack's tags, and tells at 80 %, at 100 % and before", async () => {
    const notify = ["ops@example.com", "boss@example.com"];
    const made = await host({ budget: { amount: 500, unit: "EUR", notify } });
    const { notifications, filterExpression, ...budget } = made.inputs(
      "aws:budgets/budget:Budget",
      "gpu-budget",
    );
    assert.deepEqual(
      { ...budget, tags: undefined },
      {
        ...{ budgetType: "COST", timeUnit: "MONTHLY", limitAmount: "500", limitUnit: "EUR" },
        ...{ metrics: "UnblendedCost", tags: undefined },
      },
    );
    assert.deepEqual(filterExpression, costsOf(TAGS));
    assert.deepEqual(costsOf(TAGS), {
      ands: [
        { tags: { key: "xsched-triton:project", values: ["project"], matchOptions: ["EQUALS"] } },
        { tags: { key: "xsched-triton:stack", values: ["stack"], matchOptions: ["EQUALS"] } },
      ],
    });
    assert.deepEqual(
      (notifications as Record<string, unknown>[]).map((each) => [
        each.notificationType,
        each.threshold,
        each.thresholdType,
        each.comparisonOperator,
        each.subscriberEmailAddresses,
      ]),
      [
        ["ACTUAL", 80, "PERCENTAGE", "GREATER_THAN", notify],
        ["ACTUAL", 100, "PERCENTAGE", "GREATER_THAN", notify],
        ["FORECASTED", 100, "PERCENTAGE", "GREATER_THAN", notify],
      ],
    );
  });

  it("is refused in GovCloud, which has none", async () => {
    const budget = { amount: 5, notify: ["ops@example.com"] };
    const there = await host({ budget }, undefined, { ...PARTITION, partition: "aws-us-gov" });
    assert.deepEqual(there.names("aws:budgets/"), []);
    assert.throws(() => limitIn("aws-us-gov", 5), {
      message:
        "host.budget is set, but there is no AWS Budgets in AWS GovCloud (US)\n" +
        "fix: remove host.budget; the account that pays, outside of GovCloud, can have a budget for its whole account in GovCloud",
    });
  });

  it("finds the tags on everything of an instance that can have some", async () => {
    const schedule = { start: START, stop: STOP };
    const { resources } = await host({ schedule, budget: { amount: 5, notify: ["ops@example.com"] } });
    const untagged = resources.filter(
      ({ type, inputs }) =>
        type.startsWith("aws:") &&
        !Object.entries(TAGS).every(
          ([key, value]) => (inputs.tags as Record<string, string> | undefined)?.[key] === value,
        ),
    );
    // A policy is a part of its role, a schedule of its group.
    assert.deepEqual(untagged.map(({ name }) => name).sort(), [
      "gpu-policy",
      "gpu-schedule-policy",
      "gpu-start",
      "gpu-stop",
    ]);
    const instance = resources.find(({ type }) => type === "aws:ec2/instance:Instance");
    const volume = instance?.inputs.rootBlockDevice as { tags: object };
    assert.deepEqual(volume.tags, { ...TAGS, Name: "project-stack-gpu" });
  });

  it("is not made without an amount, nor is anything that starts and stops", async () => {
    const { resources } = await host({});
    assert.deepEqual(
      resources.filter(({ type }) => /^aws:(budgets|scheduler)/.test(type)),
      [],
    );
  });
});

/** Everything that alarms know of an instance, minute by minute. */
class Minutes {
  public readonly ready: (number | undefined)[] = [];
  public readonly checks: (number | undefined)[] = [];

  public add(minutes: number, ready: number | undefined, check: number | undefined): this {
    for (let minute = 0; minute < minutes; minute++) {
      this.ready.push(ready);
      this.checks.push(check);
    }
    return this;
  }

  public serves = (minutes: number): this => this.add(minutes, 1, 0);
  /** Drained, and then no more. */
  public stops = (minutes: number): this => this.add(2, 0, 0).add(minutes, undefined, undefined);
  /** Boots without a word of its own, then loads its models. */
  public boots = (loads: number): this => this.add(3, undefined, 0).add(loads, 0, 0);
}

describe("the alarms of an instance that is stopped on purpose", () => {
  const options = {
    ...{ partition: "aws", region: "eu-central-1", instanceId: INSTANCE, topic: TOPIC },
    ...{ diskPercent: 85, gpuMemoryPercent: 95 },
  };

  /** The minutes in which somebody is told. */
  function tells(notReadyMinutes: number, { ready, checks }: { ready: Series; checks: Series }): number[] {
    const composite = notServingAlarm({ topic: TOPIC, notReadyMinutes }, "b", "a");
    return told(
      alarmed(alarms({ ...options, notReadyMinutes, stops: true })["not-ready"], ready),
      alarmed(stoppedAlarm(options), checks),
      composite.actionsSuppressor,
    );
  }

  for (const limit of [1, 2, 3, 10, 60]) {
    it(`tell nobody of a stop, however long, and of a start: notReadyMinutes ${limit}`, () => {
      // A shorter stop has the time that the alarm allows, as below.
      for (const stopped of [limit + 5, limit + 60, 2000]) {
        const night = new Minutes()
          .serves(30)
          .stops(stopped)
          .boots(8)
          .serves(60)
          .stops(20)
          .boots(2)
          .serves(30);
        assert.deepEqual(tells(limit, night), [], `stopped for ${stopped} min`);
      }
    });

    it(`tell nobody of a start right after a stop, if it serves again in time: notReadyMinutes ${limit}`, () => {
      // 5 minutes without service, which is what the alarm allows beyond its limit.
      for (const stopped of [0, 1]) {
        const moment = new Minutes()
          .serves(30)
          .stops(stopped)
          .add(3 - stopped, undefined, 0)
          .serves(60);
        assert.deepEqual(tells(limit, moment), [], `stopped for ${stopped} min`);
      }
    });

    it(`tell of a server that fails while its instance runs, once: notReadyMinutes ${limit}`, () => {
      for (const [what, ready, check] of [
        ["a model does not work", 0, 0],
        ["the host is silent", undefined, 0],
        ["the operating system does not answer", undefined, 1],
      ] as const) {
        const [when = 0, ...more] = tells(limit, new Minutes().serves(30).add(120, ready, check));
        assert.deepEqual(more, [], what);
        // CloudWatch looks two minutes back for a value that is missing.
        assert.ok(when >= 29 + limit + 5 && when <= 29 + limit + 5 + 2, `${what}: minute ${when}`);
      }
    });
  }

  it("tell of a server that does not come back after a start", () => {
    const [when = 0, ...more] = tells(3, new Minutes().serves(30).stops(300).boots(120));
    assert.deepEqual(more, []);
    const start = 30 + 2 + 300;
    assert.ok(when >= start + 15 && when <= start + 16, String(when));
  });

  it("would ring for each stop without the one that knows of it", () => {
    const night = new Minutes().serves(30).stops(300).boots(8).serves(30);
    const { actionsSuppressor } = notServingAlarm({ topic: TOPIC, notReadyMinutes: 3 }, "b", "a");
    const notReady = alarmed(
      alarms({ ...options, notReadyMinutes: 3, stops: true })["not-ready"],
      night.ready,
    );
    assert.equal(
      told(
        notReady,
        notReady.map(() => false),
        actionsSuppressor,
      ).length,
      1,
    );
  });

  it("say nothing of each start, which ends no fault, and go on from where they were", () => {
    const { system, disk } = alarms({ ...options, notReadyMinutes: 3, stops: true });
    const week = new Minutes();
    for (let day = 0; day < 5; day++) week.serves(60).stops(600).boots(8);
    assert.deepEqual(entered("OK", states(system, week.checks)), [4]);
    assert.deepEqual(entered("ALARM", states(system, week.checks)), []);
    const full = week.ready.map((value) => (value === undefined ? undefined : 90));
    assert.deepEqual(entered("ALARM", states(disk, full)), [1]);
    assert.deepEqual(entered("OK", states(disk, full)), []);
  });

  it("are as they were where nothing stops", () => {
    const stops = alarms({ ...options, notReadyMinutes: 3, stops: true });
    const others = alarms({ ...options, notReadyMinutes: 3, stops: false });
    assert.deepEqual(alarms({ ...options, notReadyMinutes: 3 }), others);
    assert.deepEqual([stops["not-ready"].alarmActions, stops["not-ready"].okActions], [[], []]);
    assert.deepEqual(others["not-ready"].alarmActions, [TOPIC]);
    for (const name of ["hardware", "system", "disk", "gpu-memory"] as const) {
      assert.deepEqual(stops[name], { ...others[name], treatMissingData: "ignore" });
      assert.equal(others[name].treatMissingData, "missing");
    }
  });

  it("tell of a start or a stop that AWS has given up", () => {
    const { namespace, metricName, dimensions, treatMissingData, alarmActions } = scheduleAlarm(
      options,
      "group",
    );
    assert.deepEqual(
      [namespace, metricName, dimensions, treatMissingData, alarmActions],
      ["AWS/Scheduler", "InvocationDroppedCount", { ScheduleGroup: "group" }, "notBreaching", [TOPIC]],
    );
  });

  const monitor = (args: Partial<AwsMonitoringArgs>): Promise<Recording> =>
    record(
      false,
      ({ type, name }) => ({
        arn: `arn:${name}`,
        name,
        ...(type === "aws:sns/topic:Topic" && { arn: TOPIC }),
      }),
      async () => {
        const { AwsMonitoring } = await import("../../../components");
        new AwsMonitoring("watch", {
          ...{ instanceId: INSTANCE, region: "eu-central-1", roleName: "role", models: ["a"] },
          ...{ directory: "/srv/triton", notify: ["ops@example.com"], tags: { team: "inference" } },
          ssh: { address: "203.0.113.9", privateKey: PRIVATE_KEY, hostKey: HOST_KEY },
          ...args,
        });
      },
    );

  it("stand on each other, and are on the dashboard but for those that tell nobody", async () => {
    const made = await monitor({ stops: true, scheduleGroup: "group" });
    const { alarmRule, actionsSuppressor, alarmActions, okActions, alarmName, tags } = made.inputs(
      "aws:cloudwatch/compositeAlarm:CompositeAlarm",
      "watch-not-serving",
    );
    assert.equal(alarmName, "watch-not-serving-project-stack");
    assert.equal(alarmRule, 'ALARM("arn:watch-not-ready")');
    assert.deepEqual(actionsSuppressor, {
      alarm: "arn:watch-stopped",
      waitPeriod: 300,
      extensionPeriod: 900,
    });
    assert.deepEqual([alarmActions, okActions], [[TOPIC], [TOPIC]]);
    assert.equal((tags as Record<string, string>)["xsched-triton:stack"], "stack");
    const { dashboardBody } = made.inputs("aws:cloudwatch/dashboard:Dashboard");
    const { widgets } = JSON.parse(dashboardBody as string) as {
      widgets: { properties: { alarms?: string[] } }[];
    };
    assert.deepEqual(
      widgets.flatMap(({ properties }) => properties.alarms ?? []).sort(),
      ["disk", "gpu-memory", "hardware", "not-serving", "schedule", "system"].map(
        (name) => `arn:watch-${name}`,
      ),
    );
  });

  it("are the former ones where nothing stops", async () => {
    const made = await monitor({});
    assert.deepEqual(made.names("aws:cloudwatch/compositeAlarm:"), []);
    assert.deepEqual(
      made.names("aws:cloudwatch/metricAlarm:"),
      ["disk", "gpu-memory", "hardware", "not-ready", "system"].map((name) => `watch-${name}`),
    );
  });
});
