import * as assert from "node:assert/strict";
import * as path from "node:path";

import * as pulumi from "@pulumi/pulumi";

import { NETWORK_POLICIES, nodePool } from "../../components/fleet/eks/gpuNodes";
import { engineJob, type EngineModel, enginesManifests } from "../../components/fleet/engines";
import { type FleetManifests, fleetManifests } from "../../components/fleet/manifests";
import { isForImage, modelFiles } from "../../components/fleet/modelFiles";
import {
  ComponentInputs,
  eksGpuNodesInputs,
  EnginePrecision,
  fleetInputs,
  type FleetSettings,
} from "../../components/settings";
import { benchPod, type FleetDeployment } from "../../scripts/bench/fleetPod";
import { ControlPlane } from "./controlPlane";
import { FLEET, image } from "./fleetOnCluster";
import { skipWithout } from "./needs";

/** Namespace of what is never made. */
const NAMESPACE = "dry-run";

describe("the manifests of a fleet, on a real API server", () => {
  let plane: ControlPlane | undefined;

  const cluster = (): ControlPlane => plane ?? assert.fail("no control plane");

  before(async function () {
    skipWithout(this, ControlPlane.missing);
    plane = await ControlPlane.start();
  });

  after(async () => {
    await plane?.stop();
  });

  it("are accepted as they are, and refused with a typo, by its field", async () => {
    await cluster().call("POST", "/api/v1/namespaces", { metadata: { name: NAMESPACE } });
    // Of a pod, which nobody has before its own is made.
    const accounts = `/api/v1/namespaces/${NAMESPACE}/serviceaccounts`;
    await cluster().call("POST", accounts, { metadata: { name: NAMESPACE } });
    for (const [name, { place, manifest, typo }] of Object.entries(await dryRuns())) {
      const dryRun = (body: unknown): ReturnType<ControlPlane["ask"]> =>
        cluster().ask("POST", `${place}?dryRun=All&fieldValidation=Strict`, body);
      const accepted = await dryRun(manifest);
      assert.ok(accepted.status < 300, `${name}: ${JSON.stringify(accepted.body)}`);
      const refused = await dryRun(misspelt(manifest, typo));
      assert.equal(refused.status, 400, name);
      const { message } = refused.body as { message: string };
      const field = typo.join(".").replaceAll(/\.(\d+)\b/g, "[$1]");
      assert.ok(message.includes(`unknown field "${field}s"`), `${name}: ${message}`);
    }
  });
});

interface DryRun {
  readonly place: string;
  readonly manifest: object;
  /** A field that is there. */
  readonly typo: readonly string[];
}

