import {
  DATA_TYPES,
  HIGHEST_PRIORITY,
  INSTANCE_KINDS,
  LOWEST_PRIORITY,
  MAX_INT32,
  MAX_UINT32,
  MODEL_UPLOADS,
  PRIORITY_NAMES,
  TIMEOUT_ACTIONS,
} from "./allowedValues";
import { engineRule, refuseNoOnnx } from "./engineSettings";
import { modelSource } from "./modelSource";
import { INVALID, Place, Read } from "./place";
import {
  boolean,
  choice,
  defaulted,
  integer,
  isPlainObject,
  list,
  meant,
  object,
  optional,
  refuseRepeatedKey,
  required,
  Rule,
  text,
  unquoted,
  variants,
} from "./rules";
import { InstanceGroup, ModelParameter, ModelSettings, VersionPolicy, WarmupInput } from "./types";

/** Set by the model's priority alone. */
const PRIORITY_PARAMETER = "xsched_priority";

export const modelName = text({
  allowed:
    "1 to 128 letters, digits, dots, dashes and underscores, a letter or digit first (it is a folder name and part of Triton's URLs)",
  example: "my-model",
  refuse(given) {
    if (/^[A-Za-z0-9][A-Za-z0-9_.-]{0,127}$/.test(given)) {
      return undefined;
    }
    const legal = given
      .slice(0, 128)
      .replace(/[^A-Za-z0-9_.-]+/g, "-")
      .replace(/^[_.-]+/, "");
    return legal === "" ? "choose another name, for example my-model" : `rename it, for example ${legal}`;
  },
});

const PRIORITY_NAME_LIST = Object.entries(PRIORITY_NAMES).map(([name, value]) => `${name} (${value})`);

const priority: Rule<number> = {
  type: "integer",
  allowed: `an integer from ${LOWEST_PRIORITY} to ${HIGHEST_PRIORITY}, or one of ${PRIORITY_NAME_LIST.join(", ")}`,
  example: "max",
  read(value, at) {
    if (typeof value === "string") {
      const named = Object.hasOwn(PRIORITY_NAMES, value) ? PRIORITY_NAMES[value] : undefined;
      return (
        named ??
        at.fault(
          value,
          this.allowed,
          unquoted(value) ?? meant(value, Object.keys(PRIORITY_NAMES)) ?? "give an integer, for example 40",
        )
      );
    }
    if (
      typeof value === "number" &&
      Number.isInteger(value) &&
      value >= LOWEST_PRIORITY &&
      value <= HIGHEST_PRIORITY
    ) {
      return value + 0; // −0 becomes 0.
    }
    return at.fault(value, this.allowed, priorityFix(value));
  },
};

function priorityFix(value: unknown): string {
  if (typeof value !== "number" || Number.isNaN(value)) {
    return "give an integer, for example 40";
  }
  if (value > HIGHEST_PRIORITY) {
    return `give ${HIGHEST_PRIORITY} (max), the most urgent, or less`;
  }
  if (value < LOWEST_PRIORITY) {
    return `give ${LOWEST_PRIORITY} (min), the least urgent, or more`;
  }
  return `round it: ${Math.round(value) + 0}`;
}

const version = integer(1, Number.MAX_SAFE_INTEGER, 1);

const versionPolicy: Rule<VersionPolicy> = variants(
  "an object with the kind of policy and what that kind needs",
  {
    latest: {
      description: "the highest versions",
      fields: { count: defaulted(integer(1, MAX_UINT32, 1), 1, "How many of them.") },
    },
    all: { description: "every version", fields: {} },
    specific: {
      description: "the versions listed",
      fields: {
        versions: required(
          list(version, {
            allowed: "a list of version numbers, at least one, none twice",
            minimum: 1,
            check: refuseRepeats,
          }),
          "Version numbers.",
        ),
      },
    },
  },
);

function refuseRepeats(items: readonly unknown[], at: Place): void {
  items.forEach((item, index) => {
    const first = items.indexOf(item);
    if (first < index) {
      at.at(index).fault(item, `a value that [${first}] does not have`, "take it out");
    }
  });
}

/** Control characters, and surrogates that are no half of a character and so have no UTF-8. */
const UNPRINTABLE = /[\p{Cc}\p{Cs}]/u;

/** A name inside Triton's model config. */
const label = text({
  allowed: "1 to 256 characters, no control characters",
  example: "first",
  refuse: (given) =>
    given !== "" && given.length <= 256 && !UNPRINTABLE.test(given)
      ? undefined
      : "give a short name in one line",
});

