import * as pulumi from "@pulumi/pulumi";
import { TritonDeployment } from "xsched-triton";

const config = new pulumi.Config();

const triton = new TritonDeployment("inference", {
  // A relative path starts at this folder.
  models: [
    { name: "realtime", source: "../models/realtime", priority: 200 },
    { name: "batch", source: "../models/batch", priority: -100 },
  ],
  httpPort: config.requireNumber("httpPort"),
  grpcPort: config.requireNumber("grpcPort"),
  metricsPort: config.requireNumber("metricsPort"),
});

export const endpoints = triton.endpoints;
