import assert from "node:assert/strict";

import * as pulumi from "@pulumi/pulumi";
import * as fc from "fast-check";

import { ModelConfigError, renderModelConfig } from "../../../components/models/config";
import { EnginePrecision, ModelSettings } from "../../../components/settings";
import { Field, named, parseTextFormat } from "../../../components/textFormat";
import { Value } from "../../../components/textFormat/parser";
import { document, FieldMeaning, meaningOf } from "../textFormat/textFormatSamples";
import { runs } from "../../properties";

function model(options: Partial<ModelSettings> = {}): ModelSettings {
  return {
    name: "m",
    source: "/models/m",
    upload: "auto",
    allowOutsideLinks: false,
    priority: 40,
    floor: 0,
    weight: 0,
    engine: undefined,
    versionPolicy: undefined,
    instanceGroups: undefined,
    dynamicBatching: undefined,
    warmup: undefined,
    config: undefined,
    dependsOn: [],
    parameters: {},
    ...options,
  };
}

const PRIORITY_BLOCK = `parameters {
  key: "xsched_priority"
  value {
    string_value: "40"
  }
}
`;

describe("renderModelConfig", () => {
  it("takes a file that begins with a byte order mark, which Triton does not", () => {
    const own = 'backend: "python"\n';
    assert.equal(renderModelConfig(`\uFEFF${own}`, model()), renderModelConfig(own, model()));
    assert.throws(() => renderModelConfig(`${own}\uFEFF`, model()), ModelConfigError);
  });

  it("writes a complete config for a model without one", () => {
    assert.equal(
      renderModelConfig(undefined, model()),
      `name: "m"\noptimization {\n  priority: PRIORITY_MAX\n}\n${PRIORITY_BLOCK}`,
    );
  });

  describe("of a model whose engine is built", () => {
    const engine = {
      precision: EnginePrecision.Fp16,
      shapes: [],
      workspaceMiB: 1024,
      builder: "tensorrt:22.06",
      shared: undefined,
    };

    it("names the platform, unless the file does", () => {
      const rendered = renderModelConfig(undefined, model({ engine }));
      assert.match(rendered, /^platform: "tensorrt_plan"$/m);
      assert.equal(renderModelConfig(rendered, model({ engine })), rendered);
      for (const own of ['backend: "tensorrt"', 'platform: "tensorrt_plan"']) {
        assert.ok(renderModelConfig(own, model({ engine })).startsWith(`${own}\n`));
      }
      assert.doesNotMatch(renderModelConfig('backend: "tensorrt"', model({ engine })), /platform/);
    });

    it("refuses a file that was written for the ONNX model", () => {
      assert.throws(
        () => renderModelConfig('platform: "onnxruntime_onnx"', model({ engine })),
        new ModelConfigError(
          "/models/m/config.pbtxt",
          'platform is "onnxruntime_onnx", but the stack config asks for an engine, which TensorRT serves',
          "remove platform from the file, or engine from the stack config",
        ),
      );
    });
  });

  describe("of an ensemble", () => {
    const own = 'platform: "ensemble"\nensemble_scheduling { step { model_name: "a" model_version: -1 } }\n';

    it("adds the name and the scheduler's parameter, but no optimization", () => {
      const rendered = renderModelConfig(own, model());
      assert.equal(rendered, `${own}name: "m"\n${PRIORITY_BLOCK}`);
      assert.equal(renderModelConfig(rendered, model()), rendered);
    });

    it("knows one by its steps or by its platform, however that is written", () => {
      for (const text of [
        "ensemble_scheduling < step [ < model_name: 'a' >, { model_name: \"b\" } ] >",
        `platform: 'ens' "emble"`,
      ]) {
        assert.doesNotMatch(renderModelConfig(text, model()), /optimization/);
      }
      assert.match(renderModelConfig('platform: "onnxruntime_onnx" # ensemble', model()), /optimization/);
    });

    const faults: readonly (readonly [string, Partial<ModelSettings>, string])[] = [
      [
        "",
        { floor: 10 },
        "the model is an ensemble, which runs nothing itself, but the stack config gives it floor\n  fix: remove floor from the stack config, or set it for the models of its steps",
      ],
      [
        "",
        { weight: 3 },
        "the model is an ensemble, which runs nothing itself, but the stack config gives it weight\n  fix: remove weight from the stack config, or set it for the models of its steps",
      ],
      [
        "optimization { priority: PRIORITY_MAX }",
        {},
        "an ensemble runs nothing itself and cannot have optimization\n  fix: remove optimization; the models of its steps can have it",
      ],
      [
        "instance_group { count: 2 }",
        {},
        "an ensemble runs nothing itself and cannot have instance_group\n  fix: remove instance_group; the models of its steps can have it",
      ],
      [
        "",
        { instanceGroups: [{ name: undefined, kind: "cpu", count: 1, gpus: [], rateLimiter: undefined }] },
        "the model is an ensemble, which runs nothing itself, but the stack config gives it instanceGroups\n  fix: remove instanceGroups from the stack config, or set it for the models of its steps",
      ],
      [
        "",
        {
          warmup: [
            {
              name: "w",
              batchSize: 1,
              inputs: [{ name: "x", dataType: "FP32", dims: [3], content: { kind: "zero" } }],
            },
          ],
        },
        "the model is an ensemble, which runs nothing itself, but the stack config gives it warmup\n  fix: remove warmup from the stack config, or set it for the models of its steps",
      ],
    ];
    for (const [more, options, message] of faults) {
      it(`refuses ${more || Object.keys(options).join()}`, () => {
        assert.throws(() => renderModelConfig(own + more, model(options)), {
          message: `/models/m/config.pbtxt: ${message}`,
        });
      });
    }
  });

  for (const key of ["floor", "weight"] as const) {
    it(`adds a ${key} as the scheduler's parameter, and nothing without one`, () => {
      const plain = renderModelConfig("", model());
      const block = PRIORITY_BLOCK.replace("xsched_priority", `xsched_${key}`).replace("40", "20");
      const rendered = renderModelConfig("", model({ [key]: 20 }));
      assert.equal(rendered, `${plain}${block}`);
      assert.equal(renderModelConfig(rendered, model({ [key]: 20 })), rendered);
      const { [key]: _, ...earlier } = model();
      assert.equal(renderModelConfig("", earlier), plain);
      // The stack's counts, as the sum of the floors on a GPU is the stack's to check.
      assert.equal(renderModelConfig(rendered, model()), rendered.replace('"20"', '"0"'));
    });
  }

  it("adds both", () => {
    const own = parametersOf(renderModelConfig("", model({ floor: 20, weight: 3 })));
    assert.deepEqual([own.get("xsched_floor"), own.get("xsched_weight")], ["20", "3"]);
  });

  describe("of a model that TensorRT serves", () => {
    const group: NonNullable<ModelSettings["instanceGroups"]>[number] = {
      name: undefined,
      kind: "gpu",
      count: 1,
      gpus: [],
      rateLimiter: undefined,
    };
    const two = { ...group, count: 2 };
    const instances = (own: string | undefined, options: Partial<ModelSettings> = {}, hasPlan?: boolean) =>
      parametersOf(renderModelConfig(own, model(options), hasPlan)).get("xsched_instances");

    for (const own of [
      'backend: "tensorrt"',
      'platform: "tensorrt_plan"',
      'default_model_filename: "model.plan"',
    ]) {
      it(`names the instance groups with ${own}`, () => {
        const one = instances(own, { instanceGroups: [group] });
        assert.match(one ?? "", /^[0-9a-f]{16}$/);
        const others = [
          [two],
          [group, group],
          [{ ...group, gpus: [0] }],
          [{ ...group, gpus: [1] }],
          [{ ...group, name: "a" }],
        ].map((instanceGroups) => instances(own, { instanceGroups }));
        assert.equal(new Set([one, undefined, ...others]).size, 7);
      });
    }

    it("knows one by its model.plan, unless the file names something else", () => {
      assert.match(instances(undefined, { instanceGroups: [group] }, true) ?? "", /^[0-9a-f]{16}$/);
      for (const own of [
        'backend: "python"',
        'platform: "onnxruntime_onnx"',
        'default_model_filename: "m.pt"',
      ]) {
        assert.equal(instances(own, { instanceGroups: [group] }, true), undefined);
      }
    });

    it("names those of the model's own file, however they are spelled", () => {
      const own = (groups: string): string => `backend: "tensorrt"\n${groups}\n`;
      const one = instances(own("instance_group [ { kind: KIND_GPU count: 1 } ]"));
      assert.match(one ?? "", /^[0-9a-f]{16}$/);
      assert.equal(instances(own("instance_group { kind: KIND_GPU, # ours\n count: 1 }")), one);
      assert.equal(instances("backend: 'tensorrt'", { instanceGroups: [group] }), one);
      assert.notEqual(instances(own("instance_group [ { kind: KIND_GPU count: 2 } ]")), one);
      // The settings replace them.
      assert.equal(
        instances(own("instance_group { count: 9 }"), { instanceGroups: [two] }),
        instances(own(""), { instanceGroups: [two] }),
      );
    });

    it("adds nothing without instance groups, and leaves no name of earlier ones", () => {
      const own = 'backend: "tensorrt"';
      assert.equal(instances(own), undefined);
      const rendered = renderModelConfig(`${own} instance_group { count: 2 }`, model());
      assert.equal(renderModelConfig(rendered, model()), rendered);
      assert.equal(instances(rendered.replace("instance_group { count: 2 }", "")), "default");
    });

    it("leaves models of other backends as they are", () => {
      for (const backend of ["onnxruntime", "python", "pytorch", "tensorrtllm"]) {
        const own = `name: "m"\nbackend: "${backend}"\ninstance_group { count: 2 }\noptimization {\n  priority: PRIORITY_MAX\n}\n${PRIORITY_BLOCK}`;
        assert.equal(renderModelConfig(own, model()), own);
      }
    });
  });

  it("names the priority as Triton does", () => {
    const name = (priority: number): string | undefined =>
      /PRIORITY_[A-Z]+/.exec(renderModelConfig(undefined, model({ priority })))?.[0];
    assert.deepEqual([255, 1, 0, -1, -255].map(name), [
      "PRIORITY_MAX",
      "PRIORITY_MAX",
      "PRIORITY_DEFAULT",
      "PRIORITY_MIN",
      "PRIORITY_MIN",
    ]);
  });

  it("keeps what the user wrote", () => {
    const own = `# Who: vision team
name: 'm'   # fixed
max_batch_size: 8
optimization {
    cuda { graphs: true }  # faster
}
parameters < key: "xsched" "_priority"; value: { string_value: '1' } > # ours
`;
    assert.equal(
      renderModelConfig(own, model({ priority: -3 })),
      `# Who: vision team
name: 'm'   # fixed
max_batch_size: 8
optimization {
    cuda { graphs: true }  # faster
    priority: PRIORITY_MIN
}
parameters < key: "xsched" "_priority"; value: { string_value: "-3" } > # ours
`,
    );
  });

  it("keeps Windows line breaks and adds a missing one at the end", () => {
    assert.equal(
      renderModelConfig('name: "m"\r\noptimization { }\r\n# end', model({ priority: 0 })).replaceAll(
        "\r\n",
        "↵",
      ),
      'name: "m"↵optimization { priority: PRIORITY_DEFAULT }↵# end↵parameters {↵  key: "xsched_priority"↵  value {↵' +
        '    string_value: "0"↵  }↵}↵',
    );
  });

  const spellings = [
    'parameters { key: "xsched_priority" value { string_value: "1" } }',
    'parameters: { key: "xsched_priority", value: { string_value: "1" }, };',
    'parameters < key: "xsched_priority" value < string_value: "1" > >',
    'parameters [ { key: "other" value { string_value: "1" } }, { value { string_value: "1" } key: "xsched_priority" } ]',
    'parameters: [ { key: "xsched_priority" } ]',
    'parameters { key: "xsched_priority" value { } }',
    'parameters { key: "xsched_priority" value: { string_value: "a" "b" # twice\n "c" } }',
    'parameters { key: "\\x78sched_priority" value { string_value: "1" } }',
    'parameters { key: "xsched_priority" } parameters { key: "xsched_priority" value { string_value: "2" } }',
  ];
  for (const spelling of spellings) {
    it(`replaces ${JSON.stringify(spelling)}`, () => {
      const rendered = renderModelConfig(spelling, model());
      assert.deepEqual(parametersOf(rendered).get("xsched_priority"), "40");
      assert.equal(parametersOf(rendered).get("other"), spelling.includes("other") ? "1" : undefined);
      assert.equal(renderModelConfig(rendered, model()), rendered);
    });
  }

  it("writes every option", () => {
    const rendered = renderModelConfig(
      "# mine\ninstance_group { kind: KIND_CPU }\ninstance_group { kind: KIND_GPU } # second\nmax_batch_size: 4\n",
      model({
        versionPolicy: { kind: "specific", versions: [1, 3] },
        instanceGroups: [
          {
            name: undefined,
            kind: "gpu",
            count: 2,
            gpus: [0, 1],
            rateLimiter: { resources: [{ name: "R", global: false, count: 4 }], priority: 2 },
          },
          { name: "b", kind: "cpu", count: 1, gpus: [], rateLimiter: undefined },
        ],
        dynamicBatching: {
          preferredBatchSizes: [4],
          maxQueueDelayMicroseconds: 100,
          preserveOrdering: undefined,
          priorityLevels: undefined,
          defaultPriorityLevel: undefined,
          queuePolicy: {
            timeoutAction: "delay",
            defaultTimeoutMicroseconds: 9,
            allowTimeoutOverride: true,
            maxQueueSize: 5,
          },
        },
        warmup: [
          {
            name: "w",
            batchSize: 1,
            inputs: [
              { name: "x", dataType: "FP32", dims: [3], content: { kind: "zero" } },
              { name: "y", dataType: "STRING", dims: [1], content: { kind: "file", file: "y.bin" } },
            ],
          },
        ],
        parameters: { say: 'a "b"\nc' },
      }),
    );
    assert.equal(
      rendered,
      `# mine
instance_group [
  {
    kind: KIND_GPU
    count: 2
    gpus: [ 0, 1 ]
    rate_limiter {
      resources [
        {
          name: "R"
          global: false
          count: 4
        }
      ]
      priority: 2
    }
  },
  {
    name: "b"
    kind: KIND_CPU
    count: 1
  }
]
 # second
max_batch_size: 4
name: "m"
optimization {
  priority: PRIORITY_MAX
}
version_policy {
  specific {
    versions: [ 1, 3 ]
  }
}
dynamic_batching {
  preferred_batch_size: [ 4 ]
  max_queue_delay_microseconds: 100
  default_queue_policy {
    timeout_action: DELAY
    default_timeout_microseconds: 9
    allow_timeout_override: true
    max_queue_size: 5
  }
}
model_warmup [
  {
    name: "w"
    batch_size: 1
    inputs {
      key: "x"
      value {
        data_type: TYPE_FP32
        dims: [ 3 ]
        zero_data: true
      }
    }
    inputs {
      key: "y"
      value {
        data_type: TYPE_STRING
        dims: [ 1 ]
        input_data_file: "y.bin"
      }
    }
  }
]
parameters {
  key: "say"
  value {
    string_value: "a \\"b\\"\\nc"
  }
}
${PRIORITY_BLOCK}`,
    );
  });

  it("keeps paths inside of the model's folder, and texts that are none", () => {
    for (const text of [
      "$$TRITON_MODEL_DIRECTORY/env.tar.gz",
      "a/../b",
      "/opt/models/../env",
      "1..2",
      "see ../README",
      "..\\n",
    ]) {
      const own = `parameters { key: "p" value { string_value: ${JSON.stringify(text)} } }`;
      assert.ok(renderModelConfig(own, model()).startsWith(own));
    }
  });

  const faults: readonly (readonly [string, Partial<ModelSettings>, string])[] = [
    [
      'parameters [ { key: "EXECUTION_ENV_PATH" value { string_value: "$$TRITON_MODEL_DIRECTORY/../env.tar.gz" } } ]',
      {},
      "/models/m/config.pbtxt: string_value is \"$$TRITON_MODEL_DIRECTORY/../env.tar.gz\", which is outside of the model's folder; only the folder reaches the host\n  fix: put the file into the model's folder, where a symbolic link to it will do, and give its path there",
    ],
    [
      'max_batch_size: 8\ninput [ { name: "x" ]\n',
      {},
      "/models/m/config.pbtxt:2:21: expected a field name or }, found ]\n  fix: correct the file; its format is protobuf text format",
    ],
    [
      'name: "other"',
      {},
      '/models/m/config.pbtxt: name is "other", but the stack config calls this model "m"\n  fix: remove name from the file, or make the two the same',
    ],
    [
      "optimization { }\noptimization { }",
      {},
      "/models/m/config.pbtxt: optimization is given twice\n  fix: keep one optimization",
    ],
    [
      "optimization: [ { } ]",
      {},
      "/models/m/config.pbtxt: optimization is not a message\n  fix: write optimization { … }",
    ],
    [
      "sequence_batching { }",
      {
        dynamicBatching: {
          preferredBatchSizes: [],
          maxQueueDelayMicroseconds: undefined,
          preserveOrdering: undefined,
          priorityLevels: undefined,
          defaultPriorityLevel: undefined,
          queuePolicy: undefined,
        },
      },
      "/models/m/config.pbtxt: sequence_batching excludes the dynamicBatching of the stack config\n  fix: remove dynamicBatching from the stack config, or sequence_batching from the file",
    ],
  ];
  for (const [own, options, message] of faults) {
    it(`refuses ${JSON.stringify(own)}`, () => {
      assert.throws(
        () => renderModelConfig(own, model(options)),
        (error) => {
          assert.ok(error instanceof ModelConfigError && pulumi.RunError.isInstance(error));
          assert.equal(error.message, message);
          return true;
        },
      );
    });
  }

  describe("with generated files and options", () => {
    const flags = fc.boolean();
    const options = fc
      .record({
        priority: fc.integer({ min: -255, max: 255 }),
        policy: flags,
        groups: flags,
        warmup: flags,
        parameters: fc.uniqueArray(
          fc.record({ key: fc.string({ minLength: 1 }), value: fc.string({ unit: "binary" }) }),
          {
            maxLength: 3,
            selector: ({ key }) => key,
          },
        ),
      })
      .map(({ priority, policy, groups, warmup, parameters }) =>
        model({
          priority,
          parameters: Object.fromEntries(parameters.map(({ key, value }) => [key, value])),
          ...(policy ? { versionPolicy: { kind: "all" } } : {}),
          ...(groups
            ? {
                instanceGroups: [
                  { name: undefined, kind: "cpu", count: 3, gpus: [], rateLimiter: undefined },
                ],
              }
            : {}),
          ...(warmup ? { warmup: [] } : {}),
        }),
      );

    const TOUCHED: ReadonlySet<string> = new Set([
      "name",
      "optimization",
      "parameters",
      "version_policy",
      "instance_group",
      "model_warmup",
    ]);
    // Edited fields, in spellings that Triton accepts, among others.
    const ours = fc.constantFrom(
      'name: "m"',
      "optimization { graph { level: 1 } }",
      "optimization < priority: PRIORITY_MIN >,",
      "optimization: {\n  # empty\n}",
    );
    const repeated = fc.constantFrom(
      ...spellings,
      'parameters { key: "own" value { string_value: "kept" } }',
      "instance_group { kind: KIND_GPU }",
      "instance_group [ { count: 1 }, { count: 2 } ];",
      "model_warmup { name: 'x' }",
      "input [ { name: 'in' dims: [ -1 ] } ] output { }",
    );
    const file = fc
      .tuple(
        document.filter(({ meaning }) => !meaning.some(([name]) => TOUCHED.has(name))),
        fc.uniqueArray(ours, { maxLength: 2, selector: (text) => text.slice(0, 4) }),
        fc.array(repeated, { maxLength: 4 }),
        fc.constantFrom("\n", " ", "\r\n"),
      )
      .chain(([generated, single, others, space]) =>
        fc
          .shuffledSubarray([...single, ...others], { minLength: single.length + others.length })
          .map((parts) => `${parts.join(space)}\n${generated.text}`),
      );

    it("sets what was requested, keeps all other fields, and changes nothing the second time", () => {
      fc.assert(
        fc.property(file, options, flags, (own, wanted, hasPlan) => {
          const rendered = renderModelConfig(own, wanted, hasPlan);
          const fields = parseTextFormat(rendered);

          assert.deepEqual(meaningOf(named(fields, "name")), [["name", '"m"']]);
          const optimization = named(fields, "optimization")[0]?.value;
          assert.ok(optimization);
          const level = wanted.priority > 0 ? "MAX" : wanted.priority < 0 ? "MIN" : "DEFAULT";
          assert.equal(scalarOf(optimization, "priority"), `PRIORITY_${level}`);
          const parameters = parametersOf(rendered);
          assert.equal(parameters.get("xsched_priority"), String(wanted.priority));
          for (const [key, value] of Object.entries(wanted.parameters)) {
            assert.equal(parameters.get(key), value);
          }
          assert.equal(parameters.get("own"), ownParameter(own, wanted));
          if (wanted.versionPolicy !== undefined) {
            assert.equal(named(fields, "version_policy").length, 1);
          }
          if (wanted.instanceGroups !== undefined) {
            assert.deepEqual(meaningOf(named(fields, "instance_group")), [
              [
                "instance_group",
                [
                  {
                    fields: [
                      ["kind", "KIND_CPU"],
                      ["count", "3"],
                    ],
                  },
                ],
              ],
            ]);
          }

          assert.deepEqual(untouched(fields), untouched(parseTextFormat(own)));
          assert.equal(renderModelConfig(rendered, wanted, hasPlan), rendered);
        }),
        { numRuns: runs(400) },
      );
    });

    function untouched(fields: readonly Field[]): readonly FieldMeaning[] {
      return meaningOf(fields.filter(({ name }) => !TOUCHED.has(name)));
    }

    function ownParameter(own: string, wanted: ModelSettings): string | undefined {
      return wanted.parameters.own ?? parametersOf(own).get("own");
    }
  });
});

/** The map `parameters` as Triton reads it: the last entry of a key counts. */
function parametersOf(text: string): ReadonlyMap<string, string | undefined> {
  const entries = named(parseTextFormat(text), "parameters").flatMap(({ value }) =>
    value.kind === "list" ? value.items : [value],
  );
  return new Map(
    entries.map((entry) => {
      const value = valueOf(entry, "value");
      return [
        scalarOf(entry, "key") ?? "",
        value === undefined ? undefined : scalarOf(value, "string_value"),
      ];
    }),
  );
}

function valueOf(value: Value, name: string): Value | undefined {
  return value.kind === "message" ? named(value.fields, name).at(-1)?.value : undefined;
}

function scalarOf(value: Value, name: string): string | undefined {
  const scalar = valueOf(value, name);
  return scalar === undefined || scalar.kind === "message" || scalar.kind === "list"
    ? undefined
    : scalar.text;
}
