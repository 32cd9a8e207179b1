// Generated from the rules in components/settings by `npm run generate`; do not edit.
import type * as pulumi from "@pulumi/pulumi";

import type { ModelArgs } from "./modelArgs";
import type { SchedulerArgs, ServerArgs, StackGatewayArgs } from "./stackArgs";
import type { RegistryLoginArgs } from "./imageArgs";

/** How many pods a fleet has, by the queues of its urgent models. */
export interface FleetScalingArgs {
  /**
   * URL of the Prometheus that reads Triton's metrics. KEDA asks it.
   * @example "http://prometheus.monitoring.svc:9090"
   */
  prometheus: pulumi.Input<string>;
  /**
   * Most pods. An integer from 1 to 5000. Cost: a GPU each while urgent models have a queue.
   * @example 10
   */
  maxReplicas: pulumi.Input<number>;
  /**
   * Fewest pods, and how many a new fleet begins with. `0`, with `wakeQuery`: none while nobody asks
   * urgent models, and then batch work waits, too. An integer from 0 to 5000. Cost: a GPU each, day
   * and night.
   * @default 1
   */
  minReplicas?: pulumi.Input<number>;
  /**
   * How much of its time in Triton an urgent request may wait, on average, in percent: in its queue,
   * or for other urgent models. There are as many pods as that takes. At 50, it waits as long as it is
   * worked on. An integer from 1 to 90. Cost: a lower one takes more pods.
   * @default 50
   */
  waitPercent?: pulumi.Input<number>;
  /**
   * Over which time waits are looked at. At least twice the time between two reads of a pod's metrics,
   * better four times. An integer from 15 to 3600 (seconds).
   * @default 60
   */
  windowSeconds?: pulumi.Input<number>;
  /**
   * For how long fewer pods must have been enough before some go: then a tenth of them a minute, or
   * one. An integer from 0 to 3600 (seconds). Cost: the GPUs stay that long.
   * @default 300
   */
  scaleDownSeconds?: pulumi.Input<number>;
  /**
   * Labels that this fleet's metrics have in Prometheus, and no other's.
   * @default `namespace`, with the fleet's namespace
   * @example { namespace: xsched-triton }
   */
  labels?: pulumi.Input<Record<string, pulumi.Input<string>>>;
  /**
   * With no pods there are no metrics of Triton. This query is above 0 while anybody asks for an
   * urgent model, such as requests a second at the Gateway.
   * @default a fleet has one pod at least
   * @example "sum(rate(envoy_cluster_upstream_rq_total{cluster=\"triton\"}[1m]))"
   */
  wakeQuery?: pulumi.Input<string>;
}

/** Decides which other keys there are. */
export const FleetMonitoringKind = {
  /** Any Prometheus that follows the annotations `prometheus.io/scrape`, `port` and `path` of pods. */
  Annotations: "annotations",
  /**
   * The Prometheus operator, as kube-prometheus-stack sets it up: a PodMonitor, alarms as a
   * PrometheusRule, and a dashboard for Grafana.
   */
  Operator: "operator",
} as const;
export type FleetMonitoringKind = (typeof FleetMonitoringKind)[keyof typeof FleetMonitoringKind];

/** Who watches a fleet. */
export interface FleetMonitoringArgs {
  /**
   * Decides which other keys there are.
   * @default "annotations"
   */
  kind?: FleetMonitoringKind;
  /**
   * With kind operator: Labels by which the cluster's Prometheus chooses its PodMonitors and
   * PrometheusRules. kube-prometheus-stack chooses those with `release` and the name of its Helm
   * release.
   * @default {"release":"kube-prometheus-stack"}
   * @example { release: monitoring }
   */
  labels?: pulumi.Input<Record<string, pulumi.Input<string>>>;
  /**
   * With kind operator: Whether to create a dashboard: a ConfigMap with the label `grafana_dashboard`,
   * from which the Grafana of kube-prometheus-stack reads dashboards in any namespace.
   * @default true
   */
  dashboard?: pulumi.Input<boolean>;
  /**
   * With kind operator: Alarm when this much of a pod's GPU memory is in use. An integer from 1 to 100
   * (percent).
   * @default 95
   */
  gpuMemoryPercent?: pulumi.Input<number>;
  /**
   * With kind operator: Alarm when no pod has been ready, or nothing is known of the fleet, for this
   * long. An integer from 1 to 60 (minutes).
   * @default 3
   */
  notReadyMinutes?: pulumi.Input<number>;
}

/** How a Gateway of the cluster leads to a fleet, by the Gateway API. */
export interface FleetRouteArgs {
  /**
   * Name of the Gateway.
   * @example "public"
   */
  gateway: pulumi.Input<string>;
  /**
   * Namespace of the Gateway, whose pods may reach Triton.
   * @example "inference"
   */
  gatewayNamespace: pulumi.Input<string>;
  /**
   * Host name for HTTP: makes an HTTPRoute.
   * @default no HTTPRoute
   * @example "triton.example.com"
   */
  httpHostname?: pulumi.Input<string>;
  /**
   * Host name for gRPC: makes a GRPCRoute. Not that of HTTP, because a listener takes only one kind of
   * route for a name.
   * @default no GRPCRoute
   * @example "grpc.triton.example.com"
   */
  grpcHostname?: pulumi.Input<string>;
}

