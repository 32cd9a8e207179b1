import * as assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import * as fs from "node:fs";
import * as path from "node:path";

import { agentConfig } from "../../../components/observability/agentConfig";
import { type Alarm, ALARMS, alarms } from "../../../components/observability/alarms";
import { dashboardBody } from "../../../components/observability/dashboard";
import { HOST_KEY, PRIVATE_KEY } from "../settings/context";
import { PARTITION, type Registered, Recording, record } from "./mocks";

const ROOT = path.resolve(__dirname, "../../..");
const INSTANCE = "i-0123456789abcdef0";
const KEY = "arn:aws:kms:eu-west-1:111122223333:key/01234567-89ab-cdef-0123-456789abcdef";

interface AgentFile {
  readonly agent: { readonly run_as_user: string };
  readonly metrics: {
    readonly namespace: string;
    readonly append_dimensions: unknown;
    readonly aggregation_dimensions: unknown;
    readonly metrics_collected: Readonly<Record<string, { measurement: string[]; resources?: string[] }>>;
  };
  readonly logs: {
    readonly logs_collected: { files: { collect_list: { file_path: string; log_group_name: string }[] } };
    readonly metrics_collected: {
      prometheus: {
        log_group_name: string;
        prometheus_config_path: string;
        emf_processor: {
          metric_namespace: string;
          metric_declaration: {
            label_matcher: string;
            dimensions: string[][];
            metric_selectors: string[];
          }[];
        };
      };
    };
  };
}

interface ScrapeFile {
  readonly scrape_configs: readonly {
    readonly job_name: string;
    readonly metrics_path: string;
    readonly static_configs: readonly { targets: string[]; labels: Record<string, string> }[];
    readonly metric_relabel_configs: readonly {
      regex: string;
      action?: string;
      source_labels?: string[];
      target_label?: string;
    }[];
  }[];
}

const OPTIONS = {
  instanceId: INSTANCE,
  floors: [] as readonly string[],
  weights: [] as readonly string[],
  directory: "/home/ubuntu/.xsched-triton-prod",
  container: true,
  gateway: false,
  tritonMetrics: "127.0.0.1:8002",
  logGroup: "logs",
  metricsGroup: "metrics",
};

const files = (options: Partial<typeof OPTIONS> = {}): [AgentFile, ScrapeFile] => {
  const text = agentConfig({ ...OPTIONS, ...options });
  const { agent, prometheus } = JSON.parse(text) as { agent: AgentFile; prometheus: ScrapeFile };
  return [agent, prometheus];
};

