/*
 * What a `config.pbtxt` may contain: the messages and enums of Triton's model_config.proto, of all releases from 22.06 to
 * 26.07, of which each has what the ones before it have:
 * https://github.com/triton-inference-server/common/blob/r26.07/protobuf/model_config.proto
 */

export type ScalarType = "string" | "bool" | "float" | "int32" | "int64" | "uint32" | "uint64";

/** The names of an enum. */
export type Enum = readonly string[];

export interface FieldSchema {
  readonly type: ScalarType | Enum | MessageSchema;
  readonly repeated: boolean;
}

export interface MessageSchema {
  readonly fields: Readonly<Record<string, FieldSchema>>;
  /** Fields of which a message has one at most. */
  readonly oneof: readonly string[];
}

const one = (type: FieldSchema["type"]): FieldSchema => ({ type, repeated: false });
const many = (type: FieldSchema["type"]): FieldSchema => ({ type, repeated: true });
const message = (fields: MessageSchema["fields"], oneof: MessageSchema["oneof"] = []): MessageSchema => ({
  fields,
  oneof,
});
/** An entry of a map is a message of its own. */
const map = (value: FieldSchema["type"], key: ScalarType = "string"): FieldSchema =>
  many(message({ key: one(key), value: one(value) }));

const DATA_TYPE: Enum = [
  "TYPE_INVALID",
  "TYPE_BOOL",
  "TYPE_UINT8",
  "TYPE_UINT16",
  "TYPE_UINT32",
  "TYPE_UINT64",
  "TYPE_INT8",
  "TYPE_INT16",
  "TYPE_INT32",
  "TYPE_INT64",
  "TYPE_FP16",
  "TYPE_FP32",
  "TYPE_FP64",
  "TYPE_STRING",
  "TYPE_BF16",
];

const INSTANCE_GROUP = message({
  name: one("string"),
  kind: one(["KIND_AUTO", "KIND_GPU", "KIND_CPU", "KIND_MODEL"]),
  count: one("int32"),
  rate_limiter: one(
    message({
      resources: many(message({ name: one("string"), global: one("bool"), count: one("uint32") })),
      priority: one("uint32"),
    }),
  ),
  gpus: many("int32"),
  secondary_devices: many(message({ kind: one(["KIND_NVDLA"]), device_id: one("int64") })),
  profile: many("string"),
  passive: one("bool"),
  host_policy: one("string"),
});

const RESHAPE = message({ shape: many("int64") });

const INPUT = message({
  name: one("string"),
  data_type: one(DATA_TYPE),
  format: one(["FORMAT_NONE", "FORMAT_NHWC", "FORMAT_NCHW"]),
  dims: many("int64"),
  reshape: one(RESHAPE),
  is_shape_tensor: one("bool"),
  allow_ragged_batch: one("bool"),
  optional: one("bool"),
  is_non_linear_format_io: one("bool"),
});

const OUTPUT = message({
  name: one("string"),
  data_type: one(DATA_TYPE),
  dims: many("int64"),
  reshape: one(RESHAPE),
  label_filename: one("string"),
  is_shape_tensor: one("bool"),
  is_non_linear_format_io: one("bool"),
});

const BATCH_INPUT = message({
  kind: one([
    "BATCH_ELEMENT_COUNT",
    "BATCH_ACCUMULATED_ELEMENT_COUNT",
    "BATCH_ACCUMULATED_ELEMENT_COUNT_WITH_ZERO",
    "BATCH_MAX_ELEMENT_COUNT_AS_SHAPE",
    "BATCH_ITEM_SHAPE",
    "BATCH_ITEM_SHAPE_FLATTEN",
  ]),
  target_name: many("string"),
  data_type: one(DATA_TYPE),
  source_input: many("string"),
});

const BATCH_OUTPUT = message({
  target_name: many("string"),
  kind: one(["BATCH_SCATTER_WITH_INPUT_SHAPE"]),
  source_input: many("string"),
});

const VERSION_POLICY = message(
  {
    latest: one(message({ num_versions: one("uint32") })),
    all: one(message({})),
    specific: one(message({ versions: many("int64") })),
  },
  ["latest", "all", "specific"],
);

const GRAPH_INPUTS = { batch_size: one("int32"), input: map(message({ dim: many("int64") })) };

const CUDA = message({
  graphs: one("bool"),
  busy_wait_events: one("bool"),
  graph_spec: many(message({ ...GRAPH_INPUTS, graph_lower_bound: one(message(GRAPH_INPUTS)) })),
  output_copy_stream: one("bool"),
});

const ACCELERATOR = message({ name: one("string"), parameters: map("string") });

const PINNED_MEMORY_BUFFER = message({ enable: one("bool") });

