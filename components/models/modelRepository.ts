import * as command from "@pulumi/command";
import * as pulumi from "@pulumi/pulumi";

import {
  ArgumentCheck,
  engineArgument,
  hostDirectory,
  modelArgument,
  repositoryNow,
  sshArgument,
} from "../arguments";
import {
  hostCommand,
  hostIdentity,
  type HostLocationArgs,
  removalCommand,
  scriptCommand,
  type SshConnectionArgs,
  toRemoteConnection,
} from "../host";
import type { EngineSettings, ModelSettings } from "../settings";
import { s3Location } from "../settings/s3Location";
import { renderModelConfig } from "./config";
import { digestDirectory } from "./digest";
import { buildEngines, type DeliveredFiles, type EngineArgs } from "./engine";
import { modelDigest, ownConfig } from "./modelConfig";
import { digestObjects, type ModelObject, objectLines, readS3Model } from "./s3";
import { uploadFiles } from "./uploadFiles";

/** A model to serve. */
export interface ModelArgs {
  /** Name in the model repository and in requests. */
  name: string;
  /**
   * Where the model lies as Triton lays it out: one numbered folder a version, and `config.pbtxt` unless `config` is
   * given. A folder on this machine, where a relative path starts at the program's folder; or `s3://bucket/prefix`,
   * from where the host fetches what has changed. Both this machine and the host then need credentials of AWS that may
   * list and read it.
   */
  source: string;
  /**
   * How urgent the model's requests are: −255 to 255, larger first. Rendered into the configuration as Triton's
   * `optimization.priority` and as the parameter `xsched_priority`.
   * @default 0
   */
  priority?: pulumi.Input<number>;
  /** Text of the model's `config.pbtxt`, in place of the file in `source`. Name and priority are set in it. */
  config?: pulumi.Input<string>;
  /**
   * Bucket that a folder's files travel through, instead of SSH; `bucket` of a `ModelBucket`. For weights of gigabytes:
   * only files that have changed are uploaded, and fetched. Not for a source in S3.
   * @default none
   */
  bucket?: pulumi.Input<string>;
  /**
   * Builds a TensorRT engine (`model.plan`) from the `model.onnx` of each version folder, on the host's GPU, and serves
   * that. Takes minutes the first time; the models that serve before keep serving.
   * @default `source` has what is served
   */
  engine?: pulumi.Input<EngineArgs>;
}

/** A model that lies on the host, ready to be served. */
export interface StoredModel {
  /** Name in the model repository and in requests. */
  readonly name: string;
  /** Names the configuration and files that lie on the host; known when they do. */
  readonly digest: pulumi.Output<string>;
  /** How urgent the model's requests are: −255 to 255, larger first. */
  readonly priority: pulumi.Output<number>;
}

export interface ModelRepositoryArgs {
  /** Absolute path of the host's folder; `directory` of a `TritonHost`. */
  directory: pulumi.Input<string>;
  /** The host, when it is not this machine. */
  ssh?: pulumi.Input<SshConnectionArgs>;
  /** The models; their names are unique. */
  models: ModelArgs[];
}

/** A model whose arguments have passed. */
interface CheckedModel {
  readonly name: string;
  /** Absolute path of the model's folder on this machine, or `s3://bucket/prefix`. */
  readonly source: string;
  /** Bucket that a folder's files travel through. */
  readonly bucket: pulumi.Output<string> | undefined;
  readonly settings: pulumi.Output<
    Pick<ModelSettings, "name" | "source" | "priority" | "engine"> & { config?: string; bucket?: string }
  >;
  readonly engine?: pulumi.Output<EngineSettings>;
  /** Options of what is on the host. */
  readonly onHost: pulumi.CustomResourceOptions;
}

/**
 * Lays models out on a host: each a folder of its own that is complete before it gets its name, so that nobody ever
 * reads half a model. A model that leaves the list is removed from the host.
 */
export class ModelRepository extends pulumi.ComponentResource {
  /** The models as they lie on the host. */
  public readonly models: StoredModel[];