const rateLimiter = object("an object with resources, priority, or both", {
  resources: defaulted(
    list(
      object("an object with the resource's name and count", {
        name: required(label, "Name of the resource."),
        global: defaulted(boolean, false, "Whether all devices share one pool of it."),
        count: required(integer(1, MAX_UINT32, 1), "Units that one execution takes."),
      }),
      { allowed: "a list of resources" },
    ),
    [],
    "What one execution holds while it runs.",
  ),
  priority: optional(
    integer(1, MAX_UINT32, 1),
    "Weight against other instances: 2 is admitted half as often as 1. Admission only; it does not preempt.",
    "as 1",
  ),
});

const instanceGroup: Rule<InstanceGroup> = object(
  "an object that describes one group of instances",
  {
    name: optional(label, "Name of the group.", "Triton makes one"),
    kind: defaulted(choice(INSTANCE_KINDS), "auto", "Where the instances run."),
    count: defaulted(integer(1, 1024, 1), 1, "Instances, per GPU where there are GPUs."),
    gpus: defaulted(
      list(integer(0, 1023, 0), {
        allowed: "a list of CUDA device indices, none twice",
        check: refuseRepeats,
      }),
      [],
      "GPUs to run on, as CUDA device indices; empty leaves the choice to Triton.",
    ),
    rateLimiter: optional(
      rateLimiter,
      'Admission of executions. Needs `"--rate-limit=execution_count"` in `server.extraFlags`.',
      "no limit",
    ),
  },
  ({ kind, gpus }, at) => {
    if ((kind === "cpu" || kind === "model") && gpus !== INVALID && gpus.length > 0) {
      at.at("gpus").fault(gpus, `no GPUs for kind ${kind}`, "set kind to gpu, or take gpus out");
    }
  },
);

const dynamicBatching = object(
  "an object with options of the dynamic batcher",
  {
    preferredBatchSizes: defaulted(
      list(integer(1, MAX_INT32, 4), { allowed: "a list of batch sizes, none twice", check: refuseRepeats }),
      [],
      "Batch sizes to send off at once.",
    ),
    maxQueueDelayMicroseconds: optional(
      integer(0, Number.MAX_SAFE_INTEGER, 100),
      "Time that a request may wait for others to fill its batch.",
      "0",
    ),
    preserveOrdering: optional(boolean, "Whether answers keep the order of requests.", "false"),
    priorityLevels: optional(
      integer(1, MAX_UINT32, 2),
      "Levels for requests within this one model, 1 is the most urgent.",
      "one level",
    ),
    defaultPriorityLevel: optional(
      integer(1, MAX_UINT32, 2),
      "Level of requests that name none. Needs `priorityLevels`.",
      "none",
    ),
    queuePolicy: optional(
      object("an object with the queue's limits", {
        timeoutAction: optional(
          choice(TIMEOUT_ACTIONS),
          "What happens to a request that waited too long.",
          "reject",
        ),
        defaultTimeoutMicroseconds: optional(
          integer(0, Number.MAX_SAFE_INTEGER, 100000),
          "Time that a request may wait.",
          "no timeout",
        ),
        allowTimeoutOverride: optional(boolean, "Whether a request may set a timeout of its own.", "false"),
        maxQueueSize: optional(
          integer(0, MAX_UINT32, 100),
          "Requests that may wait; 0 is no limit.",
          "no limit",
        ),
      }),
      "Limits of the queue.",
      "no limits",
    ),
  },
  ({ priorityLevels, defaultPriorityLevel }, at) => {
    if (priorityLevels === INVALID || defaultPriorityLevel === INVALID) {
      return;
    }
    const levels = priorityLevels ?? 0;
    if (levels > 0 && defaultPriorityLevel === undefined) {
      at.at("defaultPriorityLevel").fault(
        defaultPriorityLevel,
        `an integer from 1 to ${levels}, since priorityLevels is given`,
        `add defaultPriorityLevel: ${levels}`,
      );
    } else if (defaultPriorityLevel !== undefined && defaultPriorityLevel > levels) {
      at.at("defaultPriorityLevel").fault(
        defaultPriorityLevel,
        levels === 0 ? "nothing, since priorityLevels is not given" : `an integer from 1 to ${levels}`,
        `set priorityLevels to ${defaultPriorityLevel} or more, or lower it`,
      );
    }
  },
);

const warmupFile = text({
  allowed: "the name of a file in the model's warmup folder",
  example: "sample.bin",
  refuse: (given) =>
    /^[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}$/.test(given)
      ? undefined
      : "give a plain file name, for example sample.bin",
});

export const refuseRepeatedNames = refuseRepeatedKey(
  "name",
  (first) => `a name that no other has; ${first} has this one`,
  "rename one of the two",
);

