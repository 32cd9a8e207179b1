import * as fs from "node:fs";
import * as path from "node:path";

import * as pulumi from "@pulumi/pulumi";

import {
  ArgumentCheck,
  hostDirectory,
  imageArgument,
  loginArgument,
  serverArgument,
  serverNow,
  sshArgument,
  storedDigest,
} from "../arguments";
import {
  hostCommand,
  type HostLocationArgs,
  removalCommand,
  scriptCommand,
  type SshConnectionArgs,
} from "../host";
import type { RegistryLoginArgs } from "../image";
import { LogLevel, renderServerOptions, SchedulerRequirement } from "./serverArguments";

/** A model on the host, as `ModelRepository` has stored it. */
export interface ServedModelArgs {
  /** Name of the model. */
  name: string;
  /** Which stored state of the model is served. */
  digest: pulumi.Input<string>;
}

/** How Triton runs; the same for every component that starts one. */
export interface ServerOptionsArgs {
  /**
   * Image to run Triton from, as `repository@sha256:…`; `reference` of a `TritonImage`. Without it Triton runs as a process of the host's user, on
   * the CPU, from a package that is installed in the host's folder.
   */
  image?: pulumi.Input<string>;
  /** How the host logs in to the image's registry. @default Docker's own log-in on the host */
  registry?: pulumi.Input<RegistryLoginArgs>;
  /**
   * Whether the host logs in to the image's registry, which is Amazon ECR then, with the role of its instance. Not with
   * `registry`.
   * @default false
   */
  registryByRole?: pulumi.Input<boolean>;
  /**
   * Seconds for which the container serves on before it stops, while Docker shows it as unhealthy: for a load balancer
   * that follows that. Adds to the time of every change that restarts it. Needs `image`.
   * @default 0
   */
  drainSeconds?: pulumi.Input<number>;
  /** TCP port for HTTP, 1 to 65535. @default 8000 */
  httpPort?: pulumi.Input<number>;
  /** TCP port for gRPC, 1 to 65535. @default 8001 */
  grpcPort?: pulumi.Input<number>;
  /** TCP port for Prometheus metrics, 1 to 65535. @default 8002 */
  metricsPort?: pulumi.Input<number>;
  /**
   * Address on the host that the ports are opened on. Triton has no access control of its own: any other than a
   * loopback address gives the models, and the power to unload them, to whoever reaches it.
   * @default "127.0.0.1"
   */
  address?: pulumi.Input<string>;
  /** How much Triton logs. @default LogLevel.Info */
  logLevel?: pulumi.Input<LogLevel>;
  /** Seconds that requests in flight get when Triton stops. @default 30 */
  exitTimeoutSeconds?: pulumi.Input<number>;
  /** Seconds that a model may take until it is ready. @default 300 */
  loadTimeoutSeconds?: pulumi.Input<number>;
  /** Mebibytes that the log may take; older lines are dropped. @default 20 */
  logMegabytes?: pulumi.Input<number>;
  /**
   * When Triton must refuse to serve because its models would run unscheduled. Needs an image with the XSched core;
   * a server without `image` runs on the CPU and has nothing to schedule.
   * @default SchedulerRequirement.OnGpu
   */
  schedulerRequired?: pulumi.Input<SchedulerRequirement>;
  /** Further tritonserver flags, each `--name` or `--name=value`. @default [] */
  extraFlags?: pulumi.Input<pulumi.Input<string>[]>;
}

export interface TritonServerArgs extends ServerOptionsArgs {
  /** Absolute path of the host's folder; `directory` of a `TritonHost`. */
  directory: pulumi.Input<string>;
  /** The host, when it is not this machine. */
  ssh?: pulumi.Input<SshConnectionArgs>;
  /** The models to serve; `models` of a `ModelRepository`. */
  models: ServedModelArgs[];
}

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
    const check = new ArgumentCheck("TritonServer", name);
    const { models } = check.now(serverNow, args);
    super("xsched-triton:index:TritonServer", name, {}, opts);
    const { directory, ssh, models: given, image: wantedImage, registry, registryByRole, ...wanted } = args;
    const location = {
      directory: check.whenKnown(hostDirectory, directory, "directory"),
      ssh: ssh && check.whenKnown(sshArgument, ssh, "ssh"),
    };
    const image =
      wantedImage === undefined ? undefined : check.whenKnown(imageArgument, wantedImage, "image");
    const options = check.whenKnown(serverArgument, wanted);

    const login = registry && check.whenKnown(loginArgument, registry, "registry");
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
        stdin: options.apply((known) => renderServerOptions(known)),
      },
      { parent: this, dependsOn: runtime },
    );
    const served = models.map(({ name: model }, index) => {
      const digest = check.whenKnown(storedDigest, given[index]?.digest, "models", index, "digest");
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

  /** Brings an image to the host; what runs there is touched only when it is there. */
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