describe("the configuration of the CloudWatch agent", () => {
  it("measures disks, memory and GPUs, also for the instance as a whole", () => {
    const [{ metrics }] = files();
    assert.deepEqual(Object.keys(metrics.metrics_collected), ["disk", "mem", "nvidia_gpu"]);
    assert.deepEqual(metrics.metrics_collected.disk?.resources, [
      "/",
      "/home/ubuntu/.xsched-triton-prod/models/store",
    ]);
    assert.deepEqual(metrics.aggregation_dimensions, [["InstanceId"]]);
    assert.deepEqual(metrics.append_dimensions, { InstanceId: "${aws:InstanceId}" });
  });

  const places = (options: Partial<typeof OPTIONS>): string[] =>
    files(options)[0].logs.logs_collected.files.collect_list.map(({ file_path }) => file_path);

  it("ships Triton's output, in each runtime", () => {
    assert.deepEqual(places({ container: true }), [
      "/home/ubuntu/.xsched-triton-prod/server/logs/container-*.log",
      "/var/log/syslog",
    ]);
    assert.deepEqual(places({ container: false }), [
      "/home/ubuntu/.xsched-triton-prod/server/logs/triton.log",
      "/var/log/syslog",
    ]);
  });

  it("ships what the gateway says of requests, where there is one", () => {
    assert.deepEqual(places({ gateway: true }), [
      "/home/ubuntu/.xsched-triton-prod/server/logs/container-*.log",
      "/home/ubuntu/.xsched-triton-prod/gateway/logs/gateway.log",
      "/var/log/syslog",
    ]);
  });

  it("scrapes Triton and the host at their addresses", () => {
    const [, { scrape_configs: jobs }] = files({ tritonMetrics: "10.0.0.5:9002" });
    assert.deepEqual(
      jobs.map(({ job_name, metrics_path, static_configs }) => [job_name, metrics_path, static_configs]),
      [
        ["triton", "/metrics", [{ targets: ["10.0.0.5:9002"], labels: { InstanceId: INSTANCE } }]],
        ["host", "/metrics.txt", [{ targets: ["127.0.0.1:9464"], labels: { InstanceId: INSTANCE } }]],
      ],
    );
  });

  it("counts a queue for its model, as the core names it", () => {
    const [, { scrape_configs: jobs }] = files();
    const [relabel, drop] = jobs[1]!.metric_relabel_configs;
    const model = (name: string): string | undefined => new RegExp(`^(?:${relabel!.regex})$`).exec(name)?.[1];
    assert.equal(model("bert/bert_0"), "bert");
    assert.equal(model("no instance"), undefined);
    assert.deepEqual([relabel!.source_labels, relabel!.target_label], [["name"], "model"]);
    assert.deepEqual(drop, { regex: "pid", action: "labeldrop" });
  });

  it("sends what models have of the GPU only where one has a floor or a weight", () => {
    for (const [options, sent] of [
      [{}, false],
      [{ floors: ["chat"] }, true],
      [{ weights: ["chat"] }, true],
    ] as const) {
      assert.equal(JSON.stringify(files(options)).includes("xsched_queue_floor_used_ratio"), sent);
    }
  });

  it("names metrics that Triton, the scheduler and the host really have", () => {
    const [{ logs }] = files({ floors: ["chat"] });
    const wanted = logs.metrics_collected.prometheus.emf_processor.metric_declaration
      .flatMap(({ metric_selectors }) => metric_selectors)
      .map((selector) => selector.replace(/^\^|\$$/g, ""));
    const core = fs.readFileSync(path.join(ROOT, "native/xsched/src/control/metrics.cc"), "utf8");
    const host = fs.readFileSync(path.join(ROOT, "components/host/agent/agent/metrics.py"), "utf8");
    for (const metric of wanted.filter((each) => each.startsWith("xsched_queue_"))) {
      assert.ok(core.includes(`"${metric}"`), metric);
    }
    for (const metric of wanted.filter((each) => each.startsWith("xsched_triton_"))) {
      assert.ok(host.includes(metric), metric);
    }
    assert.ok(wanted.includes("nv_inference_queue_duration_us"));
    assert.ok(wanted.includes("xsched_queue_blocked_seconds_total"));
  });
});

const all = (changes: Partial<Parameters<typeof alarms>[0]> = {}): Record<string, Alarm> =>
  alarms({
    ...{
      partition: "aws",
      region: "eu-west-1",
      instanceId: INSTANCE,
      topic: "the-topic",
    },
    ...{ diskPercent: 85, gpuMemoryPercent: 95, notReadyMinutes: 3 },
    ...changes,
  });

