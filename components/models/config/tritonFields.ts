import {
  DataType,
  DynamicBatching,
  InstanceGroup,
  InstanceKind,
  TimeoutAction,
  VersionPolicy,
  WarmupInput,
  WarmupSample,
} from "../../settings";
import { EnumName, message, messages, NewField, NewMessage, scalar, scalars } from "../../textFormat";

/*
 * Settings in the words of Triton's model config. Field and enum names are those of the release 22.06:
 * https://github.com/triton-inference-server/common/blob/r22.06/protobuf/model_config.proto
 */

/** `ModelOptimizationPolicy.ModelPriority`, which sets the priority of the model's CUDA streams. */
export function modelPriority(priority: number): EnumName {
  return new EnumName(priority > 0 ? "PRIORITY_MAX" : priority < 0 ? "PRIORITY_MIN" : "PRIORITY_DEFAULT");
}

/** `ModelInstanceGroup.Kind` */
const INSTANCE_KIND: Readonly<Record<InstanceKind, string>> = {
  auto: "KIND_AUTO",
  gpu: "KIND_GPU",
  cpu: "KIND_CPU",
  model: "KIND_MODEL",
};

/** `ModelQueuePolicy.TimeoutAction` */
const TIMEOUT_ACTION: Readonly<Record<TimeoutAction, string>> = { reject: "REJECT", delay: "DELAY" };

/** `DataType` */
const dataType = (type: DataType): EnumName => new EnumName(`TYPE_${type}`);

/** An entry of the map `parameters`. */
export function parameterEntry(key: string, value: string): NewMessage {
  return [...scalar("key", key), message("value", scalar("string_value", value))];
}

/** `ModelVersionPolicy` */
export function versionPolicyField(policy: VersionPolicy): NewField {
  return message("version_policy", [versionChoice(policy)]);
}

function versionChoice(policy: VersionPolicy): NewField {
  switch (policy.kind) {
    case "latest":
      return message("latest", scalar("num_versions", policy.count));
    case "all":
      return message("all", []);
    case "specific":
      return message("specific", scalars("versions", policy.versions));
    default:
      return policy satisfies never;
  }
}

/** `ModelInstanceGroup`, with its `ModelRateLimiter` */
export function instanceGroupField(groups: readonly InstanceGroup[]): NewField {
  return messages(
    "instance_group",
    groups.map((group) => [
      ...scalar("name", group.name),
      ...scalar("kind", new EnumName(INSTANCE_KIND[group.kind])),
      ...scalar("count", group.count),
      ...scalars("gpus", group.gpus),
      ...(group.rateLimiter === undefined
        ? []
        : [
            message("rate_limiter", [
              ...(group.rateLimiter.resources.length === 0
                ? []
                : [
                    messages(
                      "resources",
                      group.rateLimiter.resources.map((resource) => [
                        ...scalar("name", resource.name),
                        ...scalar("global", resource.global),
                        ...scalar("count", resource.count),
                      ]),
                    ),
                  ]),
              ...scalar("priority", group.rateLimiter.priority),
            ]),
          ]),
    ]),
  );
}

/** `ModelDynamicBatching`, with its `ModelQueuePolicy` */
export function dynamicBatchingField(batching: DynamicBatching): NewField {
  const queue = batching.queuePolicy;
  return message("dynamic_batching", [
    ...scalars("preferred_batch_size", batching.preferredBatchSizes),
    ...scalar("max_queue_delay_microseconds", batching.maxQueueDelayMicroseconds),
    ...scalar("preserve_ordering", batching.preserveOrdering),
    ...scalar("priority_levels", batching.priorityLevels),
    ...scalar("default_priority_level", batching.defaultPriorityLevel),
    ...(queue === undefined
      ? []
      : [
          message("default_queue_policy", [
            ...scalar(
              "timeout_action",
              queue.timeoutAction && new EnumName(TIMEOUT_ACTION[queue.timeoutAction]),
            ),
            ...scalar("default_timeout_microseconds", queue.defaultTimeoutMicroseconds),
            ...scalar("allow_timeout_override", queue.allowTimeoutOverride),
            ...scalar("max_queue_size", queue.maxQueueSize),
          ]),
        ]),
  ]);
}

/** `ModelWarmup` */
export function warmupField(samples: readonly WarmupSample[]): NewField {
  return messages(
    "model_warmup",
    samples.map((sample) => [
      ...scalar("name", sample.name),
      ...scalar("batch_size", sample.batchSize),
      ...sample.inputs.map((input) =>
        message("inputs", [...scalar("key", input.name), message("value", warmupInput(input))]),
      ),
    ]),
  );
}

function warmupInput(input: WarmupInput): NewMessage {
  return [
    ...scalar("data_type", dataType(input.dataType)),
    ...scalars("dims", input.dims),
    ...warmupContent(input.content),
  ];
}

function warmupContent(content: WarmupInput["content"]): NewMessage {
  switch (content.kind) {
    case "zero":
      return scalar("zero_data", true);
    case "random":
      return scalar("random_data", true);
    case "file":
      return scalar("input_data_file", content.file);
    default:
      return content satisfies never;
  }
}
