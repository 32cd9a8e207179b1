import * as k8s from "@pulumi/kubernetes";
import * as pulumi from "@pulumi/pulumi";

import {
  ComponentInputs,
  type EksGpuNodesArgs,
  eksGpuNodesInputs,
  type EksGpuNodesSettings,
} from "../../settings";

/**
 * Nodes with GPUs of an `EksCluster`, or of any cluster in EKS Auto Mode that has one of EKS's own node pools on, and so the
 * NodeClass `default`: AWS starts one when a pod needs a GPU, and ends it when no pod is left on it. Only pods that tolerate
 * the taint `nvidia.com/gpu` come there, as those of a `TritonFleet` do. The cluster is the one of the provider `kubernetes`
 * that the component is given.
 */
export class EksGpuNodes extends pulumi.ComponentResource {
  /** @param name of the component, and of its NodePool */
  public constructor(name: string, args: EksGpuNodesArgs, opts?: pulumi.ComponentResourceOptions) {
    const { known } = new ComponentInputs("EksGpuNodes", name, eksGpuNodesInputs, args);
    super("xsched-triton:index:EksGpuNodes", name, {}, opts);
    const child = { parent: this };
    new k8s.apiextensions.CustomResource(`${name}-pool`, nodePool(name, known), child);
    if (known.networkPolicies) {
      // Without it, EKS would enforce nobody's NetworkPolicies any more, nor let any of them be deleted.
      new k8s.core.v1.ConfigMap(`${name}-network-policies`, NETWORK_POLICIES, {
        ...child,
        retainOnDelete: true,
      });
    }
    this.registerOutputs({});
  }
}

/**
 * Without it, Auto Mode enforces no NetworkPolicy, and any pod of the cluster would reach a fleet's.
 * https://docs.aws.amazon.com/eks/latest/userguide/auto-net-pol.html
 */
export const NETWORK_POLICIES: k8s.core.v1.ConfigMapArgs = {
  apiVersion: "v1",
  kind: "ConfigMap",
  metadata: { name: "amazon-vpc-cni", namespace: "kube-system" },
  data: { "enable-network-policy-controller": "true" },
};

/** An object of Karpenter, whose types are not in Kubernetes itself. */
export interface NodePool {
  readonly apiVersion: "karpenter.sh/v1";
  readonly kind: "NodePool";
  readonly metadata: { name: string };
  readonly spec: Readonly<Record<string, unknown>>;
}

/** https://docs.aws.amazon.com/eks/latest/userguide/create-node-pool.html */
export function nodePool(
  name: string,
  { instanceFamilies, gpusPerNode, maxGpus, spot, emptySeconds }: EksGpuNodesSettings,
): NodePool {
  const among = (key: string, ...values: string[]): object => ({ key, operator: "In", values });
  return {
    apiVersion: "karpenter.sh/v1",
    kind: "NodePool",
    metadata: { name },
    spec: {
      template: {
        spec: {
          // Made by Auto Mode, with the subnets and the role of the cluster.
          nodeClassRef: { group: "eks.amazonaws.com", kind: "NodeClass", name: "default" },
          requirements: [
            among("eks.amazonaws.com/instance-family", ...instanceFamilies),
            among("eks.amazonaws.com/instance-gpu-count", String(gpusPerNode)),
            among("karpenter.sh/capacity-type", spot ? "spot" : "on-demand"),
            // The image is for x86-64 alone.
            among("kubernetes.io/arch", "amd64"),
          ],
          taints: [{ key: "nvidia.com/gpu", effect: "NoSchedule" }],
        },
      },
      limits: { "nvidia.com/gpu": maxGpus },
      // Not to save money on a node that serves: each move of a pod loads its models again.
      disruption: { consolidationPolicy: "WhenEmpty", consolidateAfter: `${emptySeconds}s` },
    },
  };
}
