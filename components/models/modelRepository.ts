import * as command from "@pulumi/command";
import * as pulumi from "@pulumi/pulumi";

import {
  agentCommand,
  agentRemoval,
  hostCommand,
  hostIdentity,
  type HostLocationArgs,
  repairWords,
  resolveLocation,
  toRemoteConnection,
} from "../host";
import {
  bucketName,
  ComponentInputs,
  type ModelRepositoryArgs,
  modelRepositoryInputs,
  modelRule,
  type ModelSettings,
  s3Location,
} from "../settings";
import { digestDirectory, type DirectoryDigest } from "./digest";
import { modelDependencies } from "./config";
import { withPrioritiesOfEnsembles } from "./ensemblePriorities";
import { buildEngines, type DeliveredFiles } from "./engine";
import { folderToTransfer } from "./modelFolder";
import { modelDigest } from "./modelConfig";
import { renderedConfig, renderKnownConfigs } from "./renderedConfig";
import { digestObjects, type ModelObject, readS3Model } from "./s3";
import { withoutScheduling } from "./scheduling";
import { sendFiles } from "./sendFiles";
import { isSent, type Travelling, travelsThroughBucket } from "./travel";
import { sharedEngines, uploadFiles } from "./uploadFiles";
import { roomForUploads } from "./uploadRoom";

/** A model that is on the host, ready to be served. */
export interface StoredModel {
  /** Name in the model repository and in requests. */
  readonly name: string;
  /** Identifies the configuration and files that are on the host; known when they are there. */
  readonly digest: pulumi.Output<string>;
  /** The same for states that differ in priority, floor and weight alone, which a running scheduler takes without a load. */
  readonly loadDigest: pulumi.Output<string>;
  /** How urgent its requests are: −255 to 255, larger first. */
  readonly priority: pulumi.Output<number>;
  /** The share of a GPU's time that it gets at least while it has requests, in percent: 0 to 50. */
  readonly floor: pulumi.Output<number>;
  /** What it shares a GPU's time by with models of its priority: 1 to 100; 0: nothing. */
  readonly weight: pulumi.Output<number>;
  /** The models that must be ready before it is loaded. */
  readonly dependsOn: pulumi.Output<string[]>;
}

/** Name and options of a resource that is a part of a model. */
type PartOfModel = (
  kind: "engine" | "files",
  opts: pulumi.CustomResourceOptions,
) => [string, pulumi.CustomResourceOptions];

/** A model whose arguments have passed. */
interface CheckedModel extends Travelling {
  readonly name: string;
  readonly settings: pulumi.Output<ModelSettings>;
  /** Whether its engine is built on the host. */
  readonly hasEngine: boolean;
  /** Names of all models of the repository. */
  readonly served: ReadonlySet<string>;
  /** Bucket that folders travel through. */
  readonly bucket: pulumi.Output<string> | undefined;
  /** Its folder, if that is sent to the host over SSH. */
  readonly sent: DirectoryDigest | undefined;
  /** Path of the host's folder of what is sent, once there is room. */
  readonly uploads: pulumi.Output<string>;
  /** Options of what is on the host. */
  readonly onHost: pulumi.CustomResourceOptions;
  readonly part: PartOfModel;
}

/**
 * Lays models out on a host, each in its own folder, which is complete before it gets its name, so that nobody ever
 * reads half a model. A model that leaves the list is removed from the host.
 */
export class ModelRepository extends pulumi.ComponentResource {
  /** The models on the host. */
  public readonly models: StoredModel[];

  /** @param opts `deletedWith` applies to what is on the host; what is in a bucket is not deleted with a machine. */
  public constructor(name: string, args: ModelRepositoryArgs, opts: pulumi.ComponentResourceOptions = {}) {
    const { deletedWith, ...own } = opts;
    const inputs = new ComponentInputs("ModelRepository", name, modelRepositoryInputs, args);
    const { models } = inputs.known;
    renderKnownConfigs(inputs, models);
    super("xsched-triton:index:ModelRepository", name, {}, own);
    const onHost = { parent: this, deletedWith };
    const location = resolveLocation(inputs, inputs.known);
    const bucket = inputs.resolveOptional(bucketName, "bucket");
    const sent = new Map(
      models
        .filter((model) => isSent(model, location, bucket !== undefined))
        .map(({ name: called, source, allowOutsideLinks }) => [
          called,
          digestDirectory(source, allowOutsideLinks),
        ]),
    );
    const uploads = roomForUploads(
      location,
      models.flatMap(({ name: called, engine }) => {
        const folder = sent.get(called);
        return folder === undefined ? [] : [{ model: called, folder, built: engine !== undefined }];
      }),
    );
    const served = new Set(models.map(({ name: called }) => called));
    const checked = withPrioritiesOfEnsembles(
      models.map((model, index) => ({
        model,
        settings: inputs.resolve(modelRule, model, "models", index),
      })),
    );
    this.models = checked.map(({ model, settings }) => {
      const { name: called, source, upload, allowOutsideLinks, engine } = model;
      const hasEngine = engine !== undefined;
      const part: PartOfModel = (kind, opts) => {
        // No model's name has a slash. With the dash of earlier releases, a model could be called like another's part.
        const former = `${called}-${kind}`;
        const taken = models.some((other) => other.name === former);
        const aliases = taken ? [] : [{ name: `${name}-${former}` }];
        return [`${name}-${called}/${kind}`, pulumi.mergeOptions(opts, { aliases })];
      };
      return this.store(name, location, {
        ...{
          name: called,
          source,
          upload,
          allowOutsideLinks,
          settings,
          hasEngine,
          served,
          bucket,
          sent: sent.get(called),
          uploads,
          onHost,
          part,
        },
      });
    });
    this.registerOutputs({ models: this.models });
  }

