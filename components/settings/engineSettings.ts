import * as path from "node:path";

import { ENGINE_PRECISIONS, MAX_INT32 } from "./allowedValues";
import { INVALID, Place, Read } from "./place";
import {
  choice,
  defaulted,
  integer,
  keyOf,
  list,
  mapped,
  object,
  optional,
  refuseRepeatedKey,
  required,
  Rule,
  text,
} from "./rules";
import { isVersion } from "./modelSource";
import { image } from "./runtimeSettings";
import { BUCKET_NAME, refuseS3Location, s3Location } from "./s3Location";
import { EngineSettings } from "./types";

/** The container of the release 22.06, whose TensorRT is the one of Triton 22.06. */
const BUILDER = "nvcr.io/nvidia/tensorrt:22.06-py3";

const inputName = text({
  allowed: "the name of an input of the ONNX model, without commas, quotes, blanks and control characters",
  example: "input_ids",
  refuse: (given) =>
    given.length <= 256 && /^[^\s,'"\p{Cc}\p{Cs}]+$/u.test(given)
      ? undefined
      : "give the input's name as the ONNX model has it",
});

const sizes = list(integer(1, MAX_INT32, 1), {
  allowed: "a shape: a list of sizes, the batch dimension included, at least one",
  minimum: 1,
});

const shape = object(
  "an object with an input and its smallest, usual and largest shape",
  {
    input: required(inputName, "Name of an input whose shape may vary."),
    min: required(sizes, "Smallest shape, the batch dimension included."),
    opt: required(sizes, "Shape that the engine is made fastest for."),
    max: required(sizes, "Largest shape."),
  },
  refuseDisorder,
);

type Sizes = readonly number[];

function refuseDisorder(
  { min, opt, max }: { readonly min: Read<Sizes>; readonly opt: Read<Sizes>; readonly max: Read<Sizes> },
  at: Place,
): void {
  if (min === INVALID || opt === INVALID || max === INVALID) return;
  const smaller = { opt: min, max: opt };
  for (const [key, sizesOfKey, before] of [
    ["opt", opt, "min"],
    ["max", max, "opt"],
  ] as const) {
    const least = smaller[key];
    if (sizesOfKey.length !== least.length) {
      at.at(key).faultShown(
        written(sizesOfKey),
        `as many sizes as ${before} has: ${least.length}`,
        `give ${least.length} sizes`,
      );
    } else if (sizesOfKey.some((size, index) => size < (least[index] ?? 0))) {
      at.at(key).faultShown(
        written(sizesOfKey),
        `sizes that are none smaller than those of ${before}: ${written(least)}`,
        `swap ${before} and ${key}, or raise ${key}`,
      );
    }
  }
}

const written = (shapeSizes: Sizes): string => `[${shapeSizes.join(", ")}]`;

const refuseRepeatedInputs = refuseRepeatedKey(
  "input",
  (first) => `an input that ${first} does not have`,
  "make one shape of the two",
);

const sharedPlace: Rule<string> = mapped(
  text({
    allowed: `s3://bucket/prefix with ${BUCKET_NAME}`,
    example: "s3://my-bucket/engines",
    refuse: refuseS3Location,
  }),
  (given) => given.replace(/\/+$/, ""),
);

/** How an engine is built; the same in the stack config and as arguments. */
export const engineFields = {
  precision: defaulted(
    choice(ENGINE_PRECISIONS),
    "fp32",
    "Lowest precision that TensorRT may choose for a layer. `fp16` is about twice as fast; compare the model's answers first.",
  ),
  shapes: defaulted(
    list(shape, { allowed: "a list of shapes, no input twice", check: refuseRepeatedInputs }),
    [],
    "Shapes of the inputs whose shape the ONNX model leaves open. Empty where it leaves none open.",
  ),
  workspaceMiB: defaulted(
    integer(1, 1 << 20, 4096),
    4096,
    "Mebibytes of GPU memory that TensorRT may use for one layer. More lets it consider more kernels.",
  ),
  builder: defaulted(
    image,
    BUILDER,
    "Image with `trtexec` to build with. Its TensorRT must be the one of Triton's image: the same NVIDIA release.",
  ),
  shared: optional(
    sharedPlace,
    "Prefix in S3 where hosts with the same kind of GPU share engines, each with its own credentials. Who may write there decides what they run.",
    "on AWS the stack's bucket, if its models travel through one; else each host builds its own",
  ),
};

/** How the TensorRT engine of a model is built on the host. */
export const engineRule: Rule<EngineSettings> = object(
  "an object that says how to build the engine; {} takes all defaults",
  engineFields,
);

/** Refuses an engine of a folder on this machine that has no ONNX model to build one from. */
export function refuseNoOnnx(
  { source, engine }: { readonly source: Read<string>; readonly engine: unknown },
  at: Place,
  raw: unknown,
): void {
  if (source === INVALID || s3Location(source) !== undefined || engine === undefined || engine === INVALID)
    return;
  const { files } = at.context;
  const found = files
    .entries(source)
    .some((entry) => isVersion(entry) && files.kind(path.join(source, entry, "model.onnx")) === "file");
  if (!found) {
    at.at("source").fault(
      keyOf(raw, "source"),
      "a folder with a model.onnx in a version folder, since engine is given",
      `put it at ${path.join(source, "1/model.onnx")}, or take engine out`,
    );
  }
}