/** Models on Kubernetes, a whole GPU for each pod. */
export interface TritonFleetArgs {
  /** The models to serve, as of a `TritonStack`. */
  models: ModelArgs[];
  /**
   * Settings of tritonserver, as of a `TritonStack`. A change rolls. `address` and `logMegabytes` mean
   * nothing here: a pod has its own address, and the node keeps its log.
   * @default {}
   */
  server?: ServerArgs;
  /**
   * Settings of the GPU scheduler, as of a `TritonStack`. A change rolls. With `required: false`,
   * priorities, floors and weights roll as well, because there may be no scheduler to tell.
   * @default {}
   */
  scheduler?: SchedulerArgs;
  /**
   * Not on a fleet yet; `route` leads clients to it.
   * @default clients reach Triton itself
   */
  gateway?: StackGatewayArgs;
  /**
   * Image to run Triton from, as `repository@sha256:…`: `reference` of a `TritonImage`. It has this
   * project's entrypoint and health check. Can be an output.
   * @example "registry.example.com/triton@sha256:…"
   */
  image: pulumi.Input<string>;
  /**
   * Namespace that is made for the fleet, and is the fleet's alone: it is deleted with the fleet and
   * everything in it, even if it was there before.
   * @default "xsched-triton"
   * @example "inference"
   */
  namespace?: string;
  /**
   * How many pods serve, each with all models and a whole GPU. An integer from 1 to 5000. Cost: a GPU
   * each; a rollout needs one more meanwhile.
   * @default 2
   */
  replicas?: number;
  /**
   * As many pods as the queues of models with a priority above 0 need, in place of `replicas`. Batch
   * work never asks for one. Needs KEDA in the cluster.
   * @default `replicas` pods
   */
  scaling?: FleetScalingArgs;
  /**
   * Processors that a pod asks for. It may use more. An integer from 1 to 1024.
   * @default 2
   * @example 4
   */
  cpus?: number;
  /**
   * Memory of a pod, with what it writes to `/dev/shm`, which takes up to half of it. An integer from
   * 1 to 65536 (GiB).
   * @default 8
   * @example 16
   */
  memoryGiB?: number;
  /**
   * How long a pod keeps serving when it has to go, until everyone sends their requests elsewhere. An
   * integer from 0 to 3600 (seconds). Cost: adds to the time of a rollout, for each pod.
   * @default 10
   */
  drainSeconds?: number;
  /**
   * How long a new pod may take beyond loading its models: a node with a GPU has to be found or
   * started, and the image pulled, which is 14 GB with NVIDIA's base. What takes longer has failed. An
   * integer from 10 to 86400 (seconds).
   * @default 900
   * @example 1800
   */
  placementSeconds?: number;
  /**
   * How long building the engines of a model may take, beyond `placementSeconds` for a node and the
   * builder's image. What takes longer has failed. An integer from 10 to 86400 (seconds).
   * @default 3600
   * @example 7200
   */
  engineBuildSeconds?: number;
  /**
   * Priority of the pods against other pods of the cluster, in a PriorityClass. It has nothing to do
   * with the models' priorities. An integer from -1000000000 to 1000000000. Cost: where no GPU is
   * free, pods of a lower priority have to go.
   * @default 1000
   */
  podPriority?: number;
  /**
   * Labels of the nodes that the pods run on, such as the type of their GPU: `nvidia.com/gpu.product`,
   * where NVIDIA's GPU feature discovery runs, or `eks.amazonaws.com/instance-gpu-name` in EKS Auto
   * Mode, which starts no node for a label that it doesn't know.
   * @default {}
   * @example { "nvidia.com/gpu.product": "NVIDIA-A10G" }
   */
  nodeSelector?: Record<string, pulumi.Input<string>>;
  /**
   * Whether the fleet's guard may run on nodes with the taint `nvidia.com/gpu`, for a cluster that has
   * no others. Cost: EKS Auto Mode and Karpenter never end the node that the guard is on.
   * @default false
   */
  guardOnGpuNodes?: boolean;
  /**
   * Where models of more than 1 MiB and models with an `engine` go, each as an image with its files,
   * with the Docker of this machine, and the engines that are built of them. A node pulls an image
   * once and gives it to its pods as a volume, which takes Kubernetes 1.35. The images stay there when
   * the fleet is deleted. Whoever may push there decides what the pods run. Cost: a model's size in
   * the registry for each version, and on each node that serves it.
   * @default such models are refused
   * @example "registry.example.com/models"
   */
  modelImageRepository?: string;
  /**
   * How to log in to the registry of `modelImageRepository`, to push. Required for a model with an
   * `engine`, which a pod pushes. Nodes log in by `pullSecrets`, or by what they are. Can be an
   * output.
   * @default Docker's own log-in
   */
  registry?: pulumi.Input<RegistryLoginArgs>;
  /**
   * Secrets of the namespace with logins to the registries of the images.
   * @default []
   * @example ["public"]
   */
  pullSecrets?: string[];
  /**
   * Namespaces whose pods may send requests to Triton. It has no tokens and no TLS.
   * @default []
   * @example ["inference"]
   */
  clientNamespaces?: string[];
  /**
   * Namespaces whose pods may read Triton's metrics.
   * @default []
   * @example [monitoring]
   */
  metricsNamespaces?: string[];
  /**
   * Who watches the fleet. A change of `kind` rolls. Kind `operator` needs the Prometheus operator and
   * kube-state-metrics in the cluster, and `metricsNamespaces`.
   * @default {}
   */
  monitoring?: FleetMonitoringArgs;
  /**
   * A Gateway of the cluster that clients come through. Its routes let inference, health and metadata
   * through, and nothing that changes what Triton does.
   * @default clients are in the cluster
   */
  route?: FleetRouteArgs;
}
