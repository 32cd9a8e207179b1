import * as pulumi from "@pulumi/pulumi";

import { hostCommand, type HostLocationArgs, scriptCommand } from "../host";
import type { EngineSettings } from "../settings";

/** A model's files where the host can read them. */
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
