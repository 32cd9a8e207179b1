import * as fs from "node:fs";

import type { types } from "@pulumi/kubernetes";
import * as pulumi from "@pulumi/pulumi";

import { GUARDING } from "../host";
import { configMapFiles, type ConfigMapFiles } from "./configMapFiles";
import { configMapName, digestOf, partOf, priorityClassName, selectorOf } from "./names";
import { GPU_TOLERATION, onNodes, POD_SECURITY, type PodSettings, UNPRIVILEGED } from "./pod";

/** What the guard is called, among a fleet's ConfigMaps and in the names of its parts. */
const GUARD = "guard";

const FOLDER = "/xsched-triton";
const PROGRAM = { name: "program", mountPath: `${FOLDER}/bin/agent`, readOnly: true };
const SCRATCH = { name: "scratch", mountPath: `${FOLDER}/seen` };
const SEEN = `${SCRATCH.mountPath}/all`;
/** Where Kubernetes puts the token of a pod. */
const CREDENTIALS = "/var/run/secrets/kubernetes.io/serviceaccount";

/**
 * Annotations by which `up` and the guard talk (components/host/agent/agent/rollout.py): `up` writes what it wants and waits
 * until that is judged. The guard writes the verdict such that the next application of the manifest removes it.
 */
const WANTED = "xsched-triton/wanted";
const JUDGED = "xsched-triton/judged";
const FAILURE = "xsched-triton/failure";

/** What watches over a fleet's rollouts: a pod without a GPU, which may read pods and change one Deployment. */
export interface GuardManifests {
  readonly configMap: types.input.core.v1.ConfigMap;
  readonly serviceAccount: types.input.core.v1.ServiceAccount;
  readonly role: types.input.rbac.v1.Role;
  readonly roleBinding: types.input.rbac.v1.RoleBinding;
  readonly networkPolicy: types.input.networking.v1.NetworkPolicy;
  readonly deployment: types.input.apps.v1.Deployment;
}

export function guardManifests(fleet: string, settings: PodSettings): GuardManifests {
  const { namespace } = settings;
  const name = guardName(fleet);
  const labels = guardLabels(fleet);
  const metadata = { name, namespace, labels: { ...labels, ...partOf } };
  const files = configMapFiles(
    GUARDING.map(({ path, file }) => ({ path, executable: false, content: fs.readFileSync(file) })),
  );
  const program = configMapName(fleet, { model: GUARD, digest: digestOf(files) });
  return {
    configMap: {
      ...{ apiVersion: "v1", kind: "ConfigMap", immutable: true, data: files.data },
      metadata: { ...metadata, name: program },
    },
    serviceAccount: { apiVersion: "v1", kind: "ServiceAccount", metadata },
    role: {
      apiVersion: "rbac.authorization.k8s.io/v1",
      kind: "Role",
      metadata,
      rules: [
        { apiGroups: ["apps"], resources: ["deployments"], resourceNames: [fleet], verbs: ["get", "patch"] },
        // Neither a list nor a new name can be narrowed to those of one Deployment; the namespace is the fleet's alone.
        { apiGroups: ["apps"], resources: ["replicasets"], verbs: ["list"] },
        { apiGroups: [""], resources: ["pods"], verbs: ["list"] },
        { apiGroups: [""], resources: ["pods/log"], verbs: ["get"] },
      ],
    },
    roleBinding: {
      apiVersion: "rbac.authorization.k8s.io/v1",
      kind: "RoleBinding",
      metadata,
      roleRef: { apiGroup: "rbac.authorization.k8s.io", kind: "Role", name },
      subjects: [{ kind: "ServiceAccount", name, namespace }],
    },
    networkPolicy: {
      apiVersion: "networking.k8s.io/v1",
      kind: "NetworkPolicy",
      metadata,
      // It asks the API server, whose address no policy can name on every cluster.
      spec: { podSelector: { matchLabels: labels }, policyTypes: ["Ingress"], ingress: [] },
    },
    deployment: {
      apiVersion: "apps/v1",
      kind: "Deployment",
      metadata,
      spec: {
        replicas: 1,
        // The former one watches until a new one does. So an image that can't be pulled reaches no pod that serves.
        strategy: { type: "RollingUpdate", rollingUpdate: { maxSurge: 1, maxUnavailable: 0 } },
        progressDeadlineSeconds: settings.placementSeconds,
        revisionHistoryLimit: 2,
        selector: { matchLabels: labels },
        template: guardPod(fleet, settings, program, files),
      },
    },
  };
}

