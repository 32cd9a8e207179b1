import * as k8s from "@pulumi/kubernetes";
import * as pulumi from "@pulumi/pulumi";

import type { Endpoints } from "../server";
import {
  ArgumentsError,
  ComponentInputs,
  type Fault,
  fleetInputs,
  fleetNameFault,
  registryLogin,
  type TritonFleetArgs,
} from "../settings";
import { MOST_BYTES } from "./configMapFiles";
import { failureOf, guarded, type GuardManifests } from "./guard";
import { EngineBuilders, type FleetBase } from "./engineBuilders";
import { bytesOf, live } from "./live";
import { fleetManifests, type FleetManifests, foundation } from "./manifests";
import { type InConfigMap, isForImage, modelFiles, type ForImage } from "./modelFiles";
import { modelImage } from "./modelImage";
import { type PodSettings, progressSeconds } from "./pod";
import { mostReplicas } from "./scaling";

/** A model that a fleet serves. */
export interface FleetServing {
  /** Name in requests. */
  readonly name: string;
  /** How urgent its requests are: −255 to 255, larger first. */
  readonly priority: number;
}

/**
 * The models of a `TritonStack` on Kubernetes: each pod serves all of them, by their priorities, on a whole GPU. The
 * cluster is the one of the provider `kubernetes` that the component is given; without one, that of the machine's
 * kubeconfig.
 *
 * @example
 * ```ts
 * const cluster = new k8s.Provider("cluster", { kubeconfig: config.requireSecret("kubeconfig") });
 * new TritonFleet(
 *   "inference",
 *   {
 *     image: "registry.example.com/triton@sha256:…",
 *     replicas: 3,
 *     models: [
 *       { name: "chat", source: "models/chat", priority: 200 },
 *       { name: "nightly", source: "models/nightly", priority: "min" },
 *     ],
 *   },
 *   { provider: cluster },
 * );
 * ```
 */
export class TritonFleet extends pulumi.ComponentResource {
  /** Where pods of the cluster reach the fleet; known when its pods serve. */
  public readonly endpoints: pulumi.Output<Endpoints>;
  /** The models that are served, with their priorities. */
  public readonly models: pulumi.Output<FleetServing[]>;
  /** The namespace of everything that the fleet consists of. */
  public readonly namespace: pulumi.Output<string>;

  /** @param name of the component and of its parts on Kubernetes */
  public constructor(name: string, args: TritonFleetArgs, opts?: pulumi.ComponentResourceOptions) {
    const inputs = new ComponentInputs("TritonFleet", name, fleetInputs, args);
    // Everything but the image and the login is known, or the check would have refused it.
    const settings = inputs.known as unknown as PodSettings;
    const read = filesOf(name, settings);
    super("xsched-triton:index:TritonFleet", name, {}, opts);
    const { modelImageRepository: repository = "" } = settings;
    const login = inputs.resolveOptional(registryLogin, "registry");
    const base = this.base(name, settings);
    const builders = new EngineBuilders(name, settings, login, base, this);
    const files = read.map((each) => {
      if (!isForImage(each)) return each;
      const source = modelImage(name, each, { repository, login }, { parent: this });
      return each.engine === undefined ? source : builders.build({ source, engine: each.engine });
    });
    const manifests = fleetManifests(name, settings, files);
    const { namespace } = base;
    const { deployment, service } = this.make(name, settings, manifests, base, builders.jobs);

    const { httpPort, grpcPort } = settings.server;
    this.namespace = namespace.metadata.name;
    this.endpoints = pulumi
      .all([deployment.id, service.metadata.name, this.namespace])
      .apply(([, called, inside]) => ({
        http: `http://${called}.${inside}.svc:${httpPort}`,
        grpc: `${called}.${inside}.svc:${grpcPort}`,
        // Each pod has its own.
        metrics: "",
      }));
    this.models = pulumi.output(
      settings.models.map(({ name: called, priority }) => ({ name: called, priority })),
    );
    this.registerOutputs({ endpoints: this.endpoints, models: this.models, namespace: this.namespace });
  }

  /** Everything but the namespace is in the namespace, so that it is deleted first. */
  private base(name: string, settings: PodSettings): FleetBase {
    const manifests = foundation(name, settings);
    const ofFleet = { parent: this };
    const namespace = new k8s.core.v1.Namespace(`${name}-namespace`, manifests.namespace, ofFleet);
    const inside = { parent: this, dependsOn: namespace };
    return {
      namespace,
      account: new k8s.core.v1.ServiceAccount(`${name}-account`, manifests.serviceAccount, inside),
      priority: new k8s.scheduling.v1.PriorityClass(`${name}-priority`, manifests.priorityClass, ofFleet),
    };
  }

