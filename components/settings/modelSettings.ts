import { FLOOR_PARAMETER, HIGHEST_FLOOR, HIGHEST_SUM_OF_FLOORS } from "../floor";
import { HIGHEST_PRIORITY, LOWEST_PRIORITY, PRIORITY_NAMES } from "../priority";
import { HIGHEST_WEIGHT, WEIGHT_PARAMETER } from "../weight";
import { dataType, instanceKind, MAX_INT32, MAX_UINT32, modelUpload, timeoutAction } from "./allowedValues";
import { tagsField } from "./awsHostSettings";
import { engineRule, refuseNoOnnx } from "./engineSettings";
import { NOT_FOR_ENSEMBLES } from "./ensemble";
import { refuseTooHighFloors } from "./floors";
import { locationFields } from "./hostSettings";
import { kmsKey } from "./kmsKey";
import { priorityGivers, refuseWrongDependencies, stepsOf } from "./modelGraph";
import { leavesModelFolder, MOVE_INSIDE } from "./modelFile";
import { modelName } from "./modelName";
import { modelSource } from "./modelSource";
import { INVALID, Place, Read } from "./place";
import {
  amended,
  boolean,
  defaulted,
  integer,
  itemsOf,
  keyOf,
  list,
  map,
  meant,
  object,
  optional,
  plain,
  type ReadBy,
  refuseRepeatedKey,
  refuseRepeats,
  required,
  Rule,
  text,
  unquoted,
  variants,
} from "./rules";
import { BUCKET_NAME, refuseBucketName } from "./s3Location";

/** Parameters that a setting of the model alone sets, and which. */
const OWNED_PARAMETERS: ReadonlyMap<string, string> = new Map([
  ["xsched_priority", "priority"],
  [FLOOR_PARAMETER, "floor"],
  [WEIGHT_PARAMETER, "weight"],
  ["xsched_instances", "instanceGroups"],
]);

const PRIORITY_NAME_LIST = Object.entries(PRIORITY_NAMES).map(([name, value]) => `${name} (${value})`);