describe("the alarms", () => {
  it("notify the topic when they go off and when they are over", () => {
    for (const name of ALARMS) {
      assert.equal(all()[name]?.alarmActions[0], "the-topic", name);
      assert.deepEqual(all()[name]?.okActions, ["the-topic"], name);
    }
  });

  it("repair what can be repaired", () => {
    assert.deepEqual(all().system?.alarmActions, ["the-topic", "arn:aws:automate:eu-west-1:ec2:reboot"]);
    assert.deepEqual(all().hardware?.alarmActions, ["the-topic"]);
    // A restart on other hardware comes first.
    assert.ok(all().system!.evaluationPeriods > all().hardware!.evaluationPeriods);
  });

  it("treat missing data as a fault where only a fault causes it", () => {
    const silence = Object.entries(all()).map(
      ([name, { treatMissingData }]) => `${name} ${treatMissingData}`,
    );
    assert.deepEqual(silence, [
      "hardware missing",
      "system missing",
      "disk missing",
      "gpu-memory missing",
      "not-ready breaching",
    ]);
  });

  it("watch what the settings ask for", () => {
    const { disk, "gpu-memory": memory, "not-ready": ready } = all({ diskPercent: 70, notReadyMinutes: 9 });
    assert.deepEqual([disk?.metricName, disk?.threshold], ["disk_used_percent", 70]);
    assert.deepEqual([memory?.threshold, memory?.metricQueries?.[0]?.expression], [95, "100 * used / total"]);
    assert.deepEqual(
      memory?.metricQueries?.slice(1).map(({ id, metric }) => [id, metric?.metricName]),
      [
        ["used", "nvidia_smi_memory_used"],
        ["total", "nvidia_smi_memory_total"],
      ],
    );
    assert.deepEqual([ready?.evaluationPeriods, ready?.period, ready?.threshold], [9, 60, 1]);
    assert.equal(ready?.comparisonOperator, "LessThanThreshold");
  });
});

interface Widget {
  readonly type: string;
  readonly x: number;
  readonly y: number;
  readonly width: number;
  readonly height: number;
  readonly properties: {
    title: string;
    region?: string;
    metrics?: (string | { id?: string; expression?: string })[][];
  };
}

describe("the dashboard", () => {
  const body = (models: string[], floors: string[] = [], weights: string[] = []): Widget[] => {
    const options = { region: "eu-west-1", instanceId: INSTANCE, models, floors, weights };
    return (JSON.parse(dashboardBody({ ...options, alarms: ["an-alarm"] })) as { widgets: Widget[] }).widgets;
  };

  it("shows rate, queue time, blocked time of each model, and the GPU", () => {
    const widgets = body(["chat", "batch"]);
    const titles = widgets.map(({ properties }) => properties.title);
    for (const title of [
      "Requests",
      "Mean time in the queue",
      "Time that launches waited for more urgent models",
      "GPU use",
    ]) {
      assert.ok(titles.includes(title), title);
    }
    const [requests] = widgets;
    assert.deepEqual(requests!.properties.metrics, [
      [{ expression: "s0 / 60", label: "chat" }],
      [
        ...["XSchedTriton", "nv_inference_request_success", "InstanceId", INSTANCE, "model", "chat"],
        { stat: "Sum", id: "s0", visible: false },
      ],
      [{ expression: "s1 / 60", label: "batch" }],
      [
        ...["XSchedTriton", "nv_inference_request_success", "InstanceId", INSTANCE, "model", "batch"],
        { stat: "Sum", id: "s1", visible: false },
      ],
    ]);
  });

  it("shows what models with a floor or a weight have of the GPU, and only where there are any", () => {
    const sharing = (...shares: [string[]?, string[]?]) =>
      body(["chat", "batch"], ...shares).filter(({ properties: { title } }) => title.startsWith("Share of"));
    assert.deepEqual(sharing(), []);
    const [floor, ...none] = sharing(["batch"]);
    assert.deepEqual(none, []);
    const metric = (name: string, stat: string, id: string): unknown[] => [
      ...["XSchedTriton", name, "InstanceId", INSTANCE, "model", "batch"],
      { stat, id, visible: false },
    ];
    assert.deepEqual(floor!.properties.metrics, [
      [{ expression: "100 * u0", label: "batch" }],
      metric("xsched_queue_floor_used_ratio", "Average", "u0"),
      [{ expression: "100 * f0", label: "batch: floor" }],
      metric("xsched_queue_floor_ratio", "Maximum", "f0"),
    ]);
    const [weight] = sharing([], ["chat", "batch"]);
    assert.deepEqual(
      weight!.properties.metrics
        ?.flat()
        .flatMap((each) =>
          typeof each === "object" && each.expression !== undefined ? [each.expression] : [],
        ),
      ["100 * u0", "100 * u1"],
    );
  });

  it("uses only metrics that the agent sends, and defined ids", () => {
    const [{ logs, metrics: host }] = files({ floors: ["chat"] });
    const sent = new Set([
      ...logs.metrics_collected.prometheus.emf_processor.metric_declaration
        .flatMap(({ metric_selectors }) => metric_selectors)
        .map((selector) => selector.replace(/^\^|\$$/g, "")),
      ...host.metrics_collected.disk!.measurement.map((name) => `disk_${name}`),
      ...host.metrics_collected.mem!.measurement.map((name) => `mem_${name}`),
      ...host.metrics_collected.nvidia_gpu!.measurement.map((name) => `nvidia_smi_${name}`),
    ]);
    for (const { properties } of body(["chat", "batch", "third"], ["chat", "third"], ["batch", "third"])) {
      const lines = properties.metrics ?? [];
      const ids = new Set(lines.map((line) => line.at(-1)).map((last) => (last as { id?: string }).id));
      for (const line of lines) {
        const [first, metric] = line;
        if (typeof first === "object") {
          for (const [id] of (first.expression ?? "").matchAll(/[a-z]\w*/g)) assert.ok(ids.has(id), id);
        } else {
          assert.ok(sent.has(metric as string), JSON.stringify(metric));
        }
      }
      const names = lines.map((line) => (line.at(-1) as { id?: string }).id).filter(Boolean);
      assert.equal(new Set(names).size, names.length);
    }
  });

  it("has widgets that do not overlap", () => {
    const cells = body(["chat"], ["chat"]).flatMap(({ x, y, width, height }) =>
      Array.from(
        { length: width * height },
        (_, cell) => `${x + (cell % width)},${y + Math.floor(cell / width)}`,
      ),
    );
    assert.equal(new Set(cells).size, cells.length);
    assert.ok(cells.every((cell) => Number(cell.split(",")[0]) < 24));
  });
});

