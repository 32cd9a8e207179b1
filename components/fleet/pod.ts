import type { types } from "@pulumi/kubernetes";
import type * as pulumi from "@pulumi/pulumi";

import { ownFlags } from "../server";
import type { FleetSettings } from "../settings";
import type { Live } from "./live";
import { isInImage, type ModelFiles } from "./modelFiles";
import { configMapName, labelsOf, liveName, priorityClassName, selectorOf } from "./names";
import { agentContainer, type AgentFiles, agentVolumes, sharedEnvironment, sharedMount } from "./sidecar";

type PodTemplate = types.input.core.v1.PodTemplateSpec;
type Container = types.input.core.v1.Container;
type Probe = types.input.core.v1.Probe;
type Volume = types.input.core.v1.Volume;
type VolumeMount = types.input.core.v1.VolumeMount;

/** Settings, with an image that may be known only later. */
export type PodSettings = Omit<FleetSettings, "image"> & { readonly image: pulumi.Input<string> };

const MODELS = "/models";

/** The user of the image (images/triton/Dockerfile). */
const USER = 1000;

/** How often a pod is asked, in seconds. */
const PERIOD = 5;

/** How long a pod may take to end after Triton should have, in seconds. */
const SPARE_SECONDS = 10;

/** Of a pod that is nobody on its node. */
export const POD_SECURITY = {
  runAsNonRoot: true,
  runAsUser: USER,
  runAsGroup: USER,
  seccompProfile: { type: "RuntimeDefault" },
};

export const UNPRIVILEGED: Container["securityContext"] = {
  allowPrivilegeEscalation: false,
  readOnlyRootFilesystem: true,
  capabilities: { drop: ["ALL"] },
};

/** Of what keeps other pods off the nodes that have GPUs. */
export const GPU_TOLERATION = { key: "nvidia.com/gpu", operator: "Exists", effect: "NoSchedule" } as const;

/** Of the nodes that this project's images are for. */
const ARCHITECTURE = { "kubernetes.io/arch": "amd64" } as const;

/** What gives a pod its images, and a node that can run them. */
export function onNodes({ pullSecrets }: PodSettings): Partial<types.input.core.v1.PodSpec> {
  return {
    ...(pullSecrets.length > 0 && { imagePullSecrets: pullSecrets.map((name) => ({ name })) }),
    nodeSelector: ARCHITECTURE,
  };
}

/** What gives a pod its images, and a node with a GPU that the fleet may use. */
export function onGpuNodes(settings: PodSettings): Partial<types.input.core.v1.PodSpec> {
  return {
    ...onNodes(settings),
    nodeSelector: { ...ARCHITECTURE, ...settings.nodeSelector },
    tolerations: [GPU_TOLERATION],
  };
}

/** Folders that models write to, as on a host. */
const WRITABLE = { tmp: "/tmp", "var-tmp": "/var/tmp", run: "/run", home: "/home" };

/** How long the models of a pod may take to load, in seconds: one after the other, in the worst case. */
export function loadSeconds({ server, models }: PodSettings): number {
  return server.loadTimeoutSeconds * models.length;
}

/** How long a rollout may get no further before it has failed, in seconds. */
export function progressSeconds(settings: PodSettings): number {
  return loadSeconds(settings) + settings.placementSeconds;
}

/** What the pods of a fleet are made of. */
export interface PodParts {
  readonly models: readonly ModelFiles[];
  readonly live: Live;
  /** Where changes are made in pods that serve. */
  readonly agent: AgentFiles | undefined;
}

/** A pod of a fleet: Triton with all models and a GPU of its own, and the agent beside it. */
export function podTemplate(fleet: string, settings: PodSettings, parts: PodParts): PodTemplate {
  const { models, live, agent } = parts;
  const { server, namespace, drainSeconds, monitoring } = settings;
  return {
    metadata: {
      labels: labelsOf(fleet),
      // Not both: a Prometheus that looks at both would count everything twice.
      ...(monitoring.kind === "annotations" && {
        annotations: {
          "prometheus.io/scrape": "true",
          "prometheus.io/port": String(server.metricsPort),
          "prometheus.io/path": "/metrics",
        },
      }),
    },
    spec: {
      serviceAccountName: fleet,
      automountServiceAccountToken: false,
      enableServiceLinks: false,
      priorityClassName: priorityClassName(fleet, namespace),
      terminationGracePeriodSeconds: drainSeconds + server.exitTimeoutSeconds + SPARE_SECONDS,
      securityContext: POD_SECURITY,
      ...onGpuNodes(settings),
      topologySpreadConstraints: ["topology.kubernetes.io/zone", "kubernetes.io/hostname"].map(
        (topologyKey) => ({
          topologyKey,
          maxSkew: 1,
          // Rather two pods on a node than one pod less.
          whenUnsatisfiable: "ScheduleAnyway",
          labelSelector: { matchLabels: selectorOf(fleet) },
          // Of each rollout by itself.
          matchLabelKeys: ["pod-template-hash"],
        }),
      ),
      // Triton is the first: kubectl shows its log.
      containers: [
        triton(settings, parts),
        ...(agent === undefined ? [] : [agentContainer(settings.image, monitoring, UNPRIVILEGED)]),
      ],
      volumes: [
        ...models.flatMap((files) => modelVolumes(fleet, files, live)),
        ...scratchVolumes(settings.memoryGiB),
        ...(agent === undefined ? [] : agentVolumes(fleet, live, agent)),
      ],
    },
  };
}

