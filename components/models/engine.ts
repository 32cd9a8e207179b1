import * as pulumi from "@pulumi/pulumi";

import { agentCommand, hostCommand, type HostLocationArgs, resultOf } from "../host";
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
      part: `model:${model}`,
      run: agentCommand(location, "build-engines"),
      stdin: pulumi
        .all([files.digest, files.source, engine])
        .apply(([filesDigest, source, options]) =>
          JSON.stringify({ model, filesDigest, source, engine: options }),
        ),
    },
    pulumi.mergeOptions(opts, { dependsOn: files.dependsOn }),
  );
  return {
    source: pulumi.interpolate`${location.directory}/engines/ready/${model}`,
    digest: built.stdout.apply((text) => (resultOf(text) as { digest: string }).digest),
    dependsOn: [built],
  };
}
