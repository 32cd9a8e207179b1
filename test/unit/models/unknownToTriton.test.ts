import assert from "node:assert/strict";
import * as fs from "node:fs";
import * as path from "node:path";

import { ModelConfigError, refuseUnknownToTriton } from "../../../components/models/config";

const FILE = "/models/m/config.pbtxt";

function refusal(config: string, own: string | undefined = config): string | undefined {
  try {
    refuseUnknownToTriton(config, own, "/models/m");
    return undefined;
  } catch (error) {
    assert.ok(error instanceof ModelConfigError);
    return error.message;
  }
}

describe("what Triton does not know in a model's configuration", () => {
  it("is refused with its place and the nearest name", () => {
    for (const [config, expected] of [
      [
        "instance_group [\n  { kind: KIND_GPUU }\n]",
        `${FILE}:2:11: kind is KIND_GPUU, which Triton does not know\n  fix: did you mean KIND_GPU?`,
      ],
      [
        'input { name: "x" data_type: TYPE_FP33 }',
        `${FILE}:1:30: data_type is TYPE_FP33, which Triton does not know\n  fix: did you mean TYPE_FP32?`,
      ],
      [
        'backend: "python"\nmax_batchsize: 8',
        `${FILE}:2:1: a model configuration has no field max_batchsize\n  fix: did you mean max_batch_size?`,
      ],
      [
        "dynamic_batching { prefered_batch_size: 4 }",
        `${FILE}:1:20: dynamic_batching has no field prefered_batch_size\n  fix: did you mean preferred_batch_size?`,
      ],
      [
        "optimization { priority: HIGH }",
        `${FILE}:1:26: priority is HIGH, which Triton does not know\n  fix: choose one of PRIORITY_DEFAULT, PRIORITY_MAX, PRIORITY_MIN`,
      ],
      [
        'instance_group { kind: "KIND_CPU" }',
        `${FILE}:1:24: kind is "KIND_CPU", which Triton does not know\n  fix: write KIND_CPU without quotation marks`,
      ],
    ] as const) {
      assert.equal(refusal(config), expected);
    }
  });

  it("includes values of another kind, and what may be given once", () => {
    for (const [config, what, fix] of [
      ['max_batch_size: "8"', 'max_batch_size is "8"', "use a whole number from -2147483648 to 2147483647"],
      ["max_batch_size: 8.0", "max_batch_size is 8.0", "use a whole number from -2147483648 to 2147483647"],
      ["max_batch_size: 2147483648", "max_batch_size is 2147483648", "use a whole number from"],
      ["model_warmup { batch_size: -1 }", "batch_size is -1", "use a whole number from 0 to 4294967295"],
      ["name: m", "name is m", "use a text in quotation marks"],
      ["response_cache { enable: yes }", "enable is yes", "use true or false"],
      ["response_cache: true", "response_cache is true", "write response_cache { … }"],
      ["max_batch_size: [ 8 ]", "max_batch_size is a list", "keep one value"],
      ['parameters { key: "a" value: "b" }', 'value is "b"', "write value { … }"],
      ["max_batch_size: 8 max_batch_size: 4", "max_batch_size is given twice", "keep one max_batch_size"],
      ["dynamic_batching {} sequence_batching {}", "dynamic_batching excludes sequence_batching", "keep one"],
      ["version_policy { all { count: 1 } }", "all has no field count", "remove it"],
      ["[a.b/c.D] {}", "a model configuration has no field [a.b/c.D]", "choose one of name, "],
    ] as const) {
      assert.ok(refusal(config)?.includes(`: ${what}\n  fix: ${fix}`), refusal(config));
    }
  });

  it("is what its parser refuses, and no more", () => {
    const config = `
      instance_group: [ { kind: 1 gpus: [ 0, 1 ] }, < kind: KIND_CPU > ];
      input { name: "a" 'b' dims: [ -1, 0x10, 010 ] dims: 3 optional: True }
      response_cache { enable: 1 }
      sequence_batching {
        control_input { name: "s" control { kind: CONTROL_SEQUENCE_START fp32_false_true: [ 0, -inf, .5f ] } }
        state { initial_state { zero_data: true } }
      }
      parameters: { key: "k", value: { string_value: "v" } }
      cc_model_filenames: [ { key: "8.0" value: "a.plan" }, { key: "9.0" value: "b.plan" } ]
      optimization { cuda { graph_spec { input { key: "x" value { dim: 1 } } graph_lower_bound { batch_size: 1 } } } }
      model_metrics { metric_control { metric_identifier { family: "f" } histogram_options { buckets: [ 1, 2.5 ] } } }
    `;
    assert.equal(refusal(config), undefined);
  });

  it("is no fault where the settings replace it", () => {
    assert.equal(
      refusal("instance_group { kind: KIND_CPU }", "instance_group { kind: KIND_GPUU }"),
      undefined,
    );
  });

  it("is in no model of the examples", () => {
    const folder = path.join(__dirname, "../../../examples/models");
    const configs = fs
      .readdirSync(folder, { recursive: true, encoding: "utf8" })
      .filter((name) => path.basename(name) === "config.pbtxt");
    assert.ok(configs.length > 0);
    for (const name of configs)
      assert.equal(refusal(fs.readFileSync(path.join(folder, name), "utf8")), undefined);
  });
});