const OPTIMIZATION = message({
  graph: one(message({ level: one("int32") })),
  priority: one(["PRIORITY_DEFAULT", "PRIORITY_MAX", "PRIORITY_MIN"]),
  cuda: one(CUDA),
  execution_accelerators: one(
    message({ gpu_execution_accelerator: many(ACCELERATOR), cpu_execution_accelerator: many(ACCELERATOR) }),
  ),
  input_pinned_memory: one(PINNED_MEMORY_BUFFER),
  output_pinned_memory: one(PINNED_MEMORY_BUFFER),
  gather_kernel_buffer_threshold: one("uint32"),
  eager_batching: one("bool"),
});

const QUEUE_POLICY = message({
  timeout_action: one(["REJECT", "DELAY"]),
  default_timeout_microseconds: one("uint64"),
  allow_timeout_override: one("bool"),
  max_queue_size: one("uint32"),
});

const DYNAMIC_BATCHING = message({
  preferred_batch_size: many("int32"),
  max_queue_delay_microseconds: one("uint64"),
  preserve_ordering: one("bool"),
  priority_levels: one("uint64"),
  default_priority_level: one("uint64"),
  default_queue_policy: one(QUEUE_POLICY),
  priority_queue_policy: map(QUEUE_POLICY, "uint64"),
});

const CONTROL = message({
  kind: one([
    "CONTROL_SEQUENCE_START",
    "CONTROL_SEQUENCE_READY",
    "CONTROL_SEQUENCE_END",
    "CONTROL_SEQUENCE_CORRID",
  ]),
  int32_false_true: many("int32"),
  fp32_false_true: many("float"),
  bool_false_true: many("bool"),
  data_type: one(DATA_TYPE),
});

const INITIAL_STATE = message(
  {
    data_type: one(DATA_TYPE),
    dims: many("int64"),
    zero_data: one("bool"),
    data_file: one("string"),
    name: one("string"),
  },
  ["zero_data", "data_file"],
);

const SEQUENCE_BATCHING = message(
  {
    direct: one(
      message({ max_queue_delay_microseconds: one("uint64"), minimum_slot_utilization: one("float") }),
    ),
    oldest: one(
      message({
        max_candidate_sequences: one("int32"),
        preferred_batch_size: many("int32"),
        max_queue_delay_microseconds: one("uint64"),
        preserve_ordering: one("bool"),
      }),
    ),
    max_sequence_idle_microseconds: one("uint64"),
    control_input: many(message({ name: one("string"), control: many(CONTROL) })),
    state: many(
      message({
        input_name: one("string"),
        output_name: one("string"),
        data_type: one(DATA_TYPE),
        dims: many("int64"),
        initial_state: many(INITIAL_STATE),
        use_same_buffer_for_input_output: one("bool"),
        use_growable_memory: one("bool"),
      }),
    ),
    iterative_sequence: one("bool"),
  },
  ["direct", "oldest"],
);

const ENSEMBLE_SCHEDULING = message({
  step: many(
    message({
      model_name: one("string"),
      model_version: one("int64"),
      input_map: map("string"),
      output_map: map("string"),
      model_namespace: one("string"),
    }),
  ),
  max_inflight_requests: one("uint32"),
});

const WARMUP = message({
  name: one("string"),
  batch_size: one("uint32"),
  inputs: map(
    message(
      {
        data_type: one(DATA_TYPE),
        dims: many("int64"),
        zero_data: one("bool"),
        random_data: one("bool"),
        input_data_file: one("string"),
      },
      ["zero_data", "random_data", "input_data_file"],
    ),
  ),
  count: one("uint32"),
});

const METRICS = message({
  metric_control: many(
    message({
      metric_identifier: one(message({ family: one("string") })),
      histogram_options: one(message({ buckets: many("float") })),
    }),
  ),
});

/** `ModelConfig` */
export const MODEL_CONFIG = message(
  {
    name: one("string"),
    platform: one("string"),
    backend: one("string"),
    runtime: one("string"),
    version_policy: one(VERSION_POLICY),
    max_batch_size: one("int32"),
    input: many(INPUT),
    output: many(OUTPUT),
    batch_input: many(BATCH_INPUT),
    batch_output: many(BATCH_OUTPUT),
    optimization: one(OPTIMIZATION),
    dynamic_batching: one(DYNAMIC_BATCHING),
    sequence_batching: one(SEQUENCE_BATCHING),
    ensemble_scheduling: one(ENSEMBLE_SCHEDULING),
    instance_group: many(INSTANCE_GROUP),
    default_model_filename: one("string"),
    cc_model_filenames: map("string"),
    metric_tags: map("string"),
    parameters: map(message({ string_value: one("string") })),
    model_warmup: many(WARMUP),
    model_operations: one(message({ op_library_filename: many("string") })),
    model_transaction_policy: one(message({ decoupled: one("bool") })),
    model_repository_agents: one(
      message({ agents: many(message({ name: one("string"), parameters: map("string") })) }),
    ),
    response_cache: one(message({ enable: one("bool") })),
    model_metrics: one(METRICS),
  },
  ["dynamic_batching", "sequence_batching", "ensemble_scheduling"],
);
