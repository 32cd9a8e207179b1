import { FLOOR_PARAMETER } from "../../floor";
import {
  ensembleSteps,
  leavesModelFolder,
  ModelSettings,
  MOVE_INSIDE,
  NOT_FOR_ENSEMBLES,
} from "../../settings";
import { Field, message, named, scalar, TextDocument, TextFormatError } from "../../textFormat";
import { WEIGHT_PARAMETER } from "../../weight";
import { configPlace } from "./configPlace";
import { withInstancesParameter } from "./instances";
import { ModelConfigError } from "./modelConfigError";
import { parametersOf, putParameter } from "./parameters";
import { TENSORRT_BACKEND, TENSORRT_PLATFORM } from "./tensorRt";
import {
  dynamicBatchingField,
  instanceGroupField,
  modelPriority,
  versionPolicyField,
  warmupField,
} from "./tritonFields";

/** Parameter that the scheduler takes a model's priority from; Triton's own three names are too few. */
const PRIORITY_PARAMETER = "xsched_priority";

/** What Triton refuses in an ensemble, which runs nothing itself. */
const NOT_IN_ENSEMBLES: readonly string[] = ["optimization", "instance_group", "model_warmup"];

/** What is set in a model's configuration: its name and priority, its floor and weight, and the options that are given. */
export type RenderedSettings = Pick<ModelSettings, "name" | "source" | "priority"> & Partial<ModelSettings>;

/**
 * The `config.pbtxt` that Triton gets: the model's own with its name, its priority and the options that the settings
 * give. A given option replaces the model's own field; all else stays as it was written. Rendering its own result
 * changes nothing. For TensorRT, a parameter names the instance groups, so that another one loads the whole model.
 *
 * @param own text of the model's own config.pbtxt, if it has one
 * @param hasPlan whether a version folder has a `model.plan`, by which Triton knows a model of TensorRT
 * @throws ModelConfigError where the text is malformed or contradicts the settings
 */
export function renderModelConfig(own: string | undefined, model: RenderedSettings, hasPlan = false): string {
  const file = configPlace(model.source);
  const document = open(own ?? "", file);
  refuseOutsideFiles(document.fields, file);
  putName(document, model.name, file);
  if (ensembleSteps(document.fields) === undefined) {
    putPriority(document, model.priority, file);
  } else {
    refuseUnfitForEnsemble(document, model, file);
  }
  if (model.engine !== undefined) {
    putPlatform(document, file);
  }

  if (model.versionPolicy !== undefined) {
    document.put(versionPolicyField(model.versionPolicy));
  }
  if (model.instanceGroups !== undefined) {
    document.put(instanceGroupField(model.instanceGroups));
  }
  if (model.dynamicBatching !== undefined) {
    refuseOtherScheduling(document, file);
    document.put(dynamicBatchingField(model.dynamicBatching));
  }
  if (model.warmup?.length === 0) {
    document.drop("model_warmup");
  } else if (model.warmup !== undefined) {
    document.put(warmupField(model.warmup));
  }
  for (const [key, value] of Object.entries(model.parameters ?? {})) {
    putParameter(document, key, value);
  }
  putParameter(document, PRIORITY_PARAMETER, String(model.priority));
  putShare(document, FLOOR_PARAMETER, model.floor);
  putShare(document, WEIGHT_PARAMETER, model.weight);
  return withInstancesParameter(document.toString(), hasPlan);
}

function open(text: string, file: string): TextDocument {
  try {
    return new TextDocument(text);
  } catch (error) {
    if (error instanceof TextFormatError) {
      throw new ModelConfigError(
        `${file}:${error.line}:${error.column}`,
        error.message,
        "correct the file; its format is protobuf text format",
      );
    }
    throw error;
  }
}

function putName(document: TextDocument, name: string, file: string): void {
  const field = single(document.fields, "name", file);
  if (field === undefined) {
    document.put({ name: "name", value: { kind: "scalar", value: name } });
  } else if (field.value.kind !== "string" || field.value.text !== name) {
    const ownName = field.value.kind === "string" ? JSON.stringify(field.value.text) : "no text";
    throw new ModelConfigError(
      file,
      `name is ${ownName}, but the stack config calls this model ${JSON.stringify(name)}`,
      "remove name from the file, or make the two the same",
    );
  }
}

