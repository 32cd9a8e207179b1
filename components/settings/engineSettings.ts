import * as path from "node:path";

import { PATCHED_RELEASE } from "../image/tritonReleases";
import { enginePrecision, MAX_INT32 } from "./allowedValues";
import { INVALID, Place, Read } from "./place";
import {
  defaulted,
  integer,
  keyOf,
  list,
  mapped,
  object,
  optional,
  type ReadBy,
  refuseRepeatedKey,
  required,
  Rule,
  text,
} from "./rules";
import { isVersion } from "./modelSource";
import { image } from "./runtimeSettings";
import { BUCKET_NAME, refuseS3Location, s3Location } from "./s3Location";

/** Its TensorRT is the one of Triton's image of the same release. */
const BUILDER = `nvcr.io/nvidia/tensorrt:${PATCHED_RELEASE}-py3`;

const inputName = text({
  allowed: "the name of an input of the ONNX model, without commas, quotes, blanks and control characters",
  example: "input_ids",
  refuse: (value) =>
    value.length <= 256 && /^[^\s,'"\p{Cc}\p{Cs}]+$/u.test(value)
      ? undefined
      : "give the input's name as the ONNX model has it",
});

const sizes = list(integer(1, MAX_INT32, 1), {
  allowed: "a shape: a list of at least one size, including the batch dimension",
  minimum: 1,
});

const shape = object({
  name: "EngineShape",
  description:
    "Shapes of an input that the ONNX model leaves open, including the batch dimension; all three have as many sizes.",
  allowed: "an object with an input and its smallest, usual and largest shape",
  fields: {
    input: required(inputName, "Name of an input whose shape can vary."),
    min: required(sizes, "Smallest shape, including the batch dimension.", { example: "[1, 384]" }),
    opt: required(sizes, "Shape that the engine is optimised for.", { example: "[1, 384]" }),
    max: required(sizes, "Largest shape.", { example: "[8, 384]" }),
  },
  check: refuseDisorder,
});

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
        `sizes not smaller than those of ${before}: ${written(least)}`,
        `swap ${before} and ${key}, or raise ${key}`,
      );
    }
  }
}

const written = (shapeSizes: Sizes): string => `[${shapeSizes.join(", ")}]`;

const refuseRepeatedInputs = refuseRepeatedKey(
  "input",
  (first) => `an input that ${first} does not have`,
  "merge the two into one shape",
);

const sharedPlace: Rule<string> = mapped(
  text({
    allowed: `s3://bucket/prefix with ${BUCKET_NAME}`,
    example: "s3://my-bucket/engines",
    refuse: refuseS3Location,
  }),
  (value) => value.replace(/\/+$/, ""),
);

/** How the TensorRT engine of a model is built on the host. */
export const engineRule = object({
  name: "Engine",
  description:
    "How the `model.onnx` of each version folder becomes a TensorRT engine, on the GPU of the host.",
  allowed: "an object that says how to build the engine; {} takes all defaults",
  fields: {
    precision: defaulted(
      enginePrecision,
      "fp32",
      "Lowest precision that TensorRT may choose for a layer. `fp16` is about twice as fast; compare the model's answers first.",
      { example: "fp16" },
    ),
    shapes: defaulted(
      list(shape, { allowed: "a list of shapes, no input twice", check: refuseRepeatedInputs }),
      [],
      "Shapes of the inputs whose shape the ONNX model leaves open.",
    ),
    workspaceMiB: defaulted(
      integer(1, 1 << 20, 4096),
      4096,
      "GPU memory that TensorRT may use for one layer. More lets it consider more kernels.",
      { unit: "MiB" },
    ),
    builder: defaulted(
      image,
      BUILDER,
      `Image with \`trtexec\` to build with. Its TensorRT must be the one of Triton's image: the same NVIDIA release. Required if \`runtime.build.base\` is another release than ${PATCHED_RELEASE}.`,
      { cost: "a download of about 6 GB with the default" },
    ),
    shared: optional(
      sharedPlace,
      "S3 prefix where hosts with the same kind of GPU share engines, each with its own credentials. Whoever may write there decides what the hosts run.",
      "the bucket that the models travel through, if they do; otherwise each host builds its own",
    ),
  },
});

/** Refuses an engine for a folder on this machine without an ONNX model to build it from. */
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
      `put it at ${path.join(source, "1/model.onnx")}, or remove engine`,
    );
  }
}

export type EngineSettings = ReadBy<typeof engineRule>;
