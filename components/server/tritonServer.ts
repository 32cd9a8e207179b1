import * as fs from "node:fs";
import * as path from "node:path";

import * as pulumi from "@pulumi/pulumi";

import {
  agentCommand,
  agentDigest,
  agentRemoval,
  hostCommand,
  type HostLocationArgs,
  resolveLocation,
  resultOf,
  stopping,
} from "../host";
import {
  ComponentInputs,
  imageByDigest,
  registryLogin,
  serverOptions,
  servedModel,
  type TritonServerArgs,
  tritonServerInputs,
} from "../settings";
import { type Endpoints, endpointsOf } from "./endpoints";
import { renderStartOptions } from "./startOptions";

/**
 * An NVIDIA Triton Inference Server in explicit model-control mode, and the models that it serves. A model that
 * changes is reloaded under traffic, or changed in the running scheduler if that is enough; another server setting restarts the process with all its models. Only the host itself
 * reaches it; a `Gateway` lets others in.
 */
export class TritonServer extends pulumi.ComponentResource {
  /** Where the server answers, on the host itself. */
  public readonly endpoints: pulumi.Output<Endpoints>;
  /** Triton's own version. */
  public readonly version: pulumi.Output<string>;

  public constructor(name: string, args: TritonServerArgs, opts?: pulumi.ComponentResourceOptions) {
    const inputs = new ComponentInputs("TritonServer", name, tritonServerInputs, args);
    super("xsched-triton:index:TritonServer", name, {}, opts);
    const { models, registryByRole } = inputs.known;
    const location = resolveLocation(inputs, inputs.known);
    const image = inputs.resolveOptional(imageByDigest, "image");
    const options = inputs.resolvePart(serverOptions);
    const login = inputs.resolveOptional(registryLogin, "registry");
    const runtime =
      image === undefined
        ? hostCommand(
            `${name}-runtime`,
            {
              ...location,
              part: "runtime",
              run: agentCommand(location, "install-runtime"),
              stdin: JSON.stringify({ requirements: PROCESS_RUNTIME }),
            },
            { parent: this },
          )
        : this.pull(`${name}-image`, location, image, login, registryByRole);
    const process = hostCommand(
      `${name}-process`,
      {
        ...location,
        part: "server",
        // Another agent takes over the server that runs.
        run: agentCommand(location, "start", agentDigest()),
        remove: stopping(location, "stop"),
        stdin: pulumi.all([options, image]).apply(([resolved, known]) => renderStartOptions(resolved, known)),
      },
      { parent: this, dependsOn: runtime },
    );
    // All models in one: only whoever knows the whole change can load an ensemble after its steps.
    const served = hostCommand(
      `${name}-models`,
      {
        ...location,
        part: "models",
        run: agentCommand(location, "serve"),
        remove: agentRemoval(location, "unserve"),
        stdin: pulumi
          .all(models.map((model, index) => inputs.resolve(servedModel, model, "models", index)))
          // One without a floor or a weight is as it was before there were any: a new release reloads nothing.
          .apply((wanted) =>
            JSON.stringify({
              models: wanted.map(({ floor, weight, ...model }) => ({
                ...model,
                ...(floor !== 0 && { floor }),
                ...(weight !== 0 && { weight }),
              })),
            }),
          ),
      },
      { parent: this, dependsOn: process },
    );

    this.version = process.stdout.apply((text) => (resultOf(text) as { version: string }).version);
    this.endpoints = pulumi.all([options, served.stdout]).apply(([known]) => endpointsOf(known));
    this.registerOutputs({ endpoints: this.endpoints, version: this.version });
  }

  /** Pulls an image on the host; what runs there is touched only when the image is there. */
  private pull(
    name: string,
    location: HostLocationArgs,
    image: pulumi.Output<string>,
    login: pulumi.Output<{ username: string; password: string }> | undefined,
    byRole: pulumi.Input<boolean> | undefined,
  ): pulumi.Resource {
    const stdin = pulumi
      .all([image, login, byRole])
      .apply(([known, account, role]) =>
        JSON.stringify({ image: known, login: account ?? (role === true ? "role" : undefined) }),
      );
    return hostCommand(
      name,
      {
        ...location,
        part: "runtime",
        run: agentCommand(location, "pull-image"),
        remove: agentRemoval(location, "remove-images"),
        stdin: login === undefined ? stdin : pulumi.secret(stdin),
      },
      { parent: this },
    );
  }
}

/** The package that the process runtime is installed from, as pip requirements with checksums. */
const PROCESS_RUNTIME = fs.readFileSync(path.join(__dirname, "triton-requirements.txt"), "utf8");
