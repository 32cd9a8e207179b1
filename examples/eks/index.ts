import * as k8s from "@pulumi/kubernetes";
import * as pulumi from "@pulumi/pulumi";
import {
  EksCluster,
  type EksClusterArgs,
  EksGpuNodes,
  type EksGpuNodesArgs,
  TritonFleet,
  type TritonFleetArgs,
} from "xsched-triton/fleet";

const config = new pulumi.Config();
const cluster = new EksCluster("models", config.requireObject<EksClusterArgs>("cluster"));
const provider = new k8s.Provider("cluster", { kubeconfig: cluster.kubeconfig });
const nodes = new EksGpuNodes("gpus", config.requireObject<EksGpuNodesArgs>("nodes"), { provider });
const fleet = new TritonFleet("inference", config.requireObject<TritonFleetArgs>("fleet"), {
  provider,
  // Deleted before the nodes on which its pods are.
  dependsOn: nodes,
});

export const { kubeconfig, clusterName } = cluster;
export const { endpoints, models } = fleet;
