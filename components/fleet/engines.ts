import * as fs from "node:fs";
import * as path from "node:path";

import type { types } from "@pulumi/kubernetes";
import * as pulumi from "@pulumi/pulumi";

import { BUILDING } from "../host";
import type { EngineSettings } from "../settings";
import type { InImage } from "./modelFiles";
import { digestOf, partOf, priorityClassName, readable } from "./names";
import { onGpuNodes, POD_SECURITY, type PodSettings, UNPRIVILEGED } from "./pod";

type Volume = types.input.core.v1.Volume;
type VolumeMount = types.input.core.v1.VolumeMount;

/** The container, as the pod's failures and its log name it. */
export const ENGINE = "engine";

const FOLDER = "/xsched-triton";
/** As on a host: the agent is `bin/agent` in a folder. */
const AGENT = `${FOLDER}/bin/agent`;
const START = "__main__.py";
const SOURCE = { name: "source", mountPath: `${FOLDER}/source`, readOnly: true };
const SCRATCH = { name: "scratch", mountPath: `${FOLDER}/scratch` };
const LOGIN = { name: "login", mountPath: `${FOLDER}/login`, readOnly: true };
const TEMPORARY = { name: "tmp", mountPath: "/tmp" };
/** What the pod's status has of a failure. */
const MESSAGE = `${FOLDER}/message`;

/** Where a Job says which image it makes. */
export const IMAGE_ANNOTATION = "xsched-triton/image";

/** Keeps Karpenter and the cluster autoscaler from moving a pod to save a node: a build would begin anew. */
const UNDISTURBED = {
  "karpenter.sh/do-not-disrupt": "true",
  "cluster-autoscaler.kubernetes.io/safe-to-evict": "false",
};

/** What all Jobs of a fleet that build engines have in common. */
export interface EnginesManifests {
  /** The program, without its content, which may change under a Job that has to try again. */
  readonly program: types.input.core.v1.ConfigMap;
  readonly content: Readonly<Record<string, string>>;
  /** Without its content: the provider would replace it for another one. */
  readonly login: types.input.core.v1.Secret;
  readonly networkPolicy: types.input.networking.v1.NetworkPolicy;
}

export function enginesManifests(fleet: string, { namespace }: PodSettings): EnginesManifests {
  const metadata = {
    name: enginesName(fleet),
    namespace,
    labels: { ...enginesLabels(fleet), ...partOf },
  };
  return {
    program: { apiVersion: "v1", kind: "ConfigMap", metadata },
    content: Object.fromEntries(
      BUILDING.map(({ path: place, file }) => [path.posix.basename(place), fs.readFileSync(file, "utf8")]),
    ),
    login: { apiVersion: "v1", kind: "Secret", metadata, type: "Opaque" },
    networkPolicy: {
      apiVersion: "networking.k8s.io/v1",
      kind: "NetworkPolicy",
      metadata,
      // It asks the registry, whose address no policy can name for every cluster.
      spec: {
        podSelector: { matchLabels: enginesLabels(fleet) },
        policyTypes: ["Ingress"],
        ingress: [],
      },
    },
  };
}

/** A model whose engine is built. */
export interface EngineModel {
  /** Its files. */
  readonly source: InImage;
  readonly engine: EngineSettings;
}

/** What builds a model's engines. */
export interface EngineJob {
  /** Of all that the engines depend on as far as this machine knows, and of what the Job needs to run. */
  readonly digest: string;
  /** The Job's name on Kubernetes, which is also a label, of at most 63 characters. */
  readonly called: string;
  readonly job: types.input.batch.v1.Job;
}

/** How long a Job may take, in seconds, with the time until it has a node. */
export function engineSeconds({ placementSeconds, engineBuildSeconds }: PodSettings): number {
  return placementSeconds + engineBuildSeconds;
}

/**
 * @param namespaceId tells namespaces of this name apart, and so clusters: another one may have another GPU
 * @param settings with a repository
 */
