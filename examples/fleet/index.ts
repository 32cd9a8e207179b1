import * as pulumi from "@pulumi/pulumi";
import { TritonFleet, type TritonFleetArgs } from "xsched-triton/fleet";

// The cluster is the one that kubectl talks to. For another, give the component a provider: { provider: cluster }.
const fleet = new TritonFleet("inference", new pulumi.Config().requireObject<TritonFleetArgs>("fleet"));

export const { endpoints, models } = fleet;
