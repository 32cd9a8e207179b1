import * as path from "node:path";

import * as pulumi from "@pulumi/pulumi";
import { TritonDeployment } from "xsched-triton";

const httpPort = new pulumi.Config().requireNumber("httpPort");
const models = path.resolve(__dirname, "../models");

const triton = new TritonDeployment("inference", {
  models: [
    { name: "realtime", source: path.join(models, "realtime"), priority: 200 },
    { name: "batch", source: path.join(models, "batch"), priority: -100 },
  ],
  httpPort,
  grpcPort: httpPort + 1,
  metricsPort: httpPort + 2,
});

export const endpoints = triton.endpoints;
