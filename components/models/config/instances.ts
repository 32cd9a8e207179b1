import { createHash } from "node:crypto";

import { type Field, messagesOf, TextDocument } from "../../textFormat";
import { parametersOf, putParameter } from "./parameters";
import { isServedByTensorRt } from "./tensorRt";

/** Parameter whose value changes with a model's instance groups. */
const INSTANCES_PARAMETER = "xsched_instances";

/** Its value without instance groups, where the model's own configuration has the parameter. */
const NO_GROUPS = "default";

/**
 * Adds to the configuration of a TensorRT model a parameter that changes with its instance groups. Where nothing else
 * changes, Triton since 23.05 replaces the instances inside the loaded model (`ConfigChangeRequiresReload`), and the
 * TensorRT backend, which never forgets an instance, then runs a deleted one: the server ends with SIGSEGV. With the
 * parameter, Triton loads the whole model anew. Configurations of other backends stay as they are.
 *
 * https://github.com/triton-inference-server/core/blob/r24.10/src/model_config_utils.cc
 * https://github.com/triton-inference-server/tensorrt_backend/blob/r24.10/src/model_state.cc, `DeviceBlockingArbitrator`
 *
 * @param text of a `config.pbtxt` without faults
 * @param hasPlan whether a version folder has a `model.plan`
 */
export function withInstancesParameter(text: string, hasPlan: boolean): string {
  const document = new TextDocument(text);
  if (!isServedByTensorRt(document.fields, hasPlan)) return text;
  const groups = messagesOf(document.named("instance_group"));
  if (groups.length > 0) {
    putParameter(document, INSTANCES_PARAMETER, digestOf(groups));
  } else if (parametersOf(document, INSTANCES_PARAMETER).length > 0) {
    putParameter(document, INSTANCES_PARAMETER, NO_GROUPS);
  }
  return document.toString();
}

/** 16 hexadecimal digits that name the values, whatever their spacing and comments. */
function digestOf(values: readonly Field["value"][]): string {
  return createHash("sha256")
    .update(JSON.stringify(values.map(meaningOf)))
    .digest("hex")
    .slice(0, 16);
}

function meaningOf(value: Field["value"]): unknown {
  switch (value.kind) {
    case "message":
      return value.fields.map(({ name, value: inner }) => [name, meaningOf(inner)]);
    case "list":
      return value.items.map(meaningOf);
    case "string":
    case "number":
    case "identifier":
      return value.text;
  }
}
