import type { core, types } from "@pulumi/kubernetes";

import { MODEL_OF_QUEUE } from "../observability/queueLabels";
import { patch } from "./configMapFiles";
import { type AlertingRule, fleetAlarms } from "./alarms";
import { dashboardJson, fleetGraphs } from "./dashboard";
import { isLive } from "./live";
import type { ModelFiles } from "./modelFiles";
import { labelsOf, selectorOf } from "./names";
import type { PodSettings } from "./pod";
import { SCHEDULER_PORT } from "./sidecar";

/** An object of the Prometheus operator, whose types are not in Kubernetes itself. */
interface Monitored<Kind extends string, Spec> {
  readonly apiVersion: "monitoring.coreos.com/v1";
  readonly kind: Kind;
  readonly metadata: { name: string; namespace: string; labels: Record<string, string> };
  readonly spec: Spec;
}

export type PodMonitor = Monitored<"PodMonitor", Readonly<Record<string, unknown>>>;

export type PrometheusRule = Monitored<
  "PrometheusRule",
  { readonly groups: readonly { readonly name: string; readonly rules: readonly AlertingRule[] }[] }
>;

/** What the Prometheus operator and Grafana read of a fleet. */
export interface MonitoringManifests {
  readonly objects: readonly (PodMonitor | PrometheusRule)[];
  /** A ConfigMap, and its content, which changes. */
  readonly dashboard:
    { readonly configMap: ConfigMap; readonly content: core.v1.ConfigMapPatchArgs } | undefined;
}

type ConfigMap = types.input.core.v1.ConfigMap;

/** How often the metrics of a pod are read. Scaling looks at a minute by default. */
const INTERVAL = "15s";

/** What watches a fleet; nothing where pods have annotations for any Prometheus. */
export function monitoring(
  fleet: string,
  settings: PodSettings,
  models: readonly ModelFiles[],
): MonitoringManifests {
  const { monitoring: wanted, namespace } = settings;
  if (wanted.kind !== "operator") return { objects: [], dashboard: undefined };
  const metadata = { name: fleet, namespace, labels: { ...labelsOf(fleet), ...wanted.labels } };
  const endpoint = (port: string): object => ({ port, path: "/metrics", interval: INTERVAL });
  const ofModel = {
    sourceLabels: [MODEL_OF_QUEUE.label],
    regex: MODEL_OF_QUEUE.pattern,
    targetLabel: "model",
  };
  const apiVersion = "monitoring.coreos.com/v1";
  return {
    objects: [
      {
        apiVersion,
        kind: "PodMonitor",
        metadata,
        spec: {
          selector: { matchLabels: selectorOf(fleet) },
          podMetricsEndpoints: [
            endpoint("metrics"),
            ...(isLive(settings) ? [{ ...endpoint(SCHEDULER_PORT), metricRelabelings: [ofModel] }] : []),
          ],
        },
      },
      {
        apiVersion,
        kind: "PrometheusRule",
        metadata,
        spec: {
          groups: [{ name: `${namespace}-${fleet}`, rules: fleetAlarms(fleet, settings, models, wanted) }],
        },
      },
    ],
    dashboard: wanted.dashboard ? dashboard(fleet, settings, models) : undefined,
  };
}

function dashboard(
  fleet: string,
  settings: PodSettings,
  models: readonly ModelFiles[],
): MonitoringManifests["dashboard"] {
  const { namespace } = settings;
  const name = `${fleet}-dashboard`;
  const text = dashboardJson(fleet, namespace, fleetGraphs(fleet, settings, models));
  return {
    configMap: {
      apiVersion: "v1",
      kind: "ConfigMap",
      // The label by which Grafana's sidecar finds it.
      metadata: { name, namespace, labels: { ...labelsOf(fleet), grafana_dashboard: "1" } },
    },
    // The files of all dashboards are in one folder of Grafana's.
    content: patch(name, namespace, { [`${namespace}-${fleet}.json`]: text }),
  };
}