/** All objects of a fleet, in a namespace that is there, each with a field to misspell. */
async function dryRuns(): Promise<Readonly<Record<string, DryRun>>> {
  const models = path.resolve(__dirname, "../../examples/models");
  const { known: settled } = new ComponentInputs("TritonFleet", FLEET, fleetInputs, {
    image: image(1),
    namespace: NAMESPACE,
    scaling: { prometheus: "http://prometheus.monitoring.svc:9090", maxReplicas: 3 },
    nodeSelector: { "nvidia.com/gpu.product": "NVIDIA-A10G" },
    pullSecrets: ["registry"],
    clientNamespaces: ["apps"],
    metricsNamespaces: ["monitoring"],
    monitoring: { kind: "operator" },
    route: {
      gateway: "public",
      gatewayNamespace: "gateways",
      httpHostname: "t.example.com",
      grpcHostname: "grpc.t.example.com",
    },
    modelImageRepository: "registry.example.com/models",
    models: [{ name: "realtime", source: path.join(models, "realtime"), priority: "max" }],
  });
  const settings = settled as unknown as FleetSettings;
  const files = settings.models.map(modelFiles).flatMap((read) => (isForImage(read) ? [] : [read]));
  const made: FleetManifests = fleetManifests(FLEET, settings, files);
  const { guard } = made;
  const engines = enginesManifests(FLEET, settings);
  const vision: EngineModel = {
    source: { model: "vision", digest: "0", config: "", image: image(2) },
    engine: {
      precision: EnginePrecision.Fp16,
      shapes: [],
      workspaceMiB: 4096,
      builder: image(3),
      shared: undefined,
    },
  };
  const { networkPolicy, disruptionBudget, deployment, service, serviceAccount, priorityClass } = made;
  const inside = (group: string, kind: string): string => `${group}/namespaces/${NAMESPACE}/${kind}`;
  const route = (kind: string): object => made.routes.find((each) => each.kind === kind) ?? {};
  const monitored = (kind: string): object =>
    made.monitoring.objects.find((each) => each.kind === kind) ?? {};
  const operator = "/apis/monitoring.coreos.com/v1";
  const gateway = "/apis/gateway.networking.k8s.io/v1";
  const all: Record<string, [string, object, ...string[]]> = {
    // One of that name is there.
    Namespace: [
      "/api/v1/namespaces",
      { ...made.namespace, metadata: { ...(made.namespace.metadata as object), name: "other" } },
      "metadata",
      "labels",
    ],
    ServiceAccount: [inside("/api/v1", "serviceaccounts"), serviceAccount, "automountServiceAccountToken"],
    PriorityClass: ["/apis/scheduling.k8s.io/v1/priorityclasses", priorityClass, "description"],
    ConfigMap: [inside("/api/v1", "configmaps"), Object.values(made.configMaps)[0] ?? {}, "immutable"],
    NetworkPolicy: [
      inside("/apis/networking.k8s.io/v1", "networkpolicies"),
      networkPolicy,
      "spec",
      "policyTypes",
    ],
    PodDisruptionBudget: [
      inside("/apis/policy/v1", "poddisruptionbudgets"),
      disruptionBudget,
      "spec",
      "maxUnavailable",
    ],
    Deployment: [
      inside("/apis/apps/v1", "deployments"),
      deployment,
      ...["spec", "template", "spec", "terminationGracePeriodSeconds"],
    ],
    Service: [inside("/api/v1", "services"), service, "spec", "selector"],
    HTTPRoute: [inside(gateway, "httproutes"), route("HTTPRoute"), "spec", "hostnames"],
    GRPCRoute: [inside(gateway, "grpcroutes"), route("GRPCRoute"), "spec", "hostnames"],
    ScaledObject: [
      inside("/apis/keda.sh/v1alpha1", "scaledobjects"),
      made.scaledObjects[0] ?? {},
      ...["spec", "advanced", "horizontalPodAutoscalerConfig", "behavior", "scaleDown", "selectPolicy"],
    ],
    NodePool: [
      "/apis/karpenter.sh/v1/nodepools",
      nodePool("gpus", new ComponentInputs("EksGpuNodes", "gpus", eksGpuNodesInputs, { maxGpus: 4 }).known),
      ...["spec", "template", "spec", "taints", "0", "effect"],
    ],
    "ConfigMap that turns NetworkPolicies on": [
      "/api/v1/namespaces/kube-system/configmaps",
      NETWORK_POLICIES,
      "data",
    ],
    "Deployment of the guard": [
      inside("/apis/apps/v1", "deployments"),
      guard.deployment,
      ...["spec", "template", "spec", "affinity", "podAffinity"],
    ],
    Role: [inside("/apis/rbac.authorization.k8s.io/v1", "roles"), guard.role, "rules", "0", "resourceNames"],
    RoleBinding: [
      inside("/apis/rbac.authorization.k8s.io/v1", "rolebindings"),
      guard.roleBinding,
      ...["subjects", "0", "namespace"],
    ],
    "Job that builds an engine": [
      inside("/apis/batch/v1", "jobs"),
      await known(engineJob(FLEET, settings, vision, "0").job),
      ...["spec", "podFailurePolicy", "rules", "0", "onPodConditions"],
    ],
    "Secret of the registry's login": [inside("/api/v1", "secrets"), engines.login, "type"],
    "ConfigMap of what builds engines": [
      inside("/api/v1", "configmaps"),
      { ...engines.program, data: engines.content },
      "data",
    ],
    "Pod of a benchmark": [
      inside("/api/v1", "pods"),
      withAccount(benchPod({ name: FLEET, namespace: NAMESPACE }, deployment as FleetDeployment, 3600)),
      ...["spec", "activeDeadlineSeconds"],
    ],
    PodMonitor: [
      inside(operator, "podmonitors"),
      monitored("PodMonitor"),
      ...["spec", "podMetricsEndpoints", "1", "metricRelabelings", "0", "targetLabel"],
    ],
    PrometheusRule: [
      inside(operator, "prometheusrules"),
      monitored("PrometheusRule"),
      ...["spec", "groups", "0", "rules", "0", "annotations"],
    ],
    "ConfigMap of the dashboard": [
      inside("/api/v1", "configmaps"),
      { ...made.monitoring.dashboard?.configMap, ...made.monitoring.dashboard?.content },
      "data",
    ],
  };
  return Object.fromEntries(
    Object.entries(all).map(([kind, [place, manifest, ...typo]]) => [kind, { place, manifest, typo }]),
  );
}

/** What a manifest with outputs becomes. */
function known(manifest: object): Promise<object> {
  return new Promise((resolve) => {
    pulumi.output(manifest).apply(resolve);
  });
}

/** A pod with a service account that is there. */
function withAccount(pod: object): object {
  const { spec } = pod as { spec: object };
  return { ...pod, spec: { ...spec, serviceAccountName: NAMESPACE } };
}

/** A copy with an `s` behind the name of a field. */
function misspelt(manifest: object, [step = "", ...others]: readonly string[]): object {
  if (Array.isArray(manifest)) {
    return manifest.map((item: object, index) => (String(index) === step ? misspelt(item, others) : item));
  }
  const { [step]: value, ...rest } = manifest as Record<string, unknown>;
  return {
    ...rest,
    ...(others.length > 0 ? { [step]: misspelt(value as object, others) } : { [`${step}s`]: value }),
  };
}
