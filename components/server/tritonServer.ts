import * as fs from "node:fs";
import * as path from "node:path";

import * as pulumi from "@pulumi/pulumi";

import { hostCommand, type HostLocationArgs, removalCommand, resolveLocation, scriptCommand } from "../host";
import {
  ComponentInputs,
  imageByDigest,
  registryLogin,
  serverOptions,
  storedDigest,
  type TritonServerArgs,
  tritonServerInputs,
} from "../settings";
import { renderStartOptions } from "./startOptions";

/** Where a server answers; ports are on the host. */
export interface Endpoints {
  /** URL of the HTTP API. */
  http: string;
  /** `host:port` of the gRPC API. */
  grpc: string;
  /** URL of the Prometheus metrics. */
  metrics: string;
}

/**
 * An NVIDIA Triton Inference Server in explicit model-control mode, and the models that it serves. A model that
 * changes is reloaded under traffic; another server setting restarts the process with all its models.
 */
export class TritonServer extends pulumi.ComponentResource {
  /** Where the server answers. */
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
            { ...location, run: scriptCommand(location, "install-triton.sh"), stdin: PROCESS_RUNTIME },
            { parent: this },
          )
        : this.pull(`${name}-image`, location, image, login, registryByRole);
    const process = hostCommand(
      `${name}-process`,
      {
        ...location,
        run: scriptCommand(
          location,
          "start-server.sh",
          ...(image === undefined ? ["process"] : ["container", image]),
        ),
        remove: removalCommand(location, "stop-server.sh"),
        stdin: options.apply((resolved) => renderStartOptions(resolved, image !== undefined)),
      },
      { parent: this, dependsOn: runtime },
    );
    const served = models.map(({ name: model, digest: stored }, index) => {
      const digest = inputs.resolve(storedDigest, stored, "models", index, "digest");
      return hostCommand(
        `${name}-${model}`,
        {
          ...location,
          run: scriptCommand(location, "activate-model.sh", model, digest),
          remove: removalCommand(location, "deactivate-model.sh", model),
        },
        { parent: this, dependsOn: process },
      );
    });

    this.version = process.stdout.apply((text) => (JSON.parse(text) as { version: string }).version);
    this.endpoints = pulumi
      .all([options, pulumi.all(served.map(({ stdout }) => stdout))])
      .apply(([{ address, httpPort, grpcPort, metricsPort }]) => ({
        http: `http://${address}:${httpPort}`,
        grpc: `${address}:${grpcPort}`,
        metrics: `http://${address}:${metricsPort}/metrics`,
      }));
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
    const words = pulumi
      .all([login?.username, byRole])
      .apply(([username, role]) => (username !== undefined ? [username] : role ? ["--role"] : []));
    return hostCommand(
      name,
      {
        ...location,
        run: pulumi
          .all([pulumi.all(scriptCommand(location, "pull-image.sh", image)), words])
          .apply(([command, login]) => [...command, ...login]),
        remove: removalCommand(location, "remove-images.sh"),
        stdin: login && pulumi.secret(login.password),
      },
      { parent: this },
    );
  }
}

/** The package that the process runtime is installed from, as pip requirements with checksums. */
const PROCESS_RUNTIME = fs.readFileSync(path.join(__dirname, "triton-requirements.txt"), "utf8");