  /** @param opts `deletedWith` counts for what is on the host; what lies in a bucket does not go with a machine. */
  public constructor(name: string, args: ModelRepositoryArgs, opts: pulumi.ComponentResourceOptions = {}) {
    const { deletedWith, ...own } = opts;
    const check = new ArgumentCheck("ModelRepository", name);
    const { models } = check.now(repositoryNow, args);
    super("xsched-triton:index:ModelRepository", name, {}, own);
    const onHost = { parent: this, deletedWith };
    const location = {
      directory: check.whenKnown(hostDirectory, args.directory, "directory"),
      ssh: args.ssh && check.whenKnown(sshArgument, args.ssh, "ssh"),
    };
    this.models = models.map(({ name: model, source }, index) => {
      const given = args.models[index];
      const settings = check.whenKnown(modelArgument, given, "models", index);
      const engine =
        given?.engine && check.whenKnown(engineArgument, given.engine, "models", index, "engine");
      const bucket =
        given?.bucket === undefined ? undefined : settings.apply(({ bucket: known = "" }) => known);
      return this.store(name, location, { name: model, source, bucket, settings, engine, onHost });
    });
    this.registerOutputs({ models: this.models });
  }

  private store(name: string, location: HostLocationArgs, model: CheckedModel): StoredModel {
    const {
      source: delivered,
      digest: files,
      dependsOn,
    } = this.prepare(`${name}-${model.name}`, location, model);
    const config = model.settings.apply(({ config: given, name: called, source, priority, engine }) =>
      pulumi
        .output(given ?? ownConfig(model.source))
        .apply((text) => renderModelConfig(text, { name: called, source, priority, engine })),
    );
    const digest = pulumi.all([config, files]).apply(([text, known]) => modelDigest(text, known));
    const stored = hostCommand(
      `${name}-${model.name}`,
      {
        ...location,
        run: scriptCommand(location, "store-model.sh", model.name, digest, files, delivered),
        remove: removalCommand(location, "remove-model.sh", model.name),
        stdin: config,
      },
      { ...model.onHost, dependsOn },
    );
    return {
      name: model.name,
      priority: model.settings.priority,
      digest: pulumi.all([digest, stored.stdout]).apply(([known]) => known),
    };
  }

  /** Makes the files that are served from those of the source. */
  private prepare(name: string, location: HostLocationArgs, model: CheckedModel): DeliveredFiles {
    const files = this.deliver(name, location, model);
    return model.engine === undefined
      ? files
      : buildEngines(`${name}-engine`, location, model.name, files, model.engine, model.onHost);
  }

  /** Brings a model's files to where the host can read them. */
  private deliver(name: string, location: HostLocationArgs, model: CheckedModel): DeliveredFiles {
    if (s3Location(model.source) !== undefined) {
      const objects = pulumi.output(readS3Model(model.source).then(({ objects: listed }) => listed));
      const digest = objects.apply((listed) => digestObjects(listed));
      return this.fetch(name, location, model, { digest, source: model.source, objects });
    }
    const { digest, entries } = digestDirectory(model.source);
    if (model.bucket !== undefined) {
      const { source, objects } = uploadFiles(name, model.bucket, model, entries, { parent: this });
      return this.fetch(name, location, model, { digest, source, objects });
    }
    if (location.ssh === undefined) {
      return { source: model.source, digest, dependsOn: [] };
    }
    // A folder of its own for each state of the files: SFTP never removes a file that is gone here.
    const source = pulumi.interpolate`${location.directory}/uploads/${model.name}/${digest}`;
    const upload = new command.remote.CopyToRemote(
      `${name}-files`,
      {
        connection: toRemoteConnection(location.ssh),
        source: new pulumi.asset.FileArchive(`${model.source}/`),
        remotePath: source,
        triggers: hostIdentity(location),
      },
      { ...model.onHost, deleteBeforeReplace: true },
    );
    return { source, digest, dependsOn: [upload] };
  }

  /** Lets the host fetch a model's files from S3. */
  private fetch(
    name: string,
    location: HostLocationArgs,
    { name: model, onHost }: CheckedModel,
    {
      digest,
      source,
      objects,
    }: Pick<DeliveredFiles, "digest" | "source"> & { objects: pulumi.Output<readonly ModelObject[]> },
  ): DeliveredFiles {
    const fetched = hostCommand(
      `${name}-files`,
      {
        ...location,
        run: scriptCommand(location, "fetch-model.sh", model, digest, source),
        remove: removalCommand(location, "drop-files.sh", model),
        stdin: objects.apply((listed) => objectLines(listed)),
      },
      onHost,
    );
    return { source, digest, dependsOn: [fetched] };
  }
}
