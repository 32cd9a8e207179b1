import * as k8s from "@pulumi/kubernetes";
import * as pulumi from "@pulumi/pulumi";

import { patch } from "./configMapFiles";
import { engineJob, type EngineModel, engineSeconds, enginesManifests, IMAGE_ANNOTATION } from "./engines";
import type { ModelRegistry } from "./modelImage";
import type { InImage } from "./modelFiles";
import { readable } from "./names";
import type { PodSettings } from "./pod";

/** What all pods of a fleet need. */
export interface FleetBase {
  readonly namespace: k8s.core.v1.Namespace;
  readonly account: k8s.core.v1.ServiceAccount;
  readonly priority: k8s.scheduling.v1.PriorityClass;
}

/** How long the provider waits for a Job that Kubernetes ends, in seconds, until that is seen. */
const SPARE_SECONDS = 60;

/** Builds the engines of a fleet's models, each in a Job on a GPU of the cluster, one after the other. */
export class EngineBuilders {
  /** Those of all models so far. */
  public readonly jobs: k8s.batch.v1.Job[] = [];
  private common: readonly pulumi.Resource[] | undefined;

  /** @param login to the repository of the settings, which a fleet with an engine has */
  public constructor(
    private readonly fleet: string,
    private readonly settings: PodSettings,
    private readonly login: ModelRegistry["login"],
    private readonly base: FleetBase,
    private readonly parent: pulumi.Resource,
  ) {}

  /** @returns the files to serve: those of the model, with engines in the place of the ONNX models */
  public build(model: EngineModel): InImage {
    const { fleet, settings, parent } = this;
    const { digest, job: manifest } = engineJob(fleet, settings, model, this.base.namespace.metadata.uid);
    this.common ??= this.makeCommon();
    const name = [fleet, "engine", readable(model.source.model), digest].filter((part) => part !== "");
    const patience = `${engineSeconds(settings) + SPARE_SECONDS}s`;
    const job = new k8s.batch.v1.Job(name.join("-"), manifest, {
      parent,
      // One free GPU is enough, which a rollout needs as well.
      dependsOn: [this.base.account, this.base.priority, ...this.common, ...this.jobs.slice(-1)],
      customTimeouts: { create: patience, update: patience },
      // What it was asked for is in its name: one that has made its image has no reason to run again.
      ignoreChanges: ["spec", "metadata.annotations"],
    });
    this.jobs.push(job);
    return {
      ...model.source,
      digest,
      image: job.metadata.annotations.apply((annotations) => annotations[IMAGE_ANNOTATION] ?? ""),
    };
  }

  private makeCommon(): pulumi.Resource[] {
    const { fleet, settings, login, base, parent } = this;
    const { program, content, login: secret, networkPolicy } = enginesManifests(fleet, settings);
    const inside = { parent, dependsOn: base.namespace };
    const called = `${fleet}-engines`;
    return [
      new k8s.core.v1.ConfigMapPatch(
        `${called}-program-content`,
        patch(called, settings.namespace, content),
        {
          parent,
          dependsOn: new k8s.core.v1.ConfigMap(`${called}-program`, program, inside),
        },
      ),
      new k8s.core.v1.SecretPatch(
        `${called}-login-content`,
        {
          apiVersion: "v1",
          kind: "Secret",
          metadata: {
            name: called,
            namespace: settings.namespace,
            annotations: { "pulumi.com/patchForce": "true" },
          },
          stringData: pulumi.secret(
            pulumi.output(login).apply((known) => ({
              username: known?.username ?? "",
              password: known?.password ?? "",
            })),
          ),
        },
        { parent, dependsOn: new k8s.core.v1.Secret(`${called}-login`, secret, inside) },
      ),
      new k8s.networking.v1.NetworkPolicy(called, networkPolicy, inside),
    ];
  }
}
