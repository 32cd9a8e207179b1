import type { core, types } from "@pulumi/kubernetes";

import { SCHEDULER_METRICS_PORT } from "../settings";
import { type ConfigMapFiles, patch } from "./configMapFiles";
import { type GuardManifests, guardManifests } from "./guard";
import { isLive, live } from "./live";
import { isInImage, type ModelFiles } from "./modelFiles";
import { monitoring, type MonitoringManifests } from "./monitoring";
import { configMapName, labelsOf, liveName, priorityClassName, selectorOf } from "./names";
import { type PodSettings, podTemplate, progressSeconds } from "./pod";
import { type RouteManifest, routes } from "./routes";
import { firstReplicas, type ScaledObject, scaledMark, scaledObjects } from "./scaling";
import { agentFiles } from "./sidecar";

/** What all pods of a fleet need. */
export interface Foundation {
  readonly namespace: types.input.core.v1.Namespace;
  readonly serviceAccount: types.input.core.v1.ServiceAccount;
  readonly priorityClass: types.input.scheduling.v1.PriorityClass;
}

/** The objects of a fleet, in the order in which they are needed. */
export interface FleetManifests extends Foundation {
  /** By their names, which change with their contents. */
  readonly configMaps: Readonly<Record<string, types.input.core.v1.ConfigMap>>;
  /** What changes while pods serve: a ConfigMap, and its content. */
  readonly liveName: string;
  readonly live: types.input.core.v1.ConfigMap;
  readonly liveData: core.v1.ConfigMapPatchArgs;
  readonly networkPolicy: types.input.networking.v1.NetworkPolicy;
  readonly disruptionBudget: types.input.policy.v1.PodDisruptionBudget;
  readonly guard: GuardManifests;
  readonly deployment: types.input.apps.v1.Deployment;
  readonly service: types.input.core.v1.Service;
  readonly routes: readonly RouteManifest[];
  readonly scaledObjects: readonly ScaledObject[];
  readonly monitoring: MonitoringManifests;
}

export function foundation(
  fleet: string,
  { namespace, podPriority }: Pick<PodSettings, "namespace" | "podPriority">,
): Foundation {
  const labels = labelsOf(fleet);
  return {
    namespace: { apiVersion: "v1", kind: "Namespace", metadata: namespaceMetadata(fleet, namespace) },
    serviceAccount: {
      apiVersion: "v1",
      kind: "ServiceAccount",
      metadata: { name: fleet, namespace, labels },
      automountServiceAccountToken: false,
    },
    priorityClass: {
      apiVersion: "scheduling.k8s.io/v1",
      kind: "PriorityClass",
      metadata: { name: priorityClassName(fleet, namespace), labels },
      value: podPriority,
      description: `Pods of the fleet ${fleet} in ${namespace}`,
    },
  };
}

