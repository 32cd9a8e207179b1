import * as assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import * as fs from "node:fs";

import { alarmed, type MetricAlarm, type Series, type Suppressor, told } from "../aws/cloudWatch";
import { runUnit } from "../fixtures/standInCloud/machine";
import { roleMay } from "../fixtures/standInCloud/permissions";
import { AwsStack, changed } from "./awsStack";
import { EXAMPLES, MODELS } from "./examples";
import { until } from "../until";
import { requireSuccess } from "./workspace";
import { skipWithout } from "./needs";

const INSTANCE = "aws:ec2/instance:Instance";
const KEY = "arn:aws:kms:us-east-1:111122223333:key/01234567-89ab-cdef-0123-456789abcdef";
const SUBSCRIBERS = ["ops@example.com", "https://pager.example.com/hook"];

/** The configuration of a machine's agent. */
interface AgentFile {
  readonly metrics: object;
  readonly logs: {
    readonly logs_collected: { files: { collect_list: { file_path: string; log_group_name: string }[] } };
    readonly metrics_collected: { prometheus: { log_group_name: string } };
  };
}

interface ScrapeFile {
  readonly scrape_configs: readonly {
    readonly job_name: string;
    readonly metrics_path: string;
    readonly static_configs: readonly { targets: string[]; labels: Record<string, string> }[];
  }[];
}

interface Widget {
  readonly properties: {
    readonly title: string;
    readonly region?: string;
    readonly metrics?: readonly (readonly (string | object)[])[];
    readonly alarms?: readonly string[];
  };
}

