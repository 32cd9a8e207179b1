import * as pulumi from "@pulumi/pulumi";

import { hostCommand, type HostLocationArgs, scriptCommand } from "../host";
import type { EngineSettings } from "../settings";

/** Lowest precision that TensorRT may choose for a layer. */
export enum EnginePrecision {
  /** 32-bit floating point, TF32 where the GPU has it. */
  Fp32 = "fp32",
  /** Also 16-bit floating point. */
  Fp16 = "fp16",
  /** Also 8-bit integers, for a model with scales of its own. */
  Best = "best",
}

/** Shapes of an input that the ONNX model leaves open, the batch dimension included; all three have as many sizes. */
export interface EngineShapeArgs {
  /** Name of the input. */
  input: string;
  /** Smallest shape. */
  min: number[];
  /** Shape that the engine is made fastest for. */
  opt: number[];
  /** Largest shape. */
  max: number[];
}

/** How the `model.onnx` of each version folder becomes a TensorRT engine, on the GPU of the host. */
export interface EngineArgs {
  /** Lowest precision that TensorRT may choose for a layer. @default EnginePrecision.Fp32 */
  precision?: pulumi.Input<EnginePrecision>;
  /** Shapes of the inputs whose shape the ONNX model leaves open. @default none */
  shapes?: pulumi.Input<EngineShapeArgs[]>;
  /** Mebibytes of GPU memory that TensorRT may use for one layer: 1 to 1048576. @default 4096 */
  workspaceMiB?: pulumi.Input<number>;
  /**
   * Image with `trtexec` to build with, about 6 GB with the default. Its TensorRT must be the one of Triton's image:
   * the same NVIDIA release.
   * @default "nvcr.io/nvidia/tensorrt:22.06-py3"
   */
  builder?: pulumi.Input<string>;
  /**
   * Prefix `s3://bucket/prefix` where hosts with the same kind of GPU share what they have built, each with its own
   * credentials. Who may write there decides what they run.
   * @default each host builds its own
   */
  shared?: pulumi.Input<string>;
}

/** A model's files as they lie where the host can read them. */
export interface DeliveredFiles {
  /** Absolute path of a folder on the host. */
  readonly source: pulumi.Input<string>;
  /** Names the state of the files. */
  readonly digest: pulumi.Input<string>;
  /** What puts them there. */
  readonly dependsOn: pulumi.Resource[];
}

/**
 * Builds the engines of a model on the host, at most once for each state of the ONNX files, options, kind of GPU and
 * version of TensorRT.
 *
 * @returns the files to serve: those given, with engines in the place of the ONNX models
 */
export function buildEngines(
  name: string,
  location: HostLocationArgs,
  model: string,
  files: DeliveredFiles,
  engine: pulumi.Input<EngineSettings>,
  opts: pulumi.CustomResourceOptions,
): DeliveredFiles {
  const built = hostCommand(
    name,
    {
      ...location,
      run: scriptCommand(location, "build-engines.sh", model, files.digest, files.source),
      stdin: pulumi.output(engine).apply(engineOptions),
    },
    pulumi.mergeOptions(opts, { dependsOn: files.dependsOn }),
  );
  return {
    source: pulumi.interpolate`${location.directory}/engines/ready/${model}`,
    digest: built.stdout.apply((text) => text.trim()),
    dependsOn: [built],
  };
}

/** Options of an engine as build-engines.sh reads them: one `key value` a line. */
export function engineOptions(engine: EngineSettings): string {
  const lines = [
    `builder ${engine.builder}`,
    `precision ${engine.precision}`,
    `workspaceMiB ${engine.workspaceMiB}`,
    ...(engine.shared === undefined ? [] : [`shared ${engine.shared}`]),
    ...engine.shapes.map(({ input, min, opt, max }) =>
      ["shape", input, ...[min, opt, max].map((sizes) => sizes.join("x"))].join(" "),
    ),
  ];
  return `${lines.join("\n")}\n`;
}
