import * as fs from "node:fs";
import * as http from "node:http";
import * as https from "node:https";
import type { AddressInfo } from "node:net";

import type { ControlPlane, KubernetesObject } from "./controlPlane";

interface Trigger {
  readonly type: string;
  readonly metricType: string;
  readonly metadata: {
    readonly serverAddress: string;
    readonly query: string;
    readonly threshold: string;
    readonly ignoreNullValues: string;
  };
}

interface ScaledSpec {
  readonly scaleTargetRef: object;
  readonly minReplicaCount: number;
  readonly maxReplicaCount: number;
  readonly advanced: { readonly horizontalPodAutoscalerConfig: { readonly behavior: object } };
  readonly triggers: readonly Trigger[];
}

const GROUP = "external.metrics.k8s.io";
const VERSION = `${GROUP}/v1beta1`;

/** How often it looks at ScaledObjects, in milliseconds. */
const PERIOD = 200;

/**
 * Stands for KEDA: makes the autoscaler of each ScaledObject, and answers for its figures by asking Prometheus, as KEDA
 * 2.21 does (controllers/keda/hpa.go, pkg/scalers/prometheus_scaler.go). What is done with the figures is Kubernetes'
 * own. It knows the trigger `prometheus` alone, and nothing of the step between no pods and one.
 */
export class Keda {
  /** Figures that Kubernetes was given, the latest last. */
  public readonly answers: number[] = [];
  private stopped = false;
  private failure: unknown;
  private readonly loop: Promise<void>;

  private constructor(
    private readonly plane: ControlPlane,
    private readonly namespace: string,
    private readonly server: https.Server,
  ) {
    server.on("request", (request: http.IncomingMessage, response: http.ServerResponse) => {
      this.answer(request.url ?? "").then(
        ({ status, body }) =>
          response.writeHead(status, { "content-type": "application/json" }).end(JSON.stringify(body)),
        (error: unknown) => response.writeHead(500).end(String(error)),
      );
    });
    this.loop = this.run().catch((error: unknown) => {
      this.failure = error;
    });
  }

  public static async start(plane: ControlPlane, namespace: string): Promise<Keda> {
    const { key, cert } = plane.certificate;
    const server = https.createServer({ key: fs.readFileSync(key), cert: fs.readFileSync(cert) });
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    const { port } = server.address() as AddressInfo;
    const service = { namespace: "default", name: "keda", port };
    await plane.call("POST", "/api/v1/namespaces/default/services", {
      metadata: { name: service.name },
      spec: { type: "ExternalName", externalName: "localhost", ports: [{ port }] },
    });
    await plane.call("POST", "/apis/apiregistration.k8s.io/v1/apiservices", {
      metadata: { name: `v1beta1.${GROUP}` },
      spec: {
        ...{ group: GROUP, version: "v1beta1", service, insecureSkipTLSVerify: true },
        ...{ groupPriorityMinimum: 100, versionPriority: 100 },
      },
    });
    return new Keda(plane, namespace, server);
  }

  public async stop(): Promise<void> {
    this.stopped = true;
    await this.loop;
    this.server.closeAllConnections();
    await new Promise((resolve) => this.server.close(resolve));
    if (this.failure !== undefined) throw this.failure as Error;
  }

  private async run(): Promise<void> {
    while (!this.stopped) {
      for (const scaled of await this.scaledObjects()) await this.autoscale(scaled);
      await new Promise((resolve) => setTimeout(resolve, PERIOD));
    }
  }

  private scaledObjects(): Promise<readonly KubernetesObject[]> {
    return this.plane.list(`/apis/keda.sh/v1alpha1/namespaces/${this.namespace}/scaledobjects`);
  }

  /** Makes or changes the autoscaler of a ScaledObject, which goes with it. */
  private async autoscale({ metadata: { name, uid }, spec }: KubernetesObject): Promise<void> {
    const { scaleTargetRef, minReplicaCount, maxReplicaCount, advanced, triggers } =
      spec as unknown as ScaledSpec;
    const selector = { matchLabels: { "scaledobject.keda.sh/name": name } };
    const owner = { apiVersion: "keda.sh/v1alpha1", kind: "ScaledObject", name, uid, controller: true };
    const place = `/apis/autoscaling/v2/namespaces/${this.namespace}/horizontalpodautoscalers`;
    const autoscaler = {
      apiVersion: "autoscaling/v2",
      kind: "HorizontalPodAutoscaler",
      metadata: { name: `keda-hpa-${name}`, ownerReferences: [owner] },
      spec: {
        scaleTargetRef,
        minReplicas: Math.max(1, minReplicaCount),
        maxReplicas: maxReplicaCount,
        behavior: advanced.horizontalPodAutoscalerConfig.behavior,
        metrics: triggers.map(({ type, metricType, metadata: { threshold } }, index) => ({
          type: "External",
          external: {
            metric: { name: `s${index}-${type}`, selector },
            target: {
              type: metricType,
              [metricType === "Value" ? "value" : "averageValue"]: milli(Number(threshold)),
            },
          },
        })),
      },
    };
    await this.plane.call(
      "PATCH",
      `${place}/keda-hpa-${name}?fieldManager=keda&force=true`,
      autoscaler,
      "application/apply-patch+yaml",
    );
  }

  private async answer(url: string): Promise<{ status: number; body: object }> {
    const { pathname, searchParams } = new URL(url, "https://localhost");
    const [, , group, version, , namespace = "", metric = ""] = pathname.split("/");
    if (`${group}/${version}` !== VERSION) return { status: 404, body: {} };
    if (namespace === "") {
      const resource = { name: "externalmetrics", singularName: "", namespaced: true, verbs: ["get"] };
      const resources = [{ ...resource, kind: "ExternalMetricValueList" }];
      return {
        status: 200,
        body: { kind: "APIResourceList", apiVersion: "v1", groupVersion: VERSION, resources },
      };
    }
    const [, name] = (searchParams.get("labelSelector") ?? "").split("=");
    const scaled = (await this.scaledObjects()).find(({ metadata }) => metadata.name === name);
    const { triggers = [] } = (scaled?.spec ?? {}) as Partial<ScaledSpec>;
    const trigger = triggers[Number(/^s(\d+)-/.exec(metric)?.[1])];
    if (trigger === undefined) return { status: 404, body: {} };
    const { query, serverAddress, ignoreNullValues } = trigger.metadata;
    const value = await askPrometheus(serverAddress, query);
    if (value === undefined && ignoreNullValues === "false") throw new Error("the result is empty");
    this.answers.push(value ?? 0);
    const item = { metricName: metric, metricLabels: null, timestamp: new Date().toISOString() };
    return {
      status: 200,
      body: {
        ...{ kind: "ExternalMetricValueList", apiVersion: VERSION, metadata: {} },
        items: [{ ...item, value: milli(value ?? 0) }],
      },
    };
  }
}

const milli = (value: number): string => `${Math.trunc(value * 1000)}m`;

/** What a Prometheus answers to a query: one number, or none. */
export async function askPrometheus(address: string, query: string): Promise<number | undefined> {
  const response = await fetch(`${address}/api/v1/query?query=${encodeURIComponent(query)}`);
  if (!response.ok) throw new Error(`Prometheus answers ${response.status}: ${await response.text()}`);
  const { data } = (await response.json()) as {
    readonly data: { readonly result: readonly { readonly value: readonly [number, string] }[] };
  };
  if (data.result.length > 1) throw new Error(`${query} has ${data.result.length} results`);
  const [result] = data.result;
  const value = result === undefined ? undefined : Number(result.value[1]);
  return value !== undefined && Number.isFinite(value) ? value : undefined;
}
