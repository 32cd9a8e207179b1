import type { ChildProcess } from "node:child_process";
import * as fs from "node:fs";
import * as os from "node:os";
import * as path from "node:path";

import { until } from "../until";
import type { ControlPlane } from "./controlPlane";
import { startDaemon, stopDaemon } from "./dockerEngine";
import { freePorts } from "./ports";
import { TOOLS_HOME } from "./toolchain";

const PROGRAM = path.join(path.dirname(TOOLS_HOME), "bin/prometheus");

/** A real Prometheus on the loopback interface, which finds the pods of a cluster by their annotations. */
export class Prometheus {
  private constructor(
    public readonly address: string,
    private readonly folder: string,
    private readonly daemon: ChildProcess,
  ) {}

  /** What is missing on this machine. */
  public static get missing(): string | undefined {
    return fs.existsSync(PROGRAM) ? undefined : "prometheus is missing (`npm test` builds it with Go)";
  }

  /**
   * @param loopbackOf pods are not at the addresses that the cluster knows: a regular expression, and what to put for it
   * @param others addresses of what it reads besides, by the namespace that it is to be in
   */
  public static async start(
    plane: ControlPlane,
    loopbackOf: readonly [string, string],
    intervalSeconds: number,
    others: Readonly<Record<string, readonly string[]>> = {},
  ): Promise<Prometheus> {
    const folder = fs.mkdtempSync(path.join(os.tmpdir(), "xsched-triton-prometheus-"));
    const [port = 0] = await freePorts(1);
    const relabel = (rule: Readonly<Record<string, unknown>>): object => rule;
    const annotation = (name: string): string => `__meta_kubernetes_pod_annotation_prometheus_io_${name}`;
    const config = {
      global: { scrape_interval: `${intervalSeconds}s`, scrape_timeout: `${intervalSeconds}s` },
      scrape_configs: [
        {
          job_name: "others",
          static_configs: Object.entries(others).map(([namespace, targets]) => ({
            targets,
            labels: { namespace },
          })),
        },
        {
          job_name: "kubernetes-pods",
          kubernetes_sd_configs: [{ role: "pod", kubeconfig_file: plane.kubeconfig }],
          // As in Prometheus' own example for Kubernetes.
          relabel_configs: [
            relabel({ source_labels: [annotation("scrape")], action: "keep", regex: "true" }),
            relabel({
              source_labels: [annotation("path")],
              ...{ action: "replace", target_label: "__metrics_path__", regex: "(.+)" },
            }),
            relabel({
              source_labels: ["__meta_kubernetes_pod_ip", annotation("port")],
              ...{ action: "replace", target_label: "__address__" },
              ...{ separator: ":", regex: loopbackOf[0], replacement: loopbackOf[1] },
            }),
            ...["namespace", "pod_name"].map((name) =>
              relabel({
                source_labels: [`__meta_kubernetes_${name}`],
                ...{ action: "replace", target_label: name.replace("_name", "") },
              }),
            ),
          ],
        },
      ],
    };
    fs.writeFileSync(path.join(folder, "prometheus.yml"), JSON.stringify(config));
    const daemon = startDaemon(PROGRAM, [
      `--config.file=${folder}/prometheus.yml`,
      `--storage.tsdb.path=${folder}/data`,
      `--web.listen-address=127.0.0.1:${port}`,
      "--log.level=warn",
    ]);
    const prometheus = new Prometheus(`http://127.0.0.1:${port}`, folder, daemon);
    await until("Prometheus is ready", () => prometheus.isReady());
    return prometheus;
  }

  public async stop(): Promise<void> {
    await stopDaemon(this.daemon);
    fs.rmSync(this.folder, { recursive: true, force: true });
  }

  private async isReady(): Promise<boolean> {
    if (this.daemon.exitCode !== null) {
      throw new Error("Prometheus does not start; MOCHA_VERBOSE=1 shows why");
    }
    const response = await fetch(`${this.address}/-/ready`).catch(() => undefined);
    return response?.ok === true;
  }
}
