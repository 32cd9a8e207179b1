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

/** A PodMonitor, as far as it says what to read. */
interface PodMonitor {
  readonly metadata: { readonly name: string; readonly namespace?: string };
  readonly spec: Readonly<Record<string, unknown>>;
}

interface Endpoint {
  readonly port: string;
  readonly path: string;
  readonly metricRelabelings?: readonly { sourceLabels: string[]; regex: string; targetLabel: string }[];
}

/** A real Prometheus on the loopback interface, which reads pods of a cluster as a PodMonitor says. */
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
    monitor: PodMonitor,
    loopbackOf: readonly [string, string],
    intervalSeconds: number,
    others: Readonly<Record<string, readonly string[]>> = {},
  ): Promise<Prometheus> {
    const folder = fs.mkdtempSync(path.join(os.tmpdir(), "xsched-triton-prometheus-"));
    const [port = 0] = await freePorts(1);
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
        ...jobsOf(monitor, plane.kubeconfig, loopbackOf),
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

/** As the operator has Prometheus read what a PodMonitor says (its pkg/prometheus/promcfg.go). */
function jobsOf(
  { metadata: { name, namespace = "" }, spec }: PodMonitor,
  kubeconfig: string,
  [address, loopback]: readonly [string, string],
): object[] {
  const { selector, podMetricsEndpoints } = spec as {
    readonly selector: { readonly matchLabels: Readonly<Record<string, string>> };
    readonly podMetricsEndpoints: readonly Endpoint[];
  };
  const pod = (what: string): string => `__meta_kubernetes_pod_${what}`;
  const keep = (label: string, regex: string): object => ({ source_labels: [label], action: "keep", regex });
  const put = (label: string, target: string): object => ({ source_labels: [label], target_label: target });
  return podMetricsEndpoints.map(({ port, path: place, metricRelabelings = [] }, index) => ({
    job_name: `podMonitor/${namespace}/${name}/${index}`,
    metrics_path: place,
    kubernetes_sd_configs: [{ role: "pod", kubeconfig_file: kubeconfig, namespaces: { names: [namespace] } }],
    relabel_configs: [
      keep(pod("phase"), "Pending|Running|Unknown"),
      ...Object.entries(selector.matchLabels).map(([label, value]) =>
        keep(pod(`label_${label.replaceAll(/[^A-Za-z0-9_]/g, "_")}`), value),
      ),
      keep(pod("container_port_name"), port),
      put("__meta_kubernetes_namespace", "namespace"),
      put(pod("container_name"), "container"),
      put(pod("name"), "pod"),
      {
        source_labels: ["__address__"],
        target_label: "__address__",
        ...{ regex: address, replacement: loopback },
      },
    ],
    metric_relabel_configs: metricRelabelings.map(({ sourceLabels, regex, targetLabel }) => ({
      source_labels: sourceLabels,
      ...{ regex, target_label: targetLabel },
    })),
  }));
}