function triton(settings: PodSettings, { models, agent }: PodParts): Container {
  const { image, server, cpus, memoryGiB, drainSeconds } = settings;
  return {
    name: "triton",
    image,
    // For the image's entrypoint.
    args: ["tritonserver", ...flags(server)],
    env: [...environment(settings), ...(agent === undefined ? [] : sharedEnvironment(settings.monitoring))],
    ports: [
      { name: "http", containerPort: server.httpPort },
      { name: "grpc", containerPort: server.grpcPort },
      { name: "metrics", containerPort: server.metricsPort },
    ],
    resources: {
      requests: { cpu: String(cpus), memory: `${memoryGiB}Gi`, "nvidia.com/gpu": "1" },
      limits: { memory: `${memoryGiB}Gi`, "nvidia.com/gpu": "1" },
    },
    startupProbe: {
      ...readiness(settings),
      failureThreshold: Math.max(1, Math.ceil(loadSeconds(settings) / PERIOD)),
    },
    readinessProbe: { ...readiness(settings), failureThreshold: 2 },
    livenessProbe: {
      httpGet: { path: "/v2/health/live", port: "http" },
      ...{ periodSeconds: 10, timeoutSeconds: 10, failureThreshold: 6 },
    },
    // From when the pod is told to go, nobody is sent to it any more, but not everyone knows yet.
    ...(drainSeconds > 0 && { lifecycle: { preStop: { sleep: { seconds: drainSeconds } } } }),
    securityContext: UNPRIVILEGED,
    volumeMounts: [
      ...models.flatMap(modelMounts),
      ...scratchMounts(),
      ...(agent === undefined ? [] : [sharedMount]),
    ],
  };
}

/** All models are loaded at the start, and nobody can ask for others. A model that fails ends Triton. */
function flags(server: PodSettings["server"]): string[] {
  return [
    `--model-repository=${MODELS}`,
    "--model-control-mode=none",
    "--http-address=0.0.0.0",
    "--grpc-address=0.0.0.0",
    `--http-port=${server.httpPort}`,
    `--grpc-port=${server.grpcPort}`,
    `--metrics-port=${server.metricsPort}`,
    `--exit-timeout-secs=${server.exitTimeoutSeconds}`,
    ...ownFlags(server),
  ];
}

function environment({ scheduler }: PodSettings): { name: string; value: string }[] {
  return [
    { name: "XSCHED_REQUIRED", value: scheduler.required === false ? "OFF" : "ON" },
    { name: "XSCHED_POLICY", value: "HPF" },
    ...(scheduler.domain === "none" ? [{ name: "XSCHED_SCHEDULER", value: "LCL" }] : []),
  ];
}

/** Ready when all models are, and scheduled if they must be: the image's own check looks at both. */
function readiness({ scheduler }: PodSettings): Probe {
  return {
    ...(scheduler.required === false
      ? { httpGet: { path: "/v2/health/ready", port: "http" } }
      : { exec: { command: ["/opt/xsched/bin/healthcheck.sh"] } }),
    periodSeconds: PERIOD,
    timeoutSeconds: 10,
  };
}

const CONFIG = "config.pbtxt";

const volumeName = ({ digest }: ModelFiles): string => `model-${digest}`;
const configVolumeName = (files: ModelFiles): string => `${volumeName(files)}-config`;

/** A model's files and its configuration: in one folder, or the files in an image and the configuration by itself. */
function modelVolumes(fleet: string, files: ModelFiles, live: Live): Volume[] {
  const item = live.configs[files.model];
  const config = {
    configMap: { name: liveName(fleet, live), items: item === undefined ? [] : [{ ...item }] },
  };
  if (isInImage(files)) {
    return [
      // What a node has it need not ask for: the same reference is the same image.
      { name: volumeName(files), image: { reference: files.image, pullPolicy: "IfNotPresent" } },
      { name: configVolumeName(files), ...config },
    ];
  }
  const items = files.items.map((each) => ({ ...each }));
  const sources = [{ configMap: { name: configMapName(fleet, files), items } }, config];
  return [{ name: volumeName(files), projected: { sources } }];
}

function modelMounts(files: ModelFiles): VolumeMount[] {
  const mountPath = `${MODELS}/${files.model}`;
  return [
    { name: volumeName(files), mountPath, readOnly: true },
    ...(isInImage(files)
      ? [
          {
            ...{ name: configVolumeName(files), mountPath: `${mountPath}/${CONFIG}` },
            ...{ subPath: CONFIG, readOnly: true },
          },
        ]
      : []),
  ];
}

/** @param memoryGiB memory of the pod; half of it may be in /dev/shm, as of a container on a host */
function scratchVolumes(memoryGiB: number): Volume[] {
  return [
    { name: "shm", emptyDir: { medium: "Memory", sizeLimit: `${Math.max(1, Math.floor(memoryGiB / 2))}Gi` } },
    ...Object.keys(WRITABLE).map((name) => ({ name, emptyDir: {} })),
  ];
}

function scratchMounts(): VolumeMount[] {
  const others = Object.entries(WRITABLE).map(([name, mountPath]) => ({ name, mountPath }));
  return [{ name: "shm", mountPath: "/dev/shm" }, ...others];
}