const warmupInput: Rule<WarmupInput> = object("an object that describes one input", {
  name: required(label, "Name of the input."),
  dataType: required(choice(DATA_TYPES), "Triton's data type, without `TYPE_`."),
  dims: required(
    list(integer(1, Number.MAX_SAFE_INTEGER, 16), { allowed: "a list of sizes" }),
    "Shape without the batch dimension.",
  ),
  content: defaulted(
    variants("an object with the kind of content", {
      zero: { description: "zeros", fields: {} },
      random: { description: "random numbers", fields: {} },
      file: {
        description: "a file in the model's `warmup` folder",
        fields: { file: required(warmupFile, "Name of the file.") },
      },
    }),
    { kind: "zero" },
    "What the input holds.",
  ),
});

const warmupSample = object("an object that describes one request", {
  name: required(label, "Name of the sample, for messages."),
  batchSize: optional(integer(0, MAX_UINT32, 1), "Batch size; 0 for a model that does not batch.", "0"),
  inputs: required(
    list(warmupInput, {
      allowed: "a list of inputs, at least one, no name twice",
      minimum: 1,
      check: refuseRepeatedNames,
    }),
    "Every input of the model.",
  ),
});

/** Longest text of a parameter; a megabyte of config would slow every reload. */
const LONGEST_PARAMETER = 65536;

const parameters: Rule<readonly ModelParameter[]> = {
  type: "object",
  allowed: "an object of texts, integers, true or false",
  example: '{ my_parameter: "text" }',
  read(value, at): Read<readonly ModelParameter[]> {
    if (!isPlainObject(value)) {
      return at.fault(value, this.allowed, `give an object, for example ${this.example}`);
    }
    const read = Object.entries(value).map(([key, each]) => readParameter(key, each, at.at(key)));
    return read.includes(INVALID) ? INVALID : Object.freeze(read as ModelParameter[]);
  },
};

function readParameter(key: string, value: unknown, at: Place): Read<ModelParameter> {
  if (key === PRIORITY_PARAMETER) {
    return at.fault(value, "parameters that no setting owns", "take it out, and set the model's priority");
  }
  if (key === "" || key.length > 256 || UNPRINTABLE.test(key)) {
    return at.fault(
      value,
      "a name of 1 to 256 characters, no control characters",
      "give the parameter a short name in one line",
    );
  }
  if (typeof value === "boolean" || Number.isSafeInteger(value)) {
    return Object.freeze({ key, value: String(value) });
  }
  if (typeof value === "string" && value.length <= LONGEST_PARAMETER && !/\p{Cs}/u.test(value)) {
    return Object.freeze({ key, value });
  }
  return at.fault(
    value,
    `text of at most ${LONGEST_PARAMETER} characters, an integer, true or false`,
    typeof value === "number" && Number.isFinite(value)
      ? `write it in quotes: "${value}"`
      : "give text in quotes",
  );
}

const modelRule: Rule<ModelSettings> = object(
  "an object that describes one model",
  {
    name: required(modelName, "Name that clients use. The model's own `config.pbtxt` has the same or none."),
    source: required(
      modelSource,
      "Where the model's version folders (`1`, `2`, …) lie and, if it brings one, its `config.pbtxt`: a folder relative to the project, or a prefix in S3 that the host fetches from.",
    ),
    upload: defaulted(
      choice(MODEL_UPLOADS),
      "auto",
      `How a folder's files come to the host: ${Object.entries(MODEL_UPLOADS)
        .map(([name, meaning]) => `\`${name}\` is ${meaning}`)
        .join(", ")}. From a bucket the host fetches only what has changed.`,
    ),
    priority: defaulted(
      priority,
      0,
      "Which models go first on the GPU: a larger number is more urgent, and models of the same number share.",
    ),
    engine: optional(
      engineRule,
      "Builds a TensorRT engine (`model.plan`) on the host's GPU from the `model.onnx` of each version folder, and serves that. Needs the runtime `container`.",
      "the source has what is served",
    ),
    versionPolicy: optional(versionPolicy, "Which versions are served.", "the model's own, else the latest"),
    instanceGroups: optional(
      list(instanceGroup, { allowed: "a list of instance groups, at least one", minimum: 1 }),
      "Copies of the model that run side by side. Each serves one batch at a time.",
      "the model's own, else one instance",
    ),
    dynamicBatching: optional(
      dynamicBatching,
      "Puts requests that arrive together into one batch. `{}` does so without waiting.",
      "the model's own",
    ),
    warmup: optional(
      list(warmupSample, {
        allowed: "a list of requests, no name twice",
        check: refuseRepeatedNames,
      }),
      "Requests that Triton runs before it calls the model ready.",
      "the model's own",
    ),
    parameters: defaulted(
      parameters,
      {},
      "Parameters for the model's backend, beside those of its own `config.pbtxt`; the same name replaces.",
    ),
  },
  refuseNoOnnx,
);

/** The models to serve. */
export const modelsRule: Rule<readonly ModelSettings[]> = list(modelRule, {
  allowed: "a list of models, no name twice",
  check: refuseRepeatedNames,
});