export function engineJob(
  fleet: string,
  settings: PodSettings,
  { source, engine }: EngineModel,
  namespaceId: pulumi.Input<string>,
): EngineJob {
  const { namespace, nodeSelector, pullSecrets, modelImageRepository: repository = "" } = settings;
  const { model } = source;
  const digest = digestOf([source.digest, engine, nodeSelector, pullSecrets, repository, namespace]);
  const tag = pulumi.interpolate`${[readable(model), digest].filter((part) => part !== "").join("-")}-${namespaceId}`;
  const request = tag.apply((known) => JSON.stringify({ model, repository, tag: known, engine }));
  const called = `${fleet}-${ENGINE}-${digest}`;
  const labels = { ...enginesLabels(fleet), ...partOf };
  return {
    digest,
    called,
    job: {
      apiVersion: "batch/v1",
      kind: "Job",
      metadata: {
        name: called,
        namespace,
        labels,
        annotations: {
          [IMAGE_ANNOTATION]: pulumi.interpolate`${repository}:${tag}`,
          // One that has failed is tried again by the next `up`.
          "pulumi.com/replaceUnready": "true",
        },
      },
      spec: {
        // What fails will fail again; what may pass, the program tries again itself.
        backoffLimit: 0,
        activeDeadlineSeconds: engineSeconds(settings),
        // A node that goes is no fault of the build.
        podFailurePolicy: {
          rules: [{ action: "Ignore", onPodConditions: [{ type: "DisruptionTarget", status: "True" }] }],
        },
        template: {
          metadata: { labels, annotations: UNDISTURBED },
          spec: enginePod(fleet, settings, source, engine, request),
        },
      },
    },
  };
}

function enginePod(
  fleet: string,
  settings: PodSettings,
  source: InImage,
  engine: EngineSettings,
  request: pulumi.Input<string>,
): types.input.core.v1.PodSpec {
  const { namespace, cpus, memoryGiB } = settings;
  return {
    serviceAccountName: fleet,
    automountServiceAccountToken: false,
    enableServiceLinks: false,
    priorityClassName: priorityClassName(fleet, namespace),
    restartPolicy: "Never",
    terminationGracePeriodSeconds: 5,
    securityContext: POD_SECURITY,
    ...onGpuNodes(settings),
    containers: [
      {
        name: ENGINE,
        image: engine.builder,
        command: [
          ...["python3", "-I", "-B", AGENT, "build-engine-image"],
          ...[request, SOURCE.mountPath, SCRATCH.mountPath, LOGIN.mountPath, MESSAGE],
        ],
        env: [{ name: "HOME", value: TEMPORARY.mountPath }],
        resources: {
          // A build may need more memory than the engine.
          requests: { cpu: String(cpus), memory: `${memoryGiB}Gi`, "nvidia.com/gpu": "1" },
          limits: { "nvidia.com/gpu": "1" },
        },
        terminationMessagePath: MESSAGE,
        terminationMessagePolicy: "FallbackToLogsOnError",
        securityContext: UNPRIVILEGED,
        volumeMounts: [...PROGRAM_MOUNTS, SOURCE, SCRATCH, LOGIN, TEMPORARY],
      },
    ],
    volumes: volumes(fleet, source),
  };
}

/** The package and what starts it, which is beside it. Its files are named by the ConfigMap alone. */
const PROGRAM = "program";
const PROGRAM_MOUNTS: VolumeMount[] = [
  { name: PROGRAM, mountPath: `${AGENT}/agent`, readOnly: true },
  { name: PROGRAM, mountPath: `${AGENT}/${START}`, subPath: START, readOnly: true },
];

function volumes(fleet: string, { image }: InImage): Volume[] {
  return [
    { name: PROGRAM, configMap: { name: enginesName(fleet), defaultMode: 0o444 } },
    { name: SOURCE.name, image: { reference: image, pullPolicy: "IfNotPresent" } },
    { name: LOGIN.name, secret: { secretName: enginesName(fleet), defaultMode: 0o444 } },
    ...[SCRATCH, TEMPORARY].map(({ name }) => ({ name, emptyDir: {} })),
  ];
}

/** Of what all Jobs have in common, and as whose instance their pods are labelled. */
export const enginesName = (fleet: string): string => `${fleet}-engines`;

/** Other than those of pods that serve. */
const enginesLabels = (fleet: string): Record<string, string> => ({
  "app.kubernetes.io/name": ENGINE,
  "app.kubernetes.io/instance": enginesName(fleet),
});
