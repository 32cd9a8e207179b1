import * as fs from "node:fs";

import type { types } from "@pulumi/kubernetes";
import type * as pulumi from "@pulumi/pulumi";

import { FOLLOWING } from "../host";
import { type FleetMonitoring, SCHEDULER_METRICS_PORT } from "../settings";
import { configMapFiles, type ConfigMapFiles } from "./configMapFiles";
import { FOLLOWED, type Live } from "./live";
import { configMapName, digestOf, liveName } from "./names";

type Container = types.input.core.v1.Container;
type Volume = types.input.core.v1.Volume;

/** What the agent is called, among a pod's containers and a fleet's ConfigMaps. */
const AGENT = "agent";

/** As on a host: the agent is `bin/agent` in a folder. */
const FOLDER = "/xsched-triton";

/** Where the containers of a pod find the scheduler's socket, and what the image's entrypoint says of Triton. */
const SHARED = { name: "scheduler", mountPath: `${FOLDER}/scheduler` };
const LIVE = { name: "live", mountPath: `${FOLDER}/live`, readOnly: true };
const PROGRAM = { name: AGENT, mountPath: `${FOLDER}/bin/agent`, readOnly: true };

/** For Triton's container and the agent's. */
export const sharedMount = SHARED;
export function sharedEnvironment(monitoring: FleetMonitoring): { name: string; value: string }[] {
  return [
    { name: "XSCHED_CONTROL_DIR", value: `${SHARED.mountPath}/control` },
    { name: "XSCHED_TRITON_STATE", value: `${SHARED.mountPath}/state` },
    // The core puts a process's id for `%p`.
    ...(monitoring.kind === "operator"
      ? [{ name: "XSCHED_METRICS_FILE", value: `${SHARED.mountPath}/metrics-%p` }]
      : []),
  ];
}

/** The agent that runs beside Triton, in the form of a host's: of this package, not of the image. */
export interface AgentFiles extends ConfigMapFiles {
  /** Of their content. */
  readonly name: string;
}

/** @param fleet the name of a ConfigMap begins with it */
export function agentFiles(fleet: string): AgentFiles {
  const files = configMapFiles(
    FOLLOWING.map(({ path, file }) => ({ path, executable: false, content: fs.readFileSync(file) })),
  );
  return { ...files, name: configMapName(fleet, { model: AGENT, digest: digestOf(files) }) };
}

/** What the port is called at which the agent tells what the scheduler counts. */
export const SCHEDULER_PORT = "scheduler";

/** What gives the models of a pod that serves their priorities, floors and weights. It reaches nobody outside the pod. */
export function agentContainer(
  image: pulumi.Input<string>,
  monitoring: FleetMonitoring,
  securityContext: Container["securityContext"],
): Container {
  const monitored = monitoring.kind === "operator";
  return {
    name: AGENT,
    image,
    // In place of the image's entrypoint, which checks the GPU.
    command: [
      ...["python3", "-I", "-B", PROGRAM.mountPath, "follow", `${LIVE.mountPath}/${FOLLOWED}`],
      ...(monitored ? [`0.0.0.0:${SCHEDULER_METRICS_PORT}`] : []),
    ],
    ...(monitored && { ports: [{ name: SCHEDULER_PORT, containerPort: SCHEDULER_METRICS_PORT }] }),
    env: [
      ...sharedEnvironment(monitoring),
      { name: "XSCHED_TRITON_CONTROL", value: "/opt/xsched/bin/xsched-ctl" },
      // The image asks for all GPUs of the node, and NVIDIA's runtime would give them to it.
      { name: "NVIDIA_VISIBLE_DEVICES", value: "void" },
    ],
    resources: { requests: { cpu: "10m", memory: "64Mi" }, limits: { memory: "128Mi" } },
    securityContext,
    volumeMounts: [SHARED, LIVE, PROGRAM],
  };
}

export function agentVolumes(fleet: string, live: Live, { name, items }: AgentFiles): Volume[] {
  return [
    { name: SHARED.name, emptyDir: {} },
    {
      name: LIVE.name,
      configMap: {
        name: liveName(fleet, live),
        items: [{ key: FOLLOWED, path: FOLLOWED, mode: 0o444 }],
      },
    },
    {
      name: PROGRAM.name,
      configMap: { name, items: items.map((item) => ({ ...item })) },
    },
  ];
}
