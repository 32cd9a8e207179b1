import * as pulumi from "@pulumi/pulumi";
import { TritonStack } from "xsched-triton";

const config = new pulumi.Config();

// The arguments are the keys of a stack config: docs/settings.md.
const triton = new TritonStack("inference", {
  // Relative paths start at this folder.
  host: { kind: "local", directory: ".xsched-triton" },
  server: {
    httpPort: config.requireNumber("httpPort"),
    grpcPort: config.requireNumber("grpcPort"),
    metricsPort: config.requireNumber("metricsPort"),
  },
  models: [
    { name: "realtime", source: "../models/realtime", priority: 200 },
    { name: "batch", source: "../models/batch", priority: "min" },
  ],
});

export const endpoints = triton.endpoints;