const priority: Rule<number> = {
  type: "integer",
  allowed: `an integer from ${LOWEST_PRIORITY} to ${HIGHEST_PRIORITY}, or one of ${PRIORITY_NAME_LIST.join(", ")}`,
  example: "max",
  inside: {
    kind: "union",
    name: "Priority",
    type: ["number", ...Object.keys(PRIORITY_NAMES).map((name) => `"${name}"`)].join(" | "),
  },
  read(value, at) {
    if (typeof value === "string") {
      const named = Object.hasOwn(PRIORITY_NAMES, value) ? PRIORITY_NAMES[value] : undefined;
      return (
        named ??
        at.fault(
          value,
          priority.allowed,
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
    return at.fault(value, priority.allowed, priorityFix(value));
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

const floor = integer(0, HIGHEST_FLOOR, 10);
const weight = integer(0, HIGHEST_WEIGHT, 3);

const version = integer(1, Number.MAX_SAFE_INTEGER, 1);

const versionPolicy = variants({
  name: "VersionPolicy",
  description: "Which versions of a model are served.",
  allowed: "an object with the kind of policy and what that kind needs",
  variants: {
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
});

/** Control characters, and surrogates that are not half of a character and so have no UTF-8. */
const UNPRINTABLE = /[\p{Cc}\p{Cs}]/u;

/** A name inside Triton's model config. */
const label = text({
  allowed: "1 to 256 characters, no control characters",
  example: "first",
  refuse: (value) =>
    value !== "" && value.length <= 256 && !UNPRINTABLE.test(value)
      ? undefined
      : "give a short name in one line",
});

const rateLimiter = object({
  name: "RateLimiter",
  description: "Admission of executions. Triton honours it only with `--rate-limit=execution_count`.",
  allowed: "an object with resources, priority, or both",
  fields: {
    resources: defaulted(
      list(
        object({
          name: "RateLimiterResource",
          description: "A resource that executions hold.",
          allowed: "an object with the resource's name and count",
          fields: {
            name: required(label, "Name of the resource."),
            global: defaulted(boolean, false, "Whether all devices share one pool of it."),
            count: required(integer(1, MAX_UINT32, 1), "Units that one execution takes."),
          },
        }),
        { allowed: "a list of resources" },
      ),
      [],
      "What one execution holds while it runs.",
    ),
    priority: optional(
      integer(1, MAX_UINT32, 2),
      "Weight against other instances: 2 is admitted half as often as 1. Decides admission only; it does not preempt.",
      "as 1",
    ),
  },
});

const instanceGroup = object({
  name: "InstanceGroup",
  description: "Copies of a model that run side by side.",
  allowed: "an object that describes one group of instances",
  fields: {
    name: optional(label, "Name of the group.", "chosen by Triton"),
    kind: defaulted(instanceKind, "auto", "Where the instances run."),
    count: defaulted(integer(1, 1024, 1), 1, "Number of instances, per GPU where there are GPUs.", {
      cost: "GPU memory: each instance has its own copy of the model",
    }),
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
  check({ kind, gpus }, at) {
    if ((kind === "cpu" || kind === "model") && gpus !== INVALID && gpus.length > 0) {
      at.at("gpus").fault(gpus, `no GPUs for kind ${kind}`, "set kind to gpu, or remove gpus");
    }
  },
});

const queuePolicy = object({
  name: "QueuePolicy",
  description: "Limits of a model's queue.",
  allowed: "an object with the queue's limits",
  fields: {
    timeoutAction: optional(timeoutAction, "What happens to a request that has waited too long.", "reject"),
    defaultTimeoutMicroseconds: optional(
      integer(0, Number.MAX_SAFE_INTEGER, 100000),
      "How long a request may wait.",
      "no timeout",
      { unit: "microseconds" },
    ),
    allowTimeoutOverride: optional(boolean, "Whether a request may set its own timeout.", "false"),
    maxQueueSize: optional(
      integer(0, MAX_UINT32, 100),
      "Requests that may wait; 0 means no limit.",
      "no limit",
    ),
  },
});

const dynamicBatching = object({
  name: "DynamicBatching",
  description: "Options of the dynamic batcher.",
  allowed: "an object with options of the dynamic batcher",
  fields: {
    preferredBatchSizes: defaulted(
      list(integer(1, MAX_INT32, 4), { allowed: "a list of batch sizes, none twice", check: refuseRepeats }),
      [],
      "Batch sizes to send off at once.",
    ),
    maxQueueDelayMicroseconds: optional(
      integer(0, Number.MAX_SAFE_INTEGER, 100),
      "How long a request may wait for others to fill its batch.",
      "0",
      { unit: "microseconds", cost: "latency of the requests that wait" },
    ),
    preserveOrdering: optional(boolean, "Whether answers keep the order of the requests.", "false"),
    priorityLevels: optional(
      integer(1, MAX_UINT32, 2),
      "Levels for requests within this one model; 1 is the most urgent.",
      "one level",
    ),
    defaultPriorityLevel: optional(
      integer(1, MAX_UINT32, 2),
      "Level of requests that name none. Needs `priorityLevels`.",
      "none",
    ),
    queuePolicy: optional(queuePolicy, "Limits of the queue.", "no limits"),
  },
  check({ priorityLevels, defaultPriorityLevel }, at) {
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
});

const warmupFile = text({
  allowed: "the name of a file in the model's warmup folder",
  example: "sample.bin",
  refuse: (value) =>
    /^[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}$/.test(value)
      ? undefined
      : "give a plain file name, for example sample.bin",
});

const refuseRepeatedNames = refuseRepeatedKey(
  "name",
  (first) => `a name that no other has; ${first} has this one`,
  "rename one of the two",
);

const warmupInput = object({
  name: "WarmupInput",
  description: "An input of a warm-up request.",
  allowed: "an object that describes one input",
  fields: {
    name: required(label, "Name of the input."),
    dataType: required(dataType, "Triton's data type, without `TYPE_`."),
    dims: required(
      list(integer(1, Number.MAX_SAFE_INTEGER, 16), { allowed: "a list of sizes" }),
      "Shape without the batch dimension.",
    ),
    content: defaulted(
      variants({
        name: "WarmupContent",
        description: "What an input of a warm-up request holds.",
        allowed: "an object with the kind of content",
        variants: {
          zero: { description: "zeros", fields: {} },
          random: { description: "random numbers", fields: {} },
          file: {
            description: "a file in the model's `warmup` folder",
            fields: { file: required(warmupFile, "Name of the file.") },
          },
        },
      }),
      { kind: "zero" },
      "What the input holds.",
    ),
  },
});

const warmupSample = object({
  name: "WarmupSample",
  description: "A request that Triton runs before it calls the model ready.",
  allowed: "an object that describes one request",
  fields: {
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
  },
});

/** Longest text of a parameter; a megabyte of config would slow down every reload. */
const LONGEST_PARAMETER = 65536;

const parameters = map({
  allowed: "an object of texts, integers, true or false",
  example: '{ my_parameter: "text" }',
  type: "string | number | boolean",
  name: "ParameterValue",
  read: readParameter,
});

function readParameter(key: string, value: unknown, at: Place): Read<string> {
  const setting = OWNED_PARAMETERS.get(key);
  if (setting !== undefined) {
    return at.fault(value, "parameters that no setting owns", `remove it, and set the model's ${setting}`);
  }
  if (key === "" || key.length > 256 || UNPRINTABLE.test(key)) {
    return at.fault(
      value,
      "a name of 1 to 256 characters, no control characters",
      "give the parameter a short name in one line",
    );
  }
  if (typeof value === "boolean" || Number.isSafeInteger(value)) {
    return String(value);
  }
  if (typeof value === "string" && leavesModelFolder(value)) {
    return at.fault(
      value,
      "paths inside the model's folder, which is all that reaches the host",
      MOVE_INSIDE,
    );
  }
  if (typeof value === "string" && value.length <= LONGEST_PARAMETER && !/\p{Cs}/u.test(value)) {
    return value;
  }
  return at.fault(
    value,
    `text of at most ${LONGEST_PARAMETER} characters, an integer, true or false`,
    typeof value === "number" && Number.isFinite(value)
      ? `write it in quotes: "${value}"`
      : "give text in quotes",
  );
}

/** One model of the repository. An option that is absent leaves the model's own `config.pbtxt` alone. */
export const modelRule = object({
  name: "Model",
  description: "A model to serve. An option that is absent leaves the model's own `config.pbtxt` alone.",
  allowed: "an object that describes one model",
  fields: {
    name: plain(
      required(modelName, "Name that clients use. The model's own `config.pbtxt` has the same name or none."),
    ),
    source: plain(
      required(
        modelSource,
        "Where the model's version folders (`1`, `2`, …) are and, if it has one, its `config.pbtxt`: a folder relative to the project, or an S3 prefix that the host fetches from. For S3, both this machine and the host need AWS credentials that may list and read it.",
      ),
    ),
    upload: plain(
      defaulted(
        modelUpload,
        "auto",
        "How a folder's files reach the host. Through a bucket, only what has changed is uploaded and fetched.",
      ),
    ),
    allowOutsideLinks: plain(
      defaulted(
        boolean,
        false,
        "Whether symbolic links in the folder may lead out of it and out of the project. What they lead to is copied to the host, so allow it only for a folder that you trust.",
      ),
    ),
    priority: defaulted(
      priority,
      0,
      "How urgent the model's requests are: a larger number goes first on the GPU, and models of the same number share. Rendered into the model's configuration as Triton's `optimization.priority` and as the parameter `xsched_priority`. That of an ensemble applies to those models of its steps that have none.",
      { example: "200" },
    ),
    floor: defaulted(
      floor,
      0,
      `Share of a GPU's time that the model's instances there get at least, all together, while they have requests, however urgent other models are; 0: what those leave, which can be nothing. It comes in slices of 2 ms, in which no other model starts work. The floors on a GPU come to at most ${HIGHEST_SUM_OF_FLOORS}. It holds against all programs in the scheduling domain. Rendered into the model's configuration as the parameter \`${FLOOR_PARAMETER}\`.`,
      {
        unit: "percent",
        cost: "while the model has requests, those of more urgent models can wait 2 ms longer, plus what the model has in flight",
      },
    ),
    weight: defaulted(
      weight,
      0,
      `What the model shares a GPU's time by with models of the same priority: of the time that the GPU has for that priority, each of them that has requests gets a part in the ratio of the weights, such as three quarters with 3 beside 1, all its instances together. They take turns of 2 ms. Models of other priorities don't matter; neither does a weight that no other model of the priority has. 0: no turns; the model runs whenever it can, beside those that have a weight. Rendered into the model's configuration as the parameter \`${WEIGHT_PARAMETER}\`.`,
      {
        cost: "a request can wait for turns of other models of its priority until its own model has one",
      },
    ),
    dependsOn: plain(
      defaulted(
        list(modelName, { allowed: "a list of other models of the stack, none twice", check: refuseRepeats }),
        [],
        "Models that this one calls, so that they are loaded before it and removed after it. What the steps of an ensemble need is known without it; name here what cannot be seen, such as the models that a Python model calls.",
        { example: "[tokenizer]" },
      ),
    ),
    config: optional(
      text({
        allowed: "the text of a config.pbtxt",
        example: '"max_batch_size: 8"',
        refuse: () => undefined,
      }),
      "Text of the model's `config.pbtxt`, in place of the file in `source`.",
      "the file in `source`",
    ),
    engine: optional(
      engineRule,
      "Builds a TensorRT engine (`model.plan`) on the host's GPU, or one of the fleet's, from the `model.onnx` of each version folder, and serves that. On a host, needs the runtime `container`.",
      "`source` has what is served",
      { cost: "minutes the first time; the models that were served before keep serving" },
    ),
    versionPolicy: optional(
      versionPolicy,
      "Which versions are served.",
      "the model's own, otherwise the latest",
    ),
    instanceGroups: optional(
      list(instanceGroup, { allowed: "a list of instance groups, at least one", minimum: 1 }),
      "Copies of the model that run side by side. Each serves one batch at a time.",
      "the model's own, otherwise one instance",
    ),
    dynamicBatching: optional(
      dynamicBatching,
      "Combines requests that arrive together into one batch. `{}` does so without waiting.",
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
      "Parameters for the model's backend, in addition to those of its own `config.pbtxt`; the same name replaces.",
    ),
  },
  check(values, at, raw) {
    refuseNoOnnx(values, at, raw);
    refuseUnfitForEnsemble(at, raw);
  },
});

/** Refuses what Triton takes from other models, but not from an ensemble. */
function refuseUnfitForEnsemble(at: Place, raw: unknown): void {
  const steps = stepsOf(raw, at.context);
  if (steps === undefined) return;
  for (const key of NOT_FOR_ENSEMBLES) {
    const value = keyOf(raw, key);
    if (value === undefined || (key === "warmup" && itemsOf(value).length === 0)) continue;
    if ((key === "floor" || key === "weight") && value === 0) continue;
    at.at(key).fault(
      value,
      `no ${key} for an ensemble, which runs nothing itself`,
      steps.length === 0
        ? `remove ${key}`
        : `remove ${key}, or set it for the models of its steps: ${steps.join(", ")}`,
    );
  }
}

/** The models to serve. */
export const modelsRule = list(modelRule, {
  allowed: "a list of models, no name twice",
  check(models, at) {
    refuseRepeatedNames(models, at);
    refuseWrongDependencies(models, at);
    refuseTooHighFloors(models, at);
  },
  derive: withPrioritiesOfEnsembles,
});

/** Models without a priority of their own, as they were read: ensembles may give them one. */
const TAKES_PRIORITY = new WeakSet<object>();

/** Whether a model, as it was read, has no priority of its own. */
export function takesPriority(model: object): boolean {
  return TAKES_PRIORITY.has(model);
}

/** An ensemble runs nothing itself; its priority is meant for the models of its steps that have none of their own. */
function withPrioritiesOfEnsembles(
  models: readonly ModelSettings[],
  raw: readonly unknown[],
  { context }: Place,
): readonly ModelSettings[] {
  const takes = raw.map((model) => keyOf(model, "priority") === undefined || isTaker(model));
  const prioritized = givePriorities(
    models,
    takes,
    (_, index) => stepsOf(raw[index], context),
    context.inform,
  );
  prioritized.forEach((model, index) => {
    if (takes[index] === true) TAKES_PRIORITY.add(model);
  });
  return prioritized;
}

function isTaker(model: unknown): boolean {
  return typeof model === "object" && model !== null && takesPriority(model);
}

/**
 * Gives those models of ensembles' steps that have no priority of their own the one of their ensemble.
 *
 * @param takes whether a model has none of its own, by index
 * @param steps of a model that is an ensemble; undefined for others, or as long as that is not known
 * @param inform tells the user about it
 */
export function givePriorities(
  models: readonly ModelSettings[],
  takes: readonly boolean[],
  steps: (model: ModelSettings, index: number) => readonly string[] | undefined,
  inform: (message: string) => void,
): readonly ModelSettings[] {
  const givers = priorityGivers(
    models.map((model, index) => ({
      name: model.name,
      steps: steps(model, index) ?? [],
      priority: takes[index] === true ? undefined : model.priority,
    })),
  );
  models.forEach((ensemble, index) => {
    const takers = models.filter(
      ({ priority: before }, taker) => givers.get(taker) === index && before !== ensemble.priority,
    );
    if (takers.length === 0) return;
    inform(
      `priority of the ensemble ${ensemble.name} applies to those models of its steps that have none: ` +
        takers.map(({ name }) => name).join(", "),
    );
  });
  return models.map((model, index) => {
    const giver = models[givers.get(index) ?? -1];
    return giver === undefined ? model : amended(modelRule, model, { priority: giver.priority });
  });
}

/** A bucket that models' files travel through. */
export const bucketName = text({ allowed: BUCKET_NAME, example: "my-bucket", refuse: refuseBucketName });

export const modelRepositoryInputs = object({
  name: "ModelRepository",
  description: "Models on a host.",
  allowed: "an object with the arguments of a model repository",
  fields: {
    ...locationFields,
    models: plain(required(modelsRule, "The models; their names are unique.")),
    bucket: optional(
      bucketName,
      "Bucket that the folders of models travel through, as each model's `upload` says: `bucket` of a `ModelBucket`. Built engines are shared there, too.",
      "none: folders travel over SSH",
    ),
  },
});

export const modelBucketInputs = object({
  name: "ModelBucket",
  description: "A bucket that models travel through.",
  allowed: "an object with the arguments of a bucket for models",
  fields: {
    keepDays: defaulted(integer(1, 3650, 30), 30, "How long an overwritten or deleted file is kept.", {
      unit: "days",
      cost: "AWS charges for what is stored",
    }),
    kmsKeyId: optional(kmsKey, "Key of your own that the files are encrypted with.", "S3's own"),
    tags: tagsField,
  },
});

/** Which stored state of a model is served. */
const storedDigest = text({
  allowed: "digest of a model that a ModelRepository has stored: 16 hexadecimal digits",
  example: "0123456789abcdef",
  refuse: (value) => (/^[0-9a-f]{16}$/.test(value) ? undefined : "pass models of the ModelRepository"),
});

/** A model that a server serves. */
export const servedModel = object({
  name: "ServedModel",
  description: "A model on the host, as `ModelRepository` has stored it.",
  allowed: "a model of a ModelRepository",
  fields: {
    name: plain(required(modelName, "Name of the model.")),
    digest: required(storedDigest, "Which stored state of the model is served."),
    loadDigest: optional(
      storedDigest,
      "The same for states that differ in priority, floor and weight alone, which a running scheduler takes without a load of the model.",
      "each change is a load",
    ),
    priority: defaulted(priority, "default", "The model's priority: the most urgent is loaded first."),
    floor: defaulted(floor, 0, "The model's floor.", { unit: "percent" }),
    weight: defaulted(weight, 0, "The model's weight among models of its priority."),
    dependsOn: defaulted(
      list(modelName, { allowed: "a list of other models of the server" }),
      [],
      "Models that are loaded before this one.",
    ),
  },
});

export const servedModels = list(servedModel, {
  allowed: "the list models of a ModelRepository, no name twice",
  check: refuseRepeatedNames,
});

export type ModelSettings = ReadBy<typeof modelRule>;
export type VersionPolicy = ReadBy<typeof versionPolicy>;
export type InstanceGroup = ReadBy<typeof instanceGroup>;
export type DynamicBatching = ReadBy<typeof dynamicBatching>;
export type WarmupSample = ReadBy<typeof warmupSample>;
export type WarmupInput = ReadBy<typeof warmupInput>;