function guardPod(
  fleet: string,
  settings: PodSettings,
  program: string,
  files: ConfigMapFiles,
): types.input.core.v1.PodTemplateSpec {
  const { image, namespace, nodeSelector, guardOnGpuNodes } = settings;
  return {
    metadata: { labels: { ...guardLabels(fleet), ...partOf } },
    spec: {
      serviceAccountName: guardName(fleet),
      enableServiceLinks: false,
      terminationGracePeriodSeconds: 5,
      securityContext: POD_SECURITY,
      // A pod of the fleet that wants the room must not take it from the guard.
      priorityClassName: priorityClassName(fleet, namespace),
      ...onNodes(settings),
      // A node that is there for GPUs would never be given back while the guard is on it.
      ...(guardOnGpuNodes && { tolerations: [GPU_TOLERATION] }),
      // Otherwise beside a pod of the fleet, if there is room: the image is there.
      affinity: {
        ...(Object.keys(nodeSelector).length > 0 && {
          nodeAffinity: {
            preferredDuringSchedulingIgnoredDuringExecution: [
              {
                weight: 50,
                preference: {
                  matchExpressions: Object.entries(nodeSelector).map(([key, value]) => ({
                    ...{ key, operator: "In", values: [value] },
                  })),
                },
              },
            ],
          },
        }),
        podAffinity: {
          preferredDuringSchedulingIgnoredDuringExecution: [
            {
              weight: 100,
              podAffinityTerm: {
                labelSelector: { matchLabels: selectorOf(fleet) },
                topologyKey: "kubernetes.io/hostname",
              },
            },
          ],
        },
      },
      containers: [
        {
          name: GUARD,
          image,
          // In place of the image's entrypoint, which checks the GPU.
          command: ["python3", "-I", "-B", PROGRAM.mountPath, "guard", namespace, fleet, CREDENTIALS, SEEN],
          // The image asks for all GPUs of the node, and NVIDIA's runtime would give them to it.
          env: [{ name: "NVIDIA_VISIBLE_DEVICES", value: "void" }],
          resources: { requests: { cpu: "10m", memory: "64Mi" }, limits: { memory: "256Mi" } },
          // It has reached the API server, and knows which pods to go back to.
          readinessProbe: { exec: { command: ["cat", SEEN] }, periodSeconds: 1 },
          securityContext: UNPRIVILEGED,
          volumeMounts: [PROGRAM, SCRATCH],
        },
      ],
      volumes: [
        {
          name: PROGRAM.name,
          configMap: { name: program, items: files.items.map((item) => ({ ...item })) },
        },
        { name: SCRATCH.name, emptyDir: {} },
      ],
    },
  };
}

/** Of its parts, and as whose instance its pods are labelled. */
export const guardName = (fleet: string): string => `${fleet}-${GUARD}`;

/** Other than those of pods that serve. */
const guardLabels = (fleet: string): Record<string, string> => ({
  "app.kubernetes.io/name": GUARD,
  "app.kubernetes.io/instance": guardName(fleet),
});

type Deployment = types.input.apps.v1.Deployment;

/**
 * A Deployment whose `up` ends when the guard has judged what it asks for.
 *
 * @param scaled whether somebody else says how many pods there are
 * @returns it, and what `failureOf` has to know
 */
export function guarded(
  deployment: Deployment,
  scaled: boolean,
): { deployment: Deployment; wanted: pulumi.Output<string> } {
  const wanted = pulumi
    .output(deployment.spec)
    .apply((spec) => digestOf({ ...spec, ...(scaled && { replicas: 0 }) }));
  const metadata = deployment.metadata as { readonly annotations?: Readonly<Record<string, string>> };
  const annotations = {
    ...metadata.annotations,
    [WANTED]: wanted,
    "pulumi.com/waitFor": pulumi.interpolate`jsonpath={.metadata.annotations['${JUDGED}']}=${wanted}`,
  };
  return { deployment: { ...deployment, metadata: { ...metadata, annotations } }, wanted };
}

/** What the guard has found of a rollout. */
interface Failure {
  readonly wanted: string;
  readonly reason: string;
  /** Whether there was something to go back to. */
  readonly undone: boolean;
}

/** @param annotations of the Deployment, as they are in the cluster; none before it is there */
export function failureIn(annotations: Readonly<Record<string, string>> | undefined): Failure | undefined {
  const text = annotations?.[FAILURE];
  return text === undefined ? undefined : (JSON.parse(text) as Failure);
}

/** Why what an `up` wants doesn't serve; none if it does. */
export function failureOf(
  fleet: string,
  wanted: string,
  annotations: Readonly<Record<string, string>> | undefined,
): string | undefined {
  const failure = failureIn(annotations);
  if (failure?.wanted !== wanted) return undefined;
  const [now, fix] = failure.undone
    ? ["the former version serves in its place", "mend it, then run up again, which tries it once more"]
    : ["no version has served before, so its pods go on trying", "mend it, then run up again"];
  return `TritonFleet ${fleet}: the new version did not come to serve, and ${now}\n  ${failure.reason}\n  fix: ${fix}`;
}