describe("the stack prod over SSH, on a stand-in for AWS", function () {
  let stack: AwsStack;

  before(async function () {
    skipWithout(this, AwsStack.missing);
    stack = await AwsStack.create("prod");
    // As stacks have it that are older than the access of `Pulumi.prod.yaml`, which awsSession.test.ts has.
    stack.set(["xsched-triton:host", "access"], "ssh");
    for (const key of ["network", "zones"]) stack.set(["xsched-triton:host", key], undefined);
  });

  after(async () => {
    if (AwsStack.missing !== undefined) return;
    if (stack.instances.length > 0) {
      // In case a test has failed.
      stack.set(["xsched-triton:host", "protect"], false);
      await stack.up();
    }
    await stack.stop();
  });

  it("asks for the two values that it needs, both at once", async () => {
    const { code, output } = await stack.npm("preview");
    assert.notEqual(code, 0);
    assert.match(output, /2 faults in the settings of stack prod; nothing was changed/);
    assert.match(output, /fix: pulumi config set --path 'xsched-triton:host\.adminCidrs\[0\]' "\$\(curl/);
    assert.match(
      output,
      /fix: pulumi config set --path 'xsched-triton:monitoring\.notify\[0\]' you@example\.com/,
    );
    stack.set(["xsched-triton:host", "adminCidrs"], ["127.0.0.1/32"]);
    stack.set(["xsched-triton:monitoring", "notify"], SUBSCRIBERS);
    stack.set(["xsched-triton:host", "kmsKeyId"], KEY);
  });

  it("is shown in a preview that creates nothing", async () => {
    // The stand-in's machines have neither Docker nor a GPU.
    stack.set(["xsched-triton:runtime"], { kind: "process" });
    stack.set(["xsched-triton:scheduler"], undefined);
    const { code, output } = await stack.npm("preview");
    requireSuccess({ code, output });
    assert.match(output, /aws:ec2:Instance\s+triton-machine-instance\s+create/);
    for (const alarm of ["hardware", "system", "disk", "gpu-memory", "not-ready"]) {
      assert.match(output, new RegExp(`aws:cloudwatch:MetricAlarm\\s+triton-monitoring-${alarm}\\s+create`));
    }
    assert.match(output, /aws:cloudwatch:Dashboard\s+triton-monitoring-dashboard\s+create/);
    assert.match(output, /command:remote:Command\s+triton-monitoring-agent\s+create/);
    assert.deepEqual(stack.everything(), []);
  });

  it("is created in one run, and serves every model", async () => {
    const { code, output } = await stack.up();
    requireSuccess({ code, output });
    for (const { name, ...priority } of EXAMPLES) {
      assert.ok(await stack.triton.isReady(name), name);
      assert.deepEqual(await stack.triton.priority(name), priority);
    }
    assert.match(output, /^realtime +1 +255 +yes$/m);
    await stack.refuseSecrets(output);
  });

  it("has an on-demand instance that nobody terminates by mistake", () => {
    const { instanceType, disableApiTermination, instanceMarketOptions, spotInstanceRequestId } =
      stack.properties(INSTANCE);
    assert.equal(instanceType, "g5.xlarge");
    assert.equal(disableApiTermination, true);
    assert.equal(instanceMarketOptions, undefined);
    assert.equal(spotInstanceRequestId, "");
    const { rootBlockDevice } = stack.properties(INSTANCE) as {
      rootBlockDevice: Record<string, unknown>;
    };
    assert.deepEqual(
      ["volumeType", "volumeSize", "throughput", "iops", "encrypted"].map((key) => rootBlockDevice[key]),
      ["gp3", 200, 250, 3000, true],
    );
  });

  it("stores everything under the user's own key, which only those may use who have to", () => {
    const { rootBlockDevice, iamInstanceProfile } = stack.properties(INSTANCE);
    assert.equal((rootBlockDevice as { kmsKeyId: string }).kmsKeyId, KEY);
    assert.equal(stack.properties("aws:ssm/parameter:Parameter").keyId, KEY);
    assert.equal(stack.properties("aws:sns/topic:Topic").kmsMasterKeyId, KEY);
    for (const { properties } of stack.everything("aws:cloudwatch/logGroup:LogGroup")) {
      assert.equal(properties.kmsKeyId, KEY);
    }
    assert.ok(roleMay(iamInstanceProfile as string, "kms:Decrypt", KEY));
    assert.ok(!roleMay(iamInstanceProfile as string, "kms:CreateGrant", KEY));
    const policies = stack.everything("aws:iam/rolePolicy:RolePolicy").map(({ properties }) => properties);
    const restart = policies.find(({ name }) => (name as string).includes("-restart-"));
    const { Statement: statements } = JSON.parse(restart?.policy as string) as {
      Statement: { Action: string[]; Resource: string[] }[];
    };
    const grant = statements.find(({ Action: actions }) => actions.includes("kms:CreateGrant"));
    assert.deepEqual(grant?.Resource, [KEY]);
  });

  it("notifies all recipients of each alarm and of its end", () => {
    const topic = stack.properties("aws:sns/topic:Topic").arn;
    assert.deepEqual(
      stack
        .everything("aws:sns/topicSubscription:TopicSubscription")
        .map(({ properties }) => [properties.topic, properties.protocol, properties.endpoint])
        .sort(),
      [
        [topic, "email", "ops@example.com"],
        [topic, "https", "https://pager.example.com/hook"],
      ],
    );
    const alarms = stack
      .everything("aws:cloudwatch/metricAlarm:MetricAlarm")
      .map(({ properties }) => properties);
    const actions = alarms.map(({ metricName, alarmActions, okActions }) => {
      assert.deepEqual(okActions, [topic]);
      return [metricName ?? "GPU memory", alarmActions];
    });
    const reboot = "arn:aws:automate:us-east-1:ec2:reboot";
    assert.deepEqual(Object.fromEntries(actions), {
      // AWS cannot recover an instance with local disks, so it is restarted.
      StatusCheckFailed_System: [topic],
      StatusCheckFailed_Instance: [topic, reboot],
      disk_used_percent: [topic],
      "GPU memory": [topic],
      xsched_triton_ready: [topic],
    });
    const [instance] = stack.instances;
    for (const { dimensions, metricQueries } of alarms) {
      const queries = (metricQueries ?? []) as { metric?: { dimensions: unknown } }[];
      const watched = [dimensions, ...queries.map(({ metric }) => metric?.dimensions)].filter(Boolean);
      assert.ok(watched.length > 0);
      for (const each of watched) assert.deepEqual(each, { InstanceId: instance });
    }
  });

  it("restarts the instance, and no other, when its hardware fails", () => {
    const [instance] = stack.instances;
    const [hardware] = stack
      .everything("aws:cloudwatch/metricAlarm:MetricAlarm")
      .filter(({ properties }) => properties.metricName === "StatusCheckFailed_System");
    const { eventPattern, name } = stack.properties("aws:cloudwatch/eventRule:EventRule");
    assert.deepEqual((JSON.parse(eventPattern as string) as { resources: string[] }).resources, [
      hardware?.properties.arn,
    ]);
    const target = stack.properties("aws:cloudwatch/eventTarget:EventTarget");
    assert.equal(target.rule, name);
    assert.match(target.arn as string, /:automation-definition\/AWS-RestartEC2Instance:\$DEFAULT$/);
    const [role] = stack
      .everything("aws:iam/role:Role")
      .filter(({ properties }) => properties.arn === target.roleArn);
    assert.ok(role);
    assert.deepEqual(JSON.parse(target.input as string), {
      InstanceId: [instance],
      AutomationAssumeRole: [role.properties.arn],
    });
  });

  it("has a dashboard that shows every model, and every alarm", async () => {
    const { dashboardBody, dashboardName } = stack.properties("aws:cloudwatch/dashboard:Dashboard");
    assert.equal(dashboardName, "xsched-triton-prod-triton-monitoring");
    const { widgets } = JSON.parse(dashboardBody as string) as { widgets: Widget[] };
    const [instance] = stack.instances;
    const drawn = widgets.flatMap(({ properties }) => properties.metrics ?? []);
    for (const metric of [
      "nv_inference_request_success",
      "nv_inference_queue_duration_us",
      "xsched_queue_blocked_seconds_total",
    ]) {
      const lines = drawn.filter((line) => line[1] === metric);
      assert.deepEqual(
        [...new Set(lines.map((line) => JSON.stringify(line.slice(0, 6))))],
        MODELS.map((model) =>
          JSON.stringify(["XSchedTriton", metric, "InstanceId", instance, "model", model]),
        ),
      );
    }
    const shown = widgets.flatMap(({ properties }) => properties.alarms ?? []);
    const alarms = stack.everything("aws:cloudwatch/metricAlarm:MetricAlarm");
    assert.deepEqual([...shown].sort(), alarms.map(({ properties }) => properties.arn).sort());
    const outputs = JSON.parse((await stack.show("output", "--json")).output) as Record<string, unknown>;
    assert.equal(outputs.dashboard, dashboardName);
  });

  describe("on its machine", () => {
    let id: string;
    let agent: AgentFile;
    let scrape: ScrapeFile;

    before(() => {
      [id = ""] = stack.instances;
      const read = (name: string): unknown =>
        JSON.parse(fs.readFileSync(stack.machine(id, `agent/etc/${name}`), "utf8"));
      agent = read("xsched-triton.json") as AgentFile;
      scrape = read("xsched-triton-prometheus.yaml") as ScrapeFile;
    });

    it("has a single agent that accepted its configuration and runs", () => {
      const started = fs.readFileSync(stack.machine(id, "agent/var/running"), "utf8").trim().split("\n");
      assert.equal(started.length, 1);
    });

    it("has an agent that would not have accepted anything", () => {
      const control = stack.machine(id, "agent/bin/amazon-cloudwatch-agent-ctl");
      const file = stack.cloud.file("mistaken.json");
      const { metrics } = agent;
      fs.writeFileSync(file, JSON.stringify({ metrics: { ...metrics, namespaces: "XSchedTriton" } }));
      const { status, stderr } = spawnSync(
        control,
        ["-a", "fetch-config", "-m", "ec2", "-c", `file:${file}`],
        {
          encoding: "utf8",
          env: { ...process.env, STAND_IN_MACHINE: id },
        },
      );
      assert.equal(status, 1);
      assert.match(stderr, /^E! config\.metrics\.namespaces: is not known$/m);
    });

    it("sends logs to the created groups, which its role may write to", () => {
      const { logs, metrics } = Object.fromEntries(
        stack
          .everything("aws:cloudwatch/logGroup:LogGroup")
          .map(({ properties }) => [/-(logs|metrics)-/.exec(properties.name as string)?.[1], properties]),
      ) as Record<string, Record<string, unknown>>;
      assert.ok(logs && metrics);
      assert.equal(logs.retentionInDays, 30);
      assert.deepEqual(
        agent.logs.logs_collected.files.collect_list.map((each) => [each.file_path, each.log_group_name]),
        [
          [stack.machine(id, "home/.xsched-triton-prod/server/logs/triton.log"), logs.name],
          ["/var/log/syslog", logs.name],
        ],
      );
      assert.ok(fs.existsSync(stack.machine(id, "home/.xsched-triton-prod/server/logs/triton.log")));
      assert.equal(agent.logs.metrics_collected.prometheus.log_group_name, metrics.name);
      const profile = fs.readFileSync(stack.machine(id, "profile"), "utf8");
      for (const { arn } of [logs, metrics]) {
        assert.ok(roleMay(profile, "logs:PutLogEvents", `${arn as string}:log-stream:${id}/triton`));
        assert.ok(!roleMay(profile, "logs:DeleteLogGroup", arn as string));
      }
      assert.ok(roleMay(profile, "cloudwatch:PutMetricData", "*"));
    });

    it("scrapes Triton at its address, with the instance's name", async () => {
      const [triton, host] = scrape.scrape_configs;
      const { targets: [target] = [], labels } = triton?.static_configs[0] ?? {};
      assert.deepEqual(labels, { InstanceId: id });
      const answer = await fetch(`http://${target}${triton?.metrics_path}`);
      const metrics = await answer.text();
      for (const model of MODELS) {
        assert.match(metrics, new RegExp(`^nv_inference_request_success\\{model="${model}"`, "m"));
      }
      assert.deepEqual(host?.static_configs[0]?.targets, ["127.0.0.1:9464"]);
    });

    it("has services for the boot and for the metrics, and none for a spot instance", () => {
      const units = fs
        .readdirSync(stack.machine(id, "units"))
        .map((name) => name.replace(/^xsched-triton-[0-9a-f]+-/, ""));
      assert.deepEqual(units.sort(), ["boot.service", "metrics.service", "resume.service"]);
      assert.match(fs.readFileSync(stack.machine(id, "systemctl"), "utf8"), /^restart .*-metrics\.service$/m);
    });
  });

  it("changes nothing when nothing has changed", async () => {
    const before = JSON.stringify(stack.everything());
    const { code, output } = await stack.up();
    requireSuccess({ code, output });
    assert.deepEqual(changed(output), []);
    assert.match(output, /Resources:\s+\d+ unchanged/);
    assert.equal(JSON.stringify(stack.everything()), before);
  });

  describe("that stops when nobody asks it for anything", () => {
    const STOP = "cron(0 19 ? * MON-FRI *)";
    let id: string;

    before(() => {
      [id = ""] = stack.instances;
    });

    const isDown = async (): Promise<boolean> => {
      try {
        return !(await stack.triton.isReady(MODELS[0] ?? ""));
      } catch {
        return true;
      }
    };

    it("becomes one without a new instance, and keeps serving", async () => {
      stack.set(["xsched-triton:host", "idleStop"], 30);
      stack.set(["xsched-triton:host", "schedule"], { stop: STOP, timeZone: "Europe/Berlin" });
      stack.set(["xsched-triton:host", "budget"], { amount: 900, notify: ["ops@example.com"] });
      const { code, output } = await stack.up();
      requireSuccess({ code, output });
      assert.deepEqual(changed(output), [
        "triton-machine-budget created",
        "triton-machine-schedule created",
        "triton-machine-schedule-policy created",
        "triton-machine-schedule-role created",
        "triton-machine-stop created",
        "triton-monitoring-dashboard updated",
        "triton-monitoring-disk updated",
        "triton-monitoring-gpu-memory updated",
        "triton-monitoring-hardware updated",
        "triton-monitoring-not-ready updated",
        "triton-monitoring-not-serving created",
        "triton-monitoring-schedule created",
        "triton-monitoring-stopped created",
        "triton-monitoring-system updated",
        "triton-services-services updated",
      ]);
      assert.deepEqual(stack.instances, [id]);
      assert.match(output, /^It stops itself after 30 min without a request\.$/m);
      assert.match(output, /^By its schedule, it stops at cron\(0 19 \? \* MON-FRI \*\), Europe\/Berlin\.$/m);
      const { arn } = stack.properties(INSTANCE);
      const role = stack
        .everything("aws:iam/role:Role")
        .find(({ properties }) => (properties.name as string).includes("-schedule-role-"));
      const { target } = stack.properties("aws:scheduler/schedule:Schedule") as {
        target: { roleArn: string };
      };
      assert.equal(target.roleArn, role?.properties.arn);
      const policy = stack
        .everything("aws:iam/rolePolicy:RolePolicy")
        .find(({ properties }) => properties.role === role?.properties.name);
      const { Statement: statements } = JSON.parse(policy?.properties.policy as string) as {
        Statement: { Action: string[]; Resource: string[] }[];
      };
      assert.deepEqual(
        statements.map(({ Action: actions, Resource: resources }) => [actions, resources]),
        [[["ec2:StopInstances"], [arn]]],
      );
    });

    it("drains its server and shuts itself down, and says on its console why", async () => {
      // A client that keeps its connections is waited for.
      stack.triton.close();
      const faster = { XSCHED_TRITON_IDLE_SECONDS: "0.1", XSCHED_TRITON_IDLE_MINUTE: "0.01" };
      const watching = runUnit(id, "idle", faster);
      await until("the machine shuts down", () => fs.existsSync(stack.machine(id, "poweroff")));
      assert.ok(await isDown(), "drained first");
      await stack.cloud.stopInstance(id, "Client.InstanceInitiatedShutdown");
      await watching;
    });

    it("is said to be stopped, since when and why, and how it starts", async () => {
      const { code, output } = await stack.npm("status");
      assert.equal(code, 1);
      const line = new RegExp(
        `^The instance ${id} of the stack "prod" is stopped since 20\\d\\d-\\d\\d-\\d\\d \\d\\d:\\d\\d UTC ` +
          "\\(no inference request for \\d+ min\\); npm run wake -- prod starts it\\.$",
        "m",
      );
      assert.match(output, line);
      assert.doesNotMatch(output, /ssh:|timed out|refused/i);
      const changing = await stack.workspace.npm("set-priority", "--", "prod", "realtime", "9");
      assert.notEqual(changing.code, 0);
      assert.match(changing.output, /npm run wake -- prod starts it\.$/m);
    });

    it("rings no alarm meanwhile, but does if its server fails", () => {
      const alarm = (part: string): MetricAlarm => {
        const [found] = stack
          .everything("aws:cloudwatch/metricAlarm:MetricAlarm")
          .filter(({ id: name }) => name.includes(`-${part}-`));
        assert.ok(found, part);
        assert.deepEqual([found.properties.alarmActions, found.properties.okActions], [[], []], part);
        return found.properties as unknown as MetricAlarm;
      };
      const composite = stack.properties("aws:cloudwatch/compositeAlarm:CompositeAlarm");
      const [topic] = stack.everything("aws:sns/topic:Topic");
      assert.deepEqual(composite.alarmActions, [topic?.properties.arn]);
      const rings = (ready: Series, checks: Series): boolean =>
        told(
          alarmed(alarm("not-ready"), ready),
          alarmed(alarm("stopped"), checks),
          composite.actionsSuppressor as unknown as Suppressor,
        ).length > 0;
      const minutes = (count: number, value?: number): Series => Array.from({ length: count }, () => value);
      const night = [...minutes(20, 1), ...minutes(2, 0), ...minutes(600), ...minutes(3), ...minutes(20, 1)];
      const checks = [...minutes(22, 0), ...minutes(600), ...minutes(23, 0)];
      assert.ok(!rings(night, checks), "it was stopped on purpose");
      assert.ok(rings(night, minutes(645, 0)), "the instance ran and was silent");
    });

    it("serves again with the same models and priorities after npm run wake, which says how far it is", async () => {
      const { code, output } = await stack.workspace.npm("wake", "--", "prod");
      requireSuccess({ code, output });
      assert.match(
        output,
        /^The instance i-\w+ of the stack "prod" is stopped since .* \(no inference request/m,
      );
      assert.match(output, /^The instance i-\w+ has started; waiting until its models serve …$/m);
      for (const { name, ...priority } of EXAMPLES) {
        assert.match(output, new RegExp(`^${name} +1 +-?\\d+ +yes$`, "m"));
        assert.ok(await stack.triton.isReady(name), name);
        assert.deepEqual(await stack.triton.priority(name), priority);
      }
      assert.equal(stack.cloud.api.asked.filter((operation) => operation === "StartInstances").length, 1);
      assert.deepEqual(stack.instances, [id]);
    });

    it("is started by npm run up, which says so, and changes what it is told to", async () => {
      await stack.cloud.stopInstance(
        id,
        "Client.UserInitiatedShutdown",
        "User initiated (2026-11-27 18:00:00 GMT)",
      );
      stack.set(["xsched-triton:models", "1", "priority"], 90);
      const { code, output } = await stack.up();
      requireSuccess({ code, output });
      assert.match(
        output,
        /is stopped since 2026-11-27 18:00 UTC \(it was stopped through EC2, by its schedule or by somebody\)$/m,
      );
      assert.deepEqual(changed(output), [
        "triton-models-interactive updated",
        "triton-server-models updated",
      ]);
      assert.deepEqual(await stack.triton.priority("interactive"), { triton: "PRIORITY_MAX", xsched: "90" });
      for (const model of MODELS) assert.ok(await stack.triton.isReady(model), model);
    });
  });

  describe("while it is protected", () => {
    let found: string;

    const nothingHasChanged = async (): Promise<void> => {
      assert.ok(JSON.stringify(stack.everything()) === found);
      for (const model of MODELS) assert.ok(await stack.triton.isReady(model), model);
    };

    before(() => {
      found = JSON.stringify(stack.everything());
    });

    it("is not removed, and the message says what to do", async () => {
      const { code, output } = await stack.down();
      assert.notEqual(code, 0);
      assert.match(
        output,
        /^The stack "prod" is protected, so nothing was removed: triton-machine-instance, triton-machine-address$/m,
      );
      assert.match(
        output,
        /^fix: pulumi config set --stack prod --path 'xsched-triton:host\.protect' false$/m,
      );
      await nothingHasChanged();
    });

    it("is not removed by Pulumi itself either", async () => {
      const { code, output } = await stack.pulumi("destroy", "--yes", "--non-interactive");
      assert.notEqual(code, 0);
      assert.match(
        output,
        /Preview failed: resource ".*::triton-machine-(instance|address)" cannot be deleted/,
      );
      await nothingHasChanged();
    });

    it("gets no new instance", async () => {
      stack.set(["xsched-triton:host", "instanceType"], "g5.2xlarge");
      const { code, output } = await stack.up();
      const status = await stack.npm("status");
      stack.set(["xsched-triton:host", "instanceType"], "g5.xlarge");
      assert.notEqual(code, 0);
      assert.match(
        output,
        /unable to replace resource ".*::triton-machine-instance"\n\s+as it is currently marked for protection/,
      );
      await nothingHasChanged();
      requireSuccess(status);
      assert.match(status.output, /^realtime +1 +255 +yes$/m);
    });
  });

  describe("at the end", () => {
    it("loses its protection when the config says so, without any other change", async () => {
      stack.set(["xsched-triton:host", "protect"], false);
      const { code, output } = await stack.up();
      requireSuccess({ code, output });
      assert.deepEqual(changed(output), ["triton-machine-instance updated"]);
      assert.equal(stack.properties(INSTANCE).disableApiTermination, false);
    });

    it("leaves nothing after `npm run down`", async () => {
      const { code, output } = await stack.down();
      requireSuccess({ code, output });
      assert.deepEqual(stack.everything(), []);
    });
  });
});