/** The stack's counts, whatever the file has; a model without one has no parameter. */
function putShare(document: TextDocument, parameter: string, value = 0): void {
  if (value !== 0 || parametersOf(document, parameter).length > 0) {
    putParameter(document, parameter, String(value));
  }
}

/** What serves an engine; the file may have been written for the ONNX model. */
function putPlatform(document: TextDocument, file: string): void {
  const backends = ["backend", "platform"].flatMap((name) => {
    const value = single(document.fields, name, file)?.value;
    return value?.kind === "string" && value.text !== "" ? [{ name, text: value.text }] : [];
  });
  const other = backends.find(({ text }) => ![TENSORRT_BACKEND, TENSORRT_PLATFORM].includes(text));
  if (other !== undefined) {
    throw new ModelConfigError(
      file,
      `${other.name} is ${JSON.stringify(other.text)}, but the stack config asks for an engine, which TensorRT serves`,
      `remove ${other.name} from the file, or engine from the stack config`,
    );
  }
  if (backends.length === 0) {
    document.put({ name: "platform", value: { kind: "scalar", value: TENSORRT_PLATFORM } });
  }
}

function putPriority(document: TextDocument, priority: number, file: string): void {
  const value = modelPriority(priority);
  const optimization = single(document.fields, "optimization", file);
  if (optimization === undefined) {
    document.append(message("optimization", scalar("priority", value)));
    return;
  }
  if (optimization.value.kind !== "message") {
    throw new ModelConfigError(file, "optimization is not a message", "write optimization { … }");
  }
  const field = single(optimization.value.fields, "priority", file);
  if (field === undefined) {
    document.insert(optimization.value, { name: "priority", value: { kind: "scalar", value } });
  } else {
    document.replaceValue(field.value, value);
  }
}

/** Triton refuses a file that gives a single field twice; saying so here costs no deployment. */
function single(fields: readonly Field[], name: string, file: string): Field | undefined {
  const [first, second] = named(fields, name);
  if (second !== undefined) {
    throw new ModelConfigError(file, `${name} is given twice`, `keep one ${name}`);
  }
  return first;
}

/** Both are members of the oneof `scheduling_choice`. */
function refuseOtherScheduling(document: TextDocument, file: string): void {
  if (document.named("sequence_batching").length > 0) {
    throw new ModelConfigError(
      file,
      "sequence_batching excludes the dynamicBatching of the stack config",
      "remove dynamicBatching from the stack config, or sequence_batching from the file",
    );
  }
}

/** A file beside the model's folder is on the machine that deploys; on the host, it would be missing when Triton loads. */
function refuseOutsideFiles(fields: readonly Field[], file: string): void {
  for (const { name, value } of fields) {
    for (const item of value.kind === "list" ? value.items : [value]) {
      if (item.kind === "message") refuseOutsideFiles(item.fields, file);
      else if (item.kind === "string" && leavesModelFolder(item.text)) {
        throw new ModelConfigError(
          file,
          `${name} is ${JSON.stringify(item.text)}, which is outside of the model's folder; only the folder reaches the host`,
          MOVE_INSIDE,
        );
      }
    }
  }
}

/** Triton would refuse it after the model has travelled. What the settings can see, they have refused before. */
function refuseUnfitForEnsemble(document: TextDocument, model: RenderedSettings, file: string): void {
  const field = NOT_IN_ENSEMBLES.find((name) => document.named(name).length > 0);
  if (field !== undefined) {
    throw new ModelConfigError(
      file,
      `an ensemble runs nothing itself and cannot have ${field}`,
      `remove ${field}; the models of its steps can have it`,
    );
  }
  const given = NOT_FOR_ENSEMBLES.find((key) =>
    key === "warmup"
      ? (model.warmup?.length ?? 0) > 0
      : key === "floor" || key === "weight"
        ? (model[key] ?? 0) !== 0
        : model[key] !== undefined,
  );
  if (given !== undefined) {
    throw new ModelConfigError(
      file,
      `the model is an ensemble, which runs nothing itself, but the stack config gives it ${given}`,
      `remove ${given} from the stack config, or set it for the models of its steps`,
    );
  }
}