  private store(name: string, location: HostLocationArgs, model: CheckedModel): StoredModel {
    const {
      source: delivered,
      digest: files,
      dependsOn,
    } = this.prepare(`${name}-${model.name}`, location, model);
    const config = model.settings.apply((settings) => renderedConfig(settings));
    const digest = pulumi.all([config, files]).apply(([text, known]) => modelDigest(text, known));
    const stored = hostCommand(
      `${name}-${model.name}`,
      {
        ...location,
        part: `model:${model.name}`,
        run: agentCommand(location, "store"),
        remove: agentRemoval(location, "remove-model", model.name),
        stdin: pulumi
          .all([digest, files, delivered, config])
          .apply(([known, filesDigest, source, text]) =>
            JSON.stringify({ model: model.name, digest: known, filesDigest, source, config: text }),
          ),
      },
      { ...model.onHost, dependsOn },
    );
    return {
      name: model.name,
      digest: pulumi.all([digest, stored.stdout]).apply(([known]) => known),
      loadDigest: pulumi
        .all([model.settings.apply((settings) => renderedConfig(withoutScheduling(settings))), files])
        .apply(([text, known]) => modelDigest(text, known)),
      priority: model.settings.apply(({ priority }) => priority),
      floor: model.settings.apply(({ floor }) => floor),
      weight: model.settings.apply(({ weight }) => weight),
      dependsOn: pulumi
        .all([config, model.settings])
        .apply(([text, settings]) => modelDependencies(text, settings, model.served)),
    };
  }

  /** Makes the files that are served from those of the source. */
  private prepare(name: string, location: HostLocationArgs, model: CheckedModel): DeliveredFiles {
    const files = this.deliver(name, location, model);
    if (!model.hasEngine) return files;
    const engine = pulumi.all([model.settings, sharedEngines(model.bucket)]).apply(([{ engine }, shared]) => {
      if (engine === undefined) throw new Error("a model lost its engine after the check");
      return { ...engine, shared: engine.shared ?? shared };
    });
    const [engineName, opts] = model.part("engine", model.onHost);
    return buildEngines(engineName, location, model.name, files, engine, opts);
  }

  /** Makes a model's files available to the host. */
  private deliver(name: string, location: HostLocationArgs, model: CheckedModel): DeliveredFiles {
    if (s3Location(model.source) !== undefined) {
      const objects = pulumi.output(readS3Model(model.source).then(({ objects: listed }) => listed));
      const digest = objects.apply((listed) => digestObjects(listed));
      return this.fetch(location, model, { digest, source: model.source, objects });
    }
    const folder = model.sent ?? digestDirectory(model.source, model.allowOutsideLinks);
    const { digest, items } = folder;
    if (model.bucket !== undefined && travelsThroughBucket(model)) {
      const { source, objects } = uploadFiles(name, model.bucket, model, items, { parent: this });
      return this.fetch(location, model, { digest, source, objects });
    }
    if (location.ssh === undefined) {
      return { source: model.source, digest, dependsOn: [] };
    }
    // A separate folder for each state of the files: neither tar nor SFTP ever removes a file that is gone here.
    const source = pulumi.interpolate`${model.uploads}/${model.name}/${digest}`;
    const [filesName, opts] = model.part("files", { ...model.onHost, deleteBeforeReplace: true });
    // What was uploaded is gone when it is stored.
    const triggers = pulumi
      .all([hostIdentity(location), repairWords(location.repairs, `model:${model.name}`)])
      .apply(([identity, repairs]) => [...identity, ...repairs]);
    if (location.proxied === true) {
      const sent = sendFiles(
        filesName,
        { ssh: location.ssh, from: model.source, folder, to: source, triggers },
        opts,
      );
      return { source, digest, dependsOn: [sent] };
    }
    const upload = new command.remote.CopyToRemote(
      filesName,
      {
        connection: toRemoteConnection(location.ssh),
        source: new pulumi.asset.FileArchive(`${folderToTransfer(model.source, folder)}/`),
        remotePath: source,
        triggers,
      },
      opts,
    );
    return { source, digest, dependsOn: [upload] };
  }

  /** Lets the host fetch a model's files from S3. */
  private fetch(
    location: HostLocationArgs,
    { name: model, onHost, part }: CheckedModel,
    {
      digest,
      source,
      objects,
    }: Pick<DeliveredFiles, "digest" | "source"> & { objects: pulumi.Output<readonly ModelObject[]> },
  ): DeliveredFiles {
    const [filesName, opts] = part("files", onHost);
    const fetched = hostCommand(
      filesName,
      {
        ...location,
        part: `model:${model}`,
        run: agentCommand(location, "fetch"),
        remove: agentRemoval(location, "drop-files", model),
        stdin: pulumi
          .all([digest, source, objects])
          .apply(([filesDigest, place, listed]) =>
            JSON.stringify({ model, filesDigest, source: place, objects: listed }),
          ),
      },
      opts,
    );
    return { source, digest, dependsOn: [fetched] };
  }
}