  private make(
    name: string,
    settings: PodSettings,
    manifests: FleetManifests,
    { namespace, account, priority }: FleetBase,
    engines: readonly pulumi.Resource[],
  ): { deployment: k8s.apps.v1.Deployment; service: k8s.core.v1.Service } {
    const inside = { parent: this, dependsOn: namespace };
    const models = Object.entries(manifests.configMaps).map(
      ([called, configMap]) => new k8s.core.v1.ConfigMap(called, configMap, inside),
    );
    const { live, liveData, liveName } = manifests;
    const values = new k8s.core.v1.ConfigMapPatch(`${liveName}-values`, liveData, {
      parent: this,
      dependsOn: new k8s.core.v1.ConfigMap(liveName, live, inside),
    });
    const policy = new k8s.networking.v1.NetworkPolicy(`${name}-network`, manifests.networkPolicy, inside);
    new k8s.policy.v1.PodDisruptionBudget(`${name}-disruption`, manifests.disruptionBudget, inside);
    const guard = this.guard(name, settings, manifests.guard, { namespace, priority });
    // As long as all pods may take, one after the other. The guard ends it as soon as one fails.
    const patience = `${(progressSeconds(settings) + 60) * Math.max(1, mostReplicas(settings))}s`;
    const { deployment: manifest, wanted } = guarded(manifests.deployment, settings.scaling !== undefined);
    const deployment = new k8s.apps.v1.Deployment(name, manifest, {
      parent: this,
      dependsOn: [account, priority, policy, guard, ...models, values, ...engines],
      customTimeouts: { create: patience, update: patience },
      // Whoever scales it has another number by now.
      ...(settings.scaling && { ignoreChanges: ["spec.replicas"] }),
    });
    const watched = { parent: this, dependsOn: deployment };
    // The provider waits for its pods.
    const service = new k8s.core.v1.Service(`${name}-service`, manifests.service, watched);
    this.onceServing(name, deployment, wanted, () => {
      for (const scaled of manifests.scaledObjects) {
        new k8s.apiextensions.CustomResource(`${name}-scaling`, scaled, watched);
      }
      // Alarms look at pods that serve, or once served.
      const { objects, dashboard } = manifests.monitoring;
      for (const object of objects) {
        const what = object.kind === "PodMonitor" ? "metrics" : "alarms";
        new k8s.apiextensions.CustomResource(`${name}-${what}`, object, watched);
      }
      if (dashboard !== undefined) {
        new k8s.core.v1.ConfigMapPatch(`${name}-dashboard-content`, dashboard.content, {
          parent: this,
          dependsOn: new k8s.core.v1.ConfigMap(`${name}-dashboard`, dashboard.configMap, watched),
        });
      }
      for (const route of manifests.routes) {
        const called = `${route.metadata.name}-${route.kind.toLowerCase()}`;
        new k8s.apiextensions.CustomResource(called, route, { parent: this, dependsOn: service });
      }
    });
    return { deployment, service };
  }

  private guard(
    name: string,
    { placementSeconds }: PodSettings,
    manifests: GuardManifests,
    { namespace, priority }: Pick<FleetBase, "namespace" | "priority">,
  ): k8s.apps.v1.Deployment {
    const inside = { parent: this, dependsOn: namespace };
    const called = `${name}-guard`;
    const configMap = new k8s.core.v1.ConfigMap(
      (manifests.configMap.metadata as { readonly name: string }).name,
      manifests.configMap,
      inside,
    );
    const account = new k8s.core.v1.ServiceAccount(called, manifests.serviceAccount, inside);
    const role = new k8s.rbac.v1.Role(called, manifests.role, inside);
    const binding = new k8s.rbac.v1.RoleBinding(called, manifests.roleBinding, {
      parent: this,
      dependsOn: [account, role],
    });
    const policy = new k8s.networking.v1.NetworkPolicy(called, manifests.networkPolicy, inside);
    const patience = `${placementSeconds}s`;
    return new k8s.apps.v1.Deployment(called, manifests.deployment, {
      parent: this,
      dependsOn: [configMap, binding, policy, priority],
      customTimeouts: { create: patience, update: patience },
    });
  }

  /**
   * Makes what is made for the models of the version that is wanted, such as routes, if it serves. Looks at the Deployment as it is in the
   * cluster, also where nothing has changed in the program. If the guard has undone what is wanted, the program fails, so
   * nothing is deleted that the former version needs.
   */
  private onceServing(
    name: string,
    deployment: k8s.apps.v1.Deployment,
    wanted: pulumi.Output<string>,
    make: () => void,
  ): void {
    const seen = k8s.apps.v1.Deployment.get(`${name}-rollout`, deployment.id, {
      parent: this,
      dependsOn: deployment,
    });
    const failure = pulumi
      .all([seen.metadata.annotations, wanted])
      .apply(([annotations, what]) => failureOf(name, what, annotations));
    if (pulumi.runtime.isDryRun()) {
      failure.apply((text) => text !== undefined && pulumi.log.warn(text, this));
      make();
      return;
    }
    failure.apply((text) => {
      // Resources that depend on an output that fails would wait for ever, and so would `up`.
      if (text !== undefined) throw new pulumi.RunError(text);
      make();
    });
  }
}

/**
 * The files of all models.
 *
 * @throws ArgumentsError with every fault of the name, and every model that has no place on the cluster
 */
function filesOf(name: string, settings: PodSettings): (InConfigMap | ForImage)[] {
  const { models } = settings;
  const wrongName = fleetNameFault(name);
  const faults: Fault[] = wrongName === undefined ? [] : [wrongName];
  const files = models.map((model, index) => {
    const read = modelFiles(model);
    if (isForImage(read) && settings.modelImageRepository === undefined) {
      faults.push({
        path: `models[${index}].source`,
        value: `${JSON.stringify(model.source)}, of ${megabytes(read.bytes)}`,
        allowed:
          "at most 1 MiB for the files of a model, which is what a ConfigMap holds, or a repository for images",
        fix: "set modelImageRepository to a repository that this machine can push to and the nodes can pull from",
      });
    }
    return read;
  });
  const bytes = bytesOf(live(settings, files));
  if (bytes > MOST_BYTES) {
    faults.push({
      path: "models",
      value: `${models.length} models whose configurations have ${megabytes(bytes)}`,
      allowed: "at most 1 MiB for the configurations of all models: one ConfigMap holds them",
      fix: "serve some of the models from another fleet",
    });
  }
  if (faults.length > 0) throw new ArgumentsError(`TritonFleet ${name}`, faults);
  return files;
}

const megabytes = (bytes: number): string => `${(bytes / 2 ** 20).toFixed(1)} MiB`;