/** Everything that a fleet consists of on Kubernetes, but what builds its engines. */
export function fleetManifests(
  fleet: string,
  settings: PodSettings,
  models: readonly ModelFiles[],
): FleetManifests {
  const { namespace } = settings;
  const metadata = { name: fleet, namespace, labels: labelsOf(fleet) };
  const configMap = (name: string, { data, binaryData }: ConfigMapFiles): types.input.core.v1.ConfigMap => ({
    apiVersion: "v1",
    kind: "ConfigMap",
    metadata: { ...metadata, name },
    immutable: true,
    data,
    ...(Object.keys(binaryData).length > 0 && { binaryData }),
  });
  const values = live(settings, models);
  const called = liveName(fleet, values);
  const agent = isLive(settings) ? agentFiles(fleet) : undefined;
  return {
    ...foundation(fleet, settings),
    configMaps: Object.fromEntries([
      ...models.flatMap((files) => {
        if (isInImage(files)) return [];
        const name = configMapName(fleet, files);
        return [[name, configMap(name, files)] as const];
      }),
      ...(agent === undefined ? [] : [[agent.name, configMap(agent.name, agent)] as const]),
    ]),
    liveName: called,
    live: { apiVersion: "v1", kind: "ConfigMap", metadata: { ...metadata, name: called } },
    liveData: patch(called, namespace, values.data),
    networkPolicy: {
      apiVersion: "networking.k8s.io/v1",
      kind: "NetworkPolicy",
      metadata,
      spec: {
        podSelector: { matchLabels: selectorOf(fleet) },
        policyTypes: ["Ingress", "Egress"],
        ingress: ingress(settings),
        // A pod has all it needs.
        egress: [],
      },
    },
    disruptionBudget: {
      apiVersion: "policy/v1",
      kind: "PodDisruptionBudget",
      metadata,
      spec: {
        maxUnavailable: 1,
        selector: { matchLabels: selectorOf(fleet) },
        // One that never became ready serves nobody, and must not keep its node from being drained.
        unhealthyPodEvictionPolicy: "AlwaysAllow",
      },
    },
    guard: guardManifests(fleet, settings),
    deployment: {
      apiVersion: "apps/v1",
      kind: "Deployment",
      metadata: { ...metadata, ...scaledMark(settings) },
      spec: {
        replicas: firstReplicas(settings),
        // The former pods serve until the new ones do.
        strategy: { type: "RollingUpdate", rollingUpdate: { maxSurge: 1, maxUnavailable: 0 } },
        progressDeadlineSeconds: progressSeconds(settings),
        revisionHistoryLimit: 2,
        selector: { matchLabels: selectorOf(fleet) },
        template: podTemplate(fleet, settings, { models, live: values, agent }),
      },
    },
    service: {
      apiVersion: "v1",
      kind: "Service",
      metadata: { ...metadata, ...emptyMark(settings) },
      spec: {
        type: "ClusterIP",
        selector: selectorOf(fleet),
        ports: [
          { name: "http", port: settings.server.httpPort, targetPort: "http", appProtocol: "http" },
          // gRPC without TLS, so that a Gateway does not take it for HTTP/1.
          {
            name: "grpc",
            port: settings.server.grpcPort,
            targetPort: "grpc",
            appProtocol: "kubernetes.io/h2c",
          },
        ],
      },
    },
    routes: routes(fleet, settings),
    scaledObjects: scaledObjects(fleet, settings, models),
    monitoring: monitoring(fleet, settings, models),
  };
}

/** The provider waits until a Service has pods, which one that is scaled to none need not have. */
function emptyMark({ scaling }: PodSettings): { annotations?: Record<string, string> } {
  return scaling?.minReplicas === 0 ? { annotations: { "pulumi.com/skipAwait": "true" } } : {};
}

/** Pods that need more than the profile `restricted` are refused in the namespace. */
function namespaceMetadata(
  fleet: string,
  namespace: string,
): { name: string; labels: Record<string, string> } {
  const level = (what: string): [string, string] => [`pod-security.kubernetes.io/${what}`, "restricted"];
  return {
    name: namespace,
    labels: { ...labelsOf(fleet), ...Object.fromEntries(["enforce", "audit", "warn"].map(level)) },
  };
}

/** Who may reach a pod, and at which ports. With nobody, only the node does, which asks whether it is well. */
function ingress({
  server,
  clientNamespaces,
  metricsNamespaces,
  monitoring: { kind },
  route,
}: PodSettings): types.input.networking.v1.NetworkPolicyIngressRule[] {
  const clients = [...clientNamespaces, ...(route === undefined ? [] : [route.gatewayNamespace])];
  const rule = (
    namespaces: readonly string[],
    ports: readonly number[],
  ): types.input.networking.v1.NetworkPolicyIngressRule[] =>
    namespaces.length === 0
      ? []
      : [
          {
            from: [...new Set(namespaces)].map((name) => ({
              namespaceSelector: { matchLabels: { "kubernetes.io/metadata.name": name } },
            })),
            ports: ports.map((port) => ({ protocol: "TCP", port })),
          },
        ];
  return [
    ...rule(clients, [server.httpPort, server.grpcPort]),
    ...rule(metricsNamespaces, [
      server.metricsPort,
      ...(kind === "operator" ? [SCHEDULER_METRICS_PORT] : []),
    ]),
  ];
}