const WATCHED = {
  ...{ instanceId: INSTANCE, region: "eu-west-1", roleName: "the-role" },
  directory: "/srv/triton",
  ssh: { address: "gpu.example", privateKey: PRIVATE_KEY, hostKey: HOST_KEY },
  models: ["chat"],
};

for (const preview of [true, false]) {
  describe(`the monitoring of a host, ${preview ? "in a preview" : "in an update"}`, () => {
    let program: Recording;

    before(async () => {
      const outputs = ({ type, name, inputs }: Registered): Record<string, unknown> =>
        type.startsWith("command:") ? { stdout: "" } : { arn: `arn:of:${name}`, name: inputs.name ?? name };
      program = await record(preview, outputs, async () => {
        const { AwsMonitoring } = await import("../../../components");
        new AwsMonitoring("watch", {
          ...WATCHED,
          notify: ["ops@example.com", "https://pager.example.com/hook"],
          logDays: 7,
          tags: { team: "vision" },
        });
      });
    });

    it("tags everything that can have tags", () => {
      const tagged = program.resources.filter(
        ({ type }) =>
          type.startsWith("aws:") && !/(RolePolicy|Subscription|EventTarget|Dashboard)$/.test(type),
      );
      assert.equal(tagged.length, 10);
      for (const { name, inputs } of tagged) {
        assert.equal((inputs.tags as Record<string, string>).team, "vision", name);
        assert.equal((inputs.tags as Record<string, string>)["xsched-triton:stack"], "stack", name);
      }
    });

    it("notifies each subscriber by its kind of address", () => {
      const subscriptions = program.resources.filter(({ type }) => type.includes("TopicSubscription"));
      assert.deepEqual(
        subscriptions.map(({ inputs }) => [inputs.protocol, inputs.endpoint]),
        [
          ["email", "ops@example.com"],
          ["https", "https://pager.example.com/hook"],
        ],
      );
    });

    it("keeps logs for as long as the settings say", () => {
      const groups = program.resources.filter(({ type }) => type === "aws:cloudwatch/logGroup:LogGroup");
      assert.deepEqual(
        groups.map(({ inputs }) => inputs.retentionInDays),
        [7, 7],
      );
    });

    if (preview) return;

    it("lets the instance send metrics of one namespace and write two groups, nothing else", () => {
      const { role, policy } = program.inputs("aws:iam/rolePolicy:RolePolicy", "watch-agent") as {
        role: string;
        policy: string;
      };
      assert.equal(role, "the-role");
      assert.deepEqual((JSON.parse(policy) as { Statement: unknown }).Statement, [
        {
          Sid: "SendMetrics",
          Effect: "Allow",
          Action: ["cloudwatch:PutMetricData"],
          Resource: ["*"],
          Condition: { StringEquals: { "cloudwatch:namespace": ["XSchedTriton"] } },
        },
        {
          Sid: "WriteLogs",
          Effect: "Allow",
          Action: ["logs:CreateLogStream", "logs:DescribeLogStreams", "logs:PutLogEvents"],
          Resource: [
            "arn:of:watch-logs",
            "arn:of:watch-logs:log-stream:*",
            "arn:of:watch-metrics",
            "arn:of:watch-metrics:log-stream:*",
          ],
        },
      ]);
    });

    it("restarts this instance, and no other, when its hardware fails", () => {
      const { Statement: statements } = JSON.parse(
        program.inputs("aws:iam/rolePolicy:RolePolicy", "watch-restart-policy").policy as string,
      ) as { Statement: { Action: string[]; Resource: string[] }[] };
      const stop = statements.find(({ Action: actions }) => actions.includes("ec2:StopInstances"));
      assert.deepEqual(stop?.Resource, [`arn:aws:ec2:eu-west-1:*:instance/${INSTANCE}`]);
      const start = statements.find(({ Action: actions }) =>
        actions.includes("ssm:StartAutomationExecution"),
      );
      assert.deepEqual(start?.Resource, [
        "arn:aws:ssm:eu-west-1::automation-definition/AWS-RestartEC2Instance:*",
        "arn:aws:ssm:eu-west-1::document/AWS-RestartEC2Instance",
        "arn:aws:ssm:eu-west-1:*:automation-execution/*",
      ]);
      const pattern = program.inputs("aws:cloudwatch/eventRule:EventRule").eventPattern as string;
      assert.deepEqual((JSON.parse(pattern) as { resources: string[] }).resources, ["arn:of:watch-hardware"]);
      const { arn, input } = program.inputs("aws:cloudwatch/eventTarget:EventTarget") as Record<
        string,
        string
      >;
      assert.equal(arn, "arn:aws:ssm:eu-west-1::automation-definition/AWS-RestartEC2Instance:$DEFAULT");
      assert.deepEqual(JSON.parse(input!), {
        InstanceId: [INSTANCE],
        AutomationAssumeRole: ["arn:of:watch-restart-role"],
      });
    });

    it("configures the agent with the created log groups", () => {
      const { stdin, create } = program.inputs("command:remote:Command", "watch-agent") as Record<
        string,
        string
      >;
      assert.match(create!, /^\/srv\/triton\/bin\/agent configure-cloudwatch$/);
      assert.match(stdin!, /"log_group_name":"watch-logs"/);
      assert.match(stdin!, /"log_group_name":"watch-metrics"/);
    });
  });
}

describe("the host's metrics of its server", () => {
  it("come from where the image keeps its state", () => {
    const { stdout } = spawnSync(
      "grep",
      ["-h", "XSCHED_TRITON_STATE:-", path.join(ROOT, "images/triton/entrypoint.sh")],
      {
        encoding: "utf8",
      },
    );
    const container = fs.readFileSync(
      path.join(ROOT, "components/host/agent/agent/server/container.py"),
      "utf8",
    );
    const place = /^CONTAINER_STATE = "(\S+)"$/m.exec(container)?.[1];
    assert.ok(place && stdout.includes(`XSCHED_TRITON_STATE:-${place}}`), stdout);
  });
});

describe("the monitoring of another host", () => {
  const outputs = ({ type, name }: Registered): Record<string, unknown> =>
    type.startsWith("command:") ? { stdout: "" } : { arn: `arn:of:${name}`, name };
  const watching = (
    changes: {
      spot?: boolean;
      region?: string;
      kmsKeyId?: string;
      permissionsBoundary?: string;
      volumeKeyId?: string;
    },
    partition?: typeof PARTITION,
  ): Promise<Recording> =>
    record(
      false,
      outputs,
      async () => {
        const { AwsMonitoring } = await import("../../../components");
        new AwsMonitoring("watch.eu", { ...WATCHED, notify: ["ops@example.com"], ...changes });
      },
      partition,
    );

  it("does not restart a spot instance, which AWS starts itself", async () => {
    const program = await watching({ spot: true });
    assert.deepEqual(program.names("aws:iam/role:Role"), []);
    assert.deepEqual(program.names("aws:cloudwatch/event"), []);
    assert.equal(program.names("aws:cloudwatch/metricAlarm:").length, ALARMS.length);
  });

  it("keeps the role for restarts within a boundary", async () => {
    const permissionsBoundary = "arn:aws:iam::111122223333:policy/xsched-triton-boundary";
    const role = (program: Recording): unknown => program.inputs("aws:iam/role:Role").permissionsBoundary;
    assert.equal(role(await watching({ permissionsBoundary })), permissionsBoundary);
    assert.equal(role(await watching({})), undefined);
  });

  it("keeps logs and messages under a key of your own", async () => {
    const program = await watching({ kmsKeyId: KEY });
    for (const group of ["watch.eu-logs", "watch.eu-metrics"]) {
      assert.equal(program.inputs("aws:cloudwatch/logGroup:LogGroup", group).kmsKeyId, KEY);
    }
    assert.equal(program.inputs("aws:sns/topic:Topic").kmsMasterKeyId, KEY);
  });

  it("restarts an instance whose volume has a customer's key, and none in the key's name otherwise", async () => {
    const rights = async (changes: object): Promise<unknown[]> => {
      const program = await watching(changes);
      const { policy } = program.inputs("aws:iam/rolePolicy:RolePolicy", "watch.eu-restart-policy");
      const { Statement: statements } = JSON.parse(policy as string) as { Statement: { Action: string[] }[] };
      return statements.filter(({ Action: actions }) => actions.some((action) => action.startsWith("kms:")));
    };
    const ec2 = { "kms:ViaService": ["ec2.eu-west-1.amazonaws.com*"] };
    assert.deepEqual(await rights({ volumeKeyId: KEY }), [
      {
        Sid: "GrantVolumeKey",
        Effect: "Allow",
        Action: ["kms:CreateGrant"],
        Resource: [KEY],
        Condition: { StringLike: ec2, Bool: { "kms:GrantIsForAWSResource": ["true"] } },
      },
      {
        Sid: "UseVolumeKey",
        Effect: "Allow",
        Action: [
          "kms:Decrypt",
          "kms:DescribeKey",
          "kms:GenerateDataKeyWithoutPlaintext",
          "kms:ReEncryptFrom",
          "kms:ReEncryptTo",
        ],
        Resource: [KEY],
        Condition: { StringLike: ec2 },
      },
    ]);
    assert.deepEqual(await rights({ volumeKeyId: "" }), []);
    assert.deepEqual(await rights({}), []);
  });

  it("names everything as its part of AWS does", async () => {
    const gov = { partition: "aws-us-gov", dnsSuffix: "amazonaws.com" };
    const program = await watching({ region: "us-gov-west-1" }, gov);
    const named = program.resources.flatMap(
      ({ inputs }) => JSON.stringify(inputs).match(/arn:aws[a-z-]*:[^"\\]*/g) ?? [],
    );
    assert.ok(named.length >= 6, named.join("\n"));
    for (const arn of named) assert.match(arn, /^arn:aws-us-gov:/);
  });

  it("has a dashboard by a name that CloudWatch accepts", async () => {
    const program = await watching({});
    assert.match(
      program.inputs("aws:cloudwatch/dashboard:Dashboard").dashboardName as string,
      /^[A-Za-z0-9_-]{1,255}$/,
    );
  });
});
